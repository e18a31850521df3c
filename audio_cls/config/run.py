"""RunConfig: all sections of settings of one run; flat names and nested YAML."""

from __future__ import annotations

import dataclasses
import math
import os
import reprlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from audio_cls.config.audio import AudioConfig
from audio_cls.config.augmentation import AugmentConfig
from audio_cls.config.base import RENAMED_SETTINGS, flag_name
from audio_cls.config.data.data_config import DataConfig
from audio_cls.config.evaluation import EvalConfig
from audio_cls.config.hub import HubConfig
from audio_cls.config.model import ModelConfig
from audio_cls.config.optimizer import OptimConfig
from audio_cls.config.requirements import find_unused, reset_unused
from audio_cls.config.sections import SECTIONS, iterate_settings, list_defaults
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
        """Check settings of several sections against each other.

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
                f"--window-seconds {window:g} is longer than --max-seconds {longest:g}, the model's"
                f" input: give at most {longest:g}."
            )
        if hop is not None and hop > window:
            faults.append(
                f"--hop-seconds {hop:g} would skip audio between windows of {window:g} s: give at"
                f" most {window:g}."
            )
        if self.optim.sampler == "balanced" and self.optim.class_weights == "balanced":
            faults.append(
                "--sampler balanced and --class-weights balanced both correct for the number of"
                " clips per class, so that rare classes get too much weight: give one of them."
            )
        values = {name: value for part in self.to_sections() for name, value in part.items()}
        faults += [
            f"{_show(name, values[name])} has no effect: {advice}."
            for name, advice in find_unused(values, list_defaults()).items()
        ]
        if self.train.method == "auto":
            faults.extend(self._find_auto_faults())
        if self.data.streaming:
            faults.extend(self._find_stream_faults())
        if faults:
            raise SettingError(" ".join(faults))

    def _find_auto_faults(self) -> list[str]:
        """List the settings that exclude --method auto."""
        faults = []
        if self.model.from_scratch:
            faults.append(
                "--method auto needs a pretrained --model, because it starts from a linear probe,"
                " which learns little from the random weights of --from-scratch (a preset may set"
                " it, as demo does): give --method fine-tune."
            )
        if self.train.resume not in ("never", "auto"):
            faults.append(
                f"--resume {self.train.resume} names a checkpoint, and --method auto has several"
                " candidates: give --resume auto."
            )
        return faults

    def _find_stream_faults(self) -> list[str]:
        """List the settings that --streaming needs, and those that exclude it."""
        faults = []
        if self.train.max_steps is None:
            faults.append(
                "--streaming needs --max-steps, as the number of clips is not known: give the"
                " number of optimizer steps."
            )
        wants = {
            "--class-weights balanced": self.optim.class_weights == "balanced",
            "--pos-weight auto": self.optim.pos_weight == "auto",
            "--sampler balanced": self.optim.sampler == "balanced",
            "--batch-size auto": self.train.batch_size == "auto",
            "--length-buckets": self.train.length_buckets is not None,
            f"--method {self.train.method}": self.train.method != "fine-tune",
            "--refit": self.train.refit,
        }
        needs_all = [flag for flag, is_wanted in wants.items() if is_wanted]
        if needs_all:
            faults.append(
                f"--streaming cannot be used with {', '.join(needs_all)}, which needs all clips"
                " before training: leave one of them out."
            )
        return faults

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> RunConfig:
        """Build the tree from `{setting name: value}`; names that are missing keep their default.

        A path may be a `Path`. Presets are not applied: see `audio_cls.config_from_preset`.

        Raises:
            SettingError: Unknown names, values of another type, out of range or in contradiction;
                the text has every error.
        """
        if not isinstance(values, Mapping):
            raise SettingError(
                f"from_flat({reprlib.repr(values)}) is not possible: give a mapping of settings to"
                ' values, such as {"dataset": "clips", "epochs": 10}.'
            )
        values = {
            RENAMED_SETTINGS.get(name, name): os.fspath(value)
            if isinstance(value, os.PathLike)
            else value
            for name, value in values.items()
        }
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


def drop_unused(values: Mapping[str, Any], keep: Collection[str] = ()) -> dict[str, Any]:
    """Return `{setting name: value}` without what has no effect, unless it is in `keep`.

    See `audio_cls.config.requirements.reset_unused`.
    """
    return reset_unused(values, list_defaults(), keep)


def _find_wrong_values(values: Mapping[str, Any]) -> list[str]:
    """List names that are not settings, and values that do not have the setting's type."""
    known = {one.name: one for one in iterate_settings()}
    faults = []
    for name, value in values.items():
        if name == "preset":
            faults.append(
                "A preset is no setting: call audio_cls.config_from_preset"
                f"({value!r}, {{...}}), which gives it the same effect as --preset."
            )
        elif name not in known:
            nearest = suggest_name(str(name).replace("-", "_"), known)
            faults.append(
                f"There is no setting '{name}': docs/settings.md has all of them.{nearest}"
            )
        elif not known[name].accepts(value):
            hint = " without quotation marks" if _is_number(value) else ""
            yaml = " (YAML reads 1e-3 as text, and 1.0e-3 as a number)" if hint else ""
            faults.append(
                f"{flag_name(name)} {value!r} is not possible: it must be"
                f" {known[name].type_name}{hint}{yaml}."
            )
    return faults


def _is_number(value: object) -> bool:
    """Return whether a value is the text of a number."""
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        return False


def _show(name: str, value: object) -> str:
    """Return a setting as it is typed.

    >>> _show("refit", True), _show("time_masks", 2), _show("report_to", ("csv", "wandb"))
    ('--refit', '--time-masks 2', '--report-to csv,wandb')
    """
    flag = flag_name(name)
    if isinstance(value, bool):
        return flag if value else f"--no-{flag[2:]}"
    return f"{flag} {','.join(map(str, value)) if isinstance(value, tuple) else value}"
