"""`setting()` and the base class of the sections: default, help text, range, validation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import field
from typing import Any, ClassVar, Literal, TypeAlias

from audio_cls.errors import SettingError

Seconds: TypeAlias = float
Hertz: TypeAlias = int
Range: TypeAlias = tuple[float, float]  # low, high
CountOrAuto: TypeAlias = int | Literal["auto"]  # "auto": determined by the run


def setting(  # noqa: PLR0913 (each one is metadata of the field)
    default: Any,  # noqa: ANN401 (a default may have any type)
    meaning: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    affects_training: bool = True,
    is_common: bool = False,
) -> Any:  # noqa: ANN401 (dataclasses.field has no narrower type)
    """Declare one setting: its default, its help text with the unit, and its range.

    Args:
        default: The value when neither a flag nor a preset gives one.
        meaning: One or two sentences for `--help` and docs/settings.md: value, unit, default (where
            it is computed) and effect.
        minimum: Smallest allowed value.
        maximum: Largest allowed value.
        above: Allowed values are strictly larger than this.
        affects_training: Whether another value can give other weights or another test result; a
            run that is resumed may change the settings that cannot.
        is_common: Whether `train --help` lists it; `--help-all` lists every setting.

    Returns:
        A dataclass field with all of this as metadata.
    """
    metadata = {
        "meaning": meaning,
        "minimum": minimum,
        "maximum": maximum,
        "above": above,
        "affects_training": affects_training,
        "is_common": is_common,
    }
    return field(default=default, metadata=metadata)


RENAMED_UNTIL = "0.3.0"  # the release that no longer accepts the former names
# Former name of a setting -> its name, in flags, presets and run folders.
RENAMED_SETTINGS = {
    "prefix_cache_gb": "feature_cache_gb",
    "max_bad_share": "max_bad_audio_ratio",
    "publish_names": "publish_ids",
    "limits": "limitations",
}


def rename_settings(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a YAML file of settings by section, with former names replaced.

    >>> rename_settings({"train": {"prefix_cache_gb": 2}, "datasets": ["a"]})
    {'train': {'feature_cache_gb': 2}, 'datasets': ['a']}
    """
    return {
        section: {RENAMED_SETTINGS.get(name, name): value for name, value in content.items()}
        if isinstance(content, Mapping)
        else content
        for section, content in tree.items()
    }


def flag_name(name: str) -> str:
    """Return the flag of a setting.

    >>> flag_name("learning_rate")
    '--learning-rate'
    """
    return "--" + name.replace("_", "-")


def describe_range(spec: Mapping[str, Any]) -> str:
    """Return the allowed values in words.

    >>> describe_range({"minimum": 0, "maximum": 1, "above": None})
    'from 0 to 1'
    >>> describe_range({"minimum": None, "maximum": 1, "above": 0})
    'above 0 and 1 or less'
    """
    if spec["minimum"] is not None and spec["maximum"] is not None:
        return f"from {spec['minimum']:g} to {spec['maximum']:g}"
    parts = []
    if spec["above"] is not None:
        parts.append(f"above {spec['above']:g}")
    if spec["minimum"] is not None:
        parts.append(f"{spec['minimum']:g} or more")
    if spec["maximum"] is not None:
        parts.append(f"{spec['maximum']:g} or less")
    return " and ".join(parts)


def find_errors(section: Any) -> list[str]:  # noqa: ANN401 (any of the dataclasses below)
    """List every number of `section` that is out of its range, as full sentences."""
    faults = []
    for spec in dataclasses.fields(section):
        given, allowed = getattr(section, spec.name), spec.metadata
        shown = ",".join(map(str, given)) if isinstance(given, tuple) else given
        numbers = [
            value
            for value in (given if isinstance(given, tuple) else (given,))
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        finite = "finite" if any(map(math.isinf, numbers)) else ""
        if not all(_is_allowed(value, allowed) for value in numbers):
            faults.append(
                f"{flag_name(spec.name)} {shown} is not possible: "
                f"it must be {' and '.join(filter(None, (describe_range(allowed), finite)))}."
            )
        elif "Range" in str(spec.type) and len(numbers) == 2 and numbers[0] > numbers[1]:
            faults.append(
                f"{flag_name(spec.name)} {shown} is not possible: give the lower number first."
            )
    return faults


def _is_allowed(value: float, allowed: Mapping[str, Any]) -> bool:
    """Return whether a number is in the range of its setting."""
    too_low = allowed["minimum"] is not None and value < allowed["minimum"]
    too_high = allowed["maximum"] is not None and value > allowed["maximum"]
    not_above = allowed["above"] is not None and value <= allowed["above"]
    return math.isfinite(value) and not (too_low or too_high or not_above)


class Section:
    """Base of the dataclasses of settings, which checks the ranges of its fields.

    The first line of a subclass's docstring introduces its settings in docs/settings.md.
    """

    heading: ClassVar[str]  # of its settings in `--help-all` and docs/settings.md

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            SettingError: The text has every error.
        """
        faults = find_errors(self)
        if faults:
            raise SettingError(" ".join(faults))
