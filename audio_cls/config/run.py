"""RunConfig: all sections of settings of one run; flat names and nested YAML."""

from __future__ import annotations

import dataclasses
import functools
import numbers
import types
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from audio_cls.config.audio import AudioConfig
from audio_cls.config.augmentation import AugmentConfig
from audio_cls.config.base import RENAMED_SETTINGS, describe_range, flag_name
from audio_cls.config.data import DataConfig
from audio_cls.config.evaluation import EvalConfig
from audio_cls.config.hub import HubConfig
from audio_cls.config.model import ModelConfig
from audio_cls.config.optimizer import OptimConfig
from audio_cls.config.requirements import find_unused, reset_unused
from audio_cls.config.training import TrainConfig
from audio_cls.errors import SettingError, suggest_name


@dataclass(frozen=True)
class RunConfig:
    """All settings of one run, section by section."""

    data: DataConfig = field(default_factory=DataConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    hub: HubConfig = field(default_factory=HubConfig)

    def __post_init__(self) -> None:
        """Check what spans sections.

        Raises:
            SettingError: Two settings contradict each other; the text names both.
        """
        faults = []
        if self.train.overwrite and self.train.resume != "never":
            faults.append("--overwrite and --resume contradict each other: give one of them.")
        longest = self.audio.piece_seconds
        window, hop = self.audio.window_seconds or longest, self.audio.hop_seconds
        if window > longest:
            faults.append(
                f"--window-seconds {window:g} is longer than --max-seconds "
                f"{longest:g}: the model never heard that much at once. "
                "Give at most --max-seconds."
            )
        if hop is not None and hop > window:
            faults.append(
                f"--hop-seconds {hop:g} would skip sound between windows of {window:g} s: "
                f"give at most {window:g}."
            )
        if self.optim.sampler == "balanced" and self.optim.class_weights == "balanced":
            faults.append(
                "--sampler balanced and --class-weights balanced both correct for the number of"
                " clips per class, and rare classes would count twice: give one of them."
            )
        values = {name: value for part in self.to_sections() for name, value in part.items()}
        faults += [
            f"{flag_name(name)} {_show(values[name])} has no effect: {advice}."
            for name, advice in find_unused(values, list_defaults()).items()
        ]
        if self.data.streaming:
            faults.extend(self._find_stream_faults())
        if faults:
            raise SettingError(" ".join(faults))

    def _find_stream_faults(self) -> list[str]:
        """List what a stream lacks, and what cannot be had of one."""
        faults = []
        if self.train.max_steps is None:
            faults.append(
                "--streaming needs --max-steps: one pass over a stream may take days. Give the"
                " number of optimizer steps."
            )
        wants = {
            "--class-weights balanced": self.optim.class_weights == "balanced",
            "--pos-weight auto": self.optim.pos_weight == "auto",
            "--sampler balanced": self.optim.sampler == "balanced",
            "--batch-size auto": self.train.batch_size == "auto",
            "--length-buckets": self.train.length_buckets is not None,
        }
        needs_all = [flag for flag, is_wanted in wants.items() if is_wanted]
        if needs_all:
            faults.append(
                f"--streaming cannot do {', '.join(needs_all)}, which needs all clips at once:"
                " leave one of them out."
            )
        return faults

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> RunConfig:
        """Build the tree from `{setting name: value}`; names that are missing keep their default.

        Raises:
            SettingError: Unknown names, values of another type, out of range or in contradiction;
                the text has all faults.
        """
        values = {RENAMED_SETTINGS.get(name, name): value for name, value in values.items()}
        faults = _find_wrong_values(values)
        if faults:
            raise SettingError(" ".join(faults))
        values = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
        sections: dict[str, Any] = {}
        for name, section in SECTIONS.items():
            own = {
                spec.name: values[spec.name]
                for spec in dataclasses.fields(section)
                if spec.name in values
            }
            try:
                sections[name] = section(**own)
            except SettingError as error:
                faults.append(str(error))
        if faults:
            raise SettingError(" ".join(faults))
        return cls(**sections)

    def to_sections(self) -> list[dict[str, Any]]:
        """Return the settings of each section, values as they are."""
        return [vars(getattr(self, name)) for name in SECTIONS]

    def to_nested(self) -> dict[str, dict[str, Any]]:
        """Return `{section: {setting: value}}`, ready for YAML; tuples become lists."""
        return {
            section: {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in values.items()
            }
            for section, values in dataclasses.asdict(self).items()
        }


SECTIONS: dict[str, type[Any]] = {
    "data": DataConfig,
    "audio": AudioConfig,
    "augment": AugmentConfig,
    "model": ModelConfig,
    "optim": OptimConfig,
    "train": TrainConfig,
    "eval": EvalConfig,
    "hub": HubConfig,
}


def list_defaults() -> dict[str, Any]:
    """Return the default of every setting, by name."""
    return {
        spec.name: spec.default for owner in SECTIONS.values() for spec in dataclasses.fields(owner)
    }


def drop_unused(values: Mapping[str, Any], keep: Collection[str] = ()) -> dict[str, Any]:
    """Return `{setting name: value}` without what has no effect, unless it is in `keep`.

    See `audio_cls.config.requirements.reset_unused`.
    """
    return reset_unused(values, list_defaults(), keep)


def _find_wrong_values(values: Mapping[str, Any]) -> list[str]:
    """List names that are no settings, and values of another type than the setting's."""
    known = {one.name: one for one in iterate_settings()}
    faults = []
    for name, value in values.items():
        if name not in known:
            nearest = suggest_name(name.replace("-", "_"), known)
            faults.append(f"There is no setting '{name}'.{nearest}")
        elif not known[name].accepts(value):
            faults.append(f"{flag_name(name)} {value!r} is not of type {known[name].type_name}.")
    return faults


def _show(value: object) -> str:
    """Write a value as it is typed."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True)
class Setting:
    """One field seen from outside: what a command line or a table needs to know of it."""

    section: str
    name: str
    type: Any  # the type without None: str, int, float, bool, tuple[str, ...] or a Literal
    is_optional: bool
    default: Any
    meaning: str
    allowed: str  # the range in words, empty when any value goes
    affects_training: bool  # whether a run that is resumed must keep it

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words of a Literal, else empty."""
        return typing.get_args(self.type) if typing.get_origin(self.type) is Literal else ()

    @property
    def type_name(self) -> str:
        """The type as a user reads it."""
        if self.choices:
            return " or ".join(map(repr, self.choices))
        return getattr(self.type, "__name__", str(self.type).removeprefix("typing."))

    def accepts(self, value: Any) -> bool:  # noqa: ANN401 (that is the question)
        """Tell whether a value has the setting's type; a list stands for a tuple.

        >>> one = next(one for one in iterate_settings() if one.name == "epochs")
        >>> one.accepts(3), one.accepts(1.5), one.accepts("3"), one.accepts(True)
        (True, False, False, False)
        """
        if value is None:
            return self.is_optional
        return _has_type(value, self.type)

    def read_yaml(self, value: Any) -> Any:  # noqa: ANN401 (a setting may have any type)
        """Return a value of a YAML file; an unquoted `no` is false there, and may be a word here.

        >>> [one.read_yaml(False) for one in iterate_settings() if one.name == "mixed_precision"]
        ['no']
        """
        if isinstance(value, bool) and "no" in self.choices:
            return "yes" if value else "no"
        return value


def _has_type(value: Any, kind: Any) -> bool:  # noqa: ANN401 (any value, any type)
    """Tell whether a value has one of the types that settings have."""
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        return value in arguments
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return any(_has_type(value, one) for one in arguments)
    if typing.get_origin(kind) is tuple:
        return isinstance(value, tuple | list) and all(_has_type(v, arguments[0]) for v in value)
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is float:
        return isinstance(value, numbers.Real)
    if kind is int:
        return isinstance(value, numbers.Integral)
    return isinstance(value, kind)


def iterate_settings(*sections: str) -> Iterator[Setting]:
    """Yield every setting in reading order, or those of the named sections."""
    return (one for one in _list_settings() if not sections or one.section in sections)


@functools.cache
def _list_settings() -> tuple[Setting, ...]:
    """Read every setting from the fields of the sections."""
    settings = []
    for section, owner in SECTIONS.items():
        hints = typing.get_type_hints(owner)
        for spec in dataclasses.fields(owner):
            hint = hints[spec.name]
            is_optional = isinstance(hint, types.UnionType) and type(None) in typing.get_args(hint)
            if is_optional:
                (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
            settings.append(
                Setting(
                    section,
                    spec.name,
                    hint,
                    is_optional,
                    spec.default,
                    spec.metadata["meaning"],
                    describe_range(spec.metadata),
                    spec.metadata["affects_training"],
                )
            )
    return tuple(settings)
