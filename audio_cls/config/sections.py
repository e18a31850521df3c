"""Sections of the configuration, and the description of every setting in them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import numbers
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from audio_cls.config.audio import AudioConfig
from audio_cls.config.augmentation import AugmentConfig
from audio_cls.config.base import CountOrAuto, Range, Section, describe_range
from audio_cls.config.data.data_config import DataConfig
from audio_cls.config.evaluation import EvalConfig
from audio_cls.config.hub import HubConfig
from audio_cls.config.model import ModelConfig
from audio_cls.config.optimizer import OptimConfig
from audio_cls.config.training import TrainConfig

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
TYPE_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Range: "two numbers",
    CountOrAuto: "a whole number or 'auto'",
}


def list_defaults() -> dict[str, Any]:
    """Return the default of every setting, by name."""
    return {
        spec.name: spec.default for owner in SECTIONS.values() for spec in dataclasses.fields(owner)
    }


@dataclass(frozen=True)
class Setting:
    """Description of one field, for the command line, presets and tables."""

    section: str  # its key in YAML files
    group: type[Section]  # the dataclass that defines it, with the heading of its group
    name: str
    type: Any  # the type without None: str, int, float, bool, tuple[str, ...] or a Literal
    is_optional: bool
    default: Any
    meaning: str
    allowed: str  # the range in words, empty without a range
    affects_training: bool  # whether a run that is resumed must keep it
    is_common: bool  # whether `train --help` lists it

    @property
    def choices(self) -> tuple[str, ...]:
        """Return the allowed words of a Literal, else ()."""
        return typing.get_args(self.type) if typing.get_origin(self.type) is Literal else ()

    @property
    def type_name(self) -> str:
        """Return the type in words."""
        if self.choices:
            return " or ".join(map(repr, self.choices))
        return TYPE_NAMES.get(self.type, "a list")

    def accepts(self, value: Any) -> bool:  # noqa: ANN401 (that is the question)
        """Return whether a value has the setting's type; a list counts as a tuple.

        >>> one = next(one for one in iterate_settings() if one.name == "epochs")
        >>> one.accepts(3), one.accepts(1.5), one.accepts("3"), one.accepts(True)
        (True, False, False, False)
        """
        if value is None:
            return self.is_optional
        return _has_type(value, self.type)

    def read_yaml(self, value: Any) -> Any:  # noqa: ANN401 (a setting may have any type)
        """Return a value of a YAML file, which reads `no` as false and 1e-3 as text.

        >>> [one.read_yaml(False) for one in iterate_settings() if one.name == "mixed_precision"]
        ['no']
        """
        if isinstance(value, bool) and "no" in self.choices:
            return "yes" if value else "no"
        if self.type is float and isinstance(value, str):
            with contextlib.suppress(ValueError):
                return float(value)
        return value


def _has_type(value: Any, kind: Any) -> bool:  # noqa: ANN401 (any value, any type)
    """Return whether a value has one of the types of settings."""
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
                    next(one for one in owner.__mro__ if spec.name in inspect.get_annotations(one)),
                    spec.name,
                    hint,
                    is_optional,
                    spec.default,
                    spec.metadata["meaning"],
                    describe_range(spec.metadata),
                    spec.metadata["affects_training"],
                    spec.metadata["is_common"],
                )
            )
    return tuple(settings)
