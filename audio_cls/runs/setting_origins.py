"""SettingOrigins: which preset a run uses and why, and which settings came from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from audio_cls.command_names import quote_words
from audio_cls.config import RunConfig, flag_name, iterate_settings

Origin = Literal["flag", "preset", "sweep", "default"]


@dataclass(frozen=True)
class SettingOrigins:
    """Where the settings of a command came from."""

    preset: str | None = None  # name or file
    is_automatic: bool = False  # the data set chose the preset, no --preset was given
    by_name: dict[str, Origin] = field(default_factory=dict)  # setting -> origin
    is_verbose: bool = False  # --verbose: every setting is shown

    def explain_preset(self, dataset: str) -> str:
        """Return why the preset applies; empty without one."""
        if self.preset is None:
            return ""
        if self.is_automatic:
            return f"chosen because the data set is {dataset}; --preset none switches it off"
        return "chosen with --preset"

    def with_sweep(self, names: Iterable[str]) -> SettingOrigins:
        """Return the origins of a case of a sweep, which sets these settings."""
        by_name: dict[str, Origin] = {**self.by_name, **dict.fromkeys(names, "sweep")}
        return dataclasses.replace(self, by_name=by_name)

    def list_changed(self, cfg: RunConfig) -> dict[str, str]:
        """Return the settings that differ from their defaults, `{flag: value}`.

        The value ends with "(preset)" or "(sweep)" where it came from there.
        """
        return self._list(cfg, only_changed=True)

    def list_all(self, cfg: RunConfig) -> dict[str, str]:
        """Return all settings, `{flag: value}`; the value ends with its origin, as "(flag)"."""
        return self._list(cfg, only_changed=False)

    def _list(self, cfg: RunConfig, *, only_changed: bool) -> dict[str, str]:
        """Return settings as they are typed."""
        shown = {}
        for one in iterate_settings():
            value = getattr(getattr(cfg, one.section), one.name)
            if only_changed and value == one.default:
                continue
            flag, text = _format_setting(one.name, value)
            origin = self.by_name.get(one.name, "default")
            is_named = origin in ("preset", "sweep") or (origin == "flag" and not only_changed)
            shown[flag] = f"{text} ({origin})".lstrip() if is_named else text
        return shown


def _format_setting(name: str, value: object) -> tuple[str, str]:
    """Return flag and value of a setting; the flag alone for yes and no.

    >>> _format_setting("normalize", False), _format_setting("speed_range", (0.9, 1.1))
    (('--no-normalize', ''), ('--speed-range', '0.9,1.1'))
    >>> _format_setting("label_pattern", "a b$"), _format_setting("group_column", None)
    (('--label-pattern', "'a b$'"), ('--group-column', "''"))
    """
    flag = flag_name(name)
    if isinstance(value, bool):
        return (flag if value else f"--no-{flag.removeprefix('--')}"), ""
    parts = value if isinstance(value, tuple) else [value]
    return flag, quote_words([",".join("" if one is None else _to_text(one) for one in parts)])


def _to_text(value: object) -> str:
    """Write a value as it is typed, numbers without needless digits.

    >>> _to_text(5e-05), _to_text(10)
    ('5e-5', '10')
    """
    if isinstance(value, float):
        return f"{value:g}".replace("e-0", "e-").replace("e+0", "e+")
    return str(value)
