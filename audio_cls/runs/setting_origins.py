"""SettingOrigins: which preset a run uses and why, and which settings came from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from audio_cls.config import RunConfig, flag_name, iterate_settings

Origin = Literal["flag", "preset", "default"]


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

    def list_changed(self, cfg: RunConfig) -> dict[str, str]:
        """Return the settings that differ from their defaults, `{flag: value}`.

        The value ends with "(preset)" where it came from there.
        """
        return self._list(cfg, only_changed=True)

    def list_all(self, cfg: RunConfig) -> dict[str, str]:
        """Return all settings, `{flag: value}`; the value ends with "(flag)" or "(preset)"."""
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
            is_named = origin == "preset" or (origin == "flag" and not only_changed)
            shown[flag] = f"{text} ({origin})".lstrip() if is_named else text
        return shown


def _format_setting(name: str, value: object) -> tuple[str, str]:
    """Return flag and value of a setting; the flag alone for yes and no.

    >>> _format_setting("normalize", False), _format_setting("speed_range", (0.9, 1.1))
    (('--no-normalize', ''), ('--speed-range', '0.9,1.1'))
    """
    flag = flag_name(name)
    if isinstance(value, bool):
        return (flag if value else f"--no-{flag.removeprefix('--')}"), ""
    if isinstance(value, tuple):
        return flag, ",".join(map(_to_text, value)) or "''"
    return flag, "''" if value in (None, "") else _to_text(value)


def _to_text(value: object) -> str:
    """Write a value as it is typed, numbers without needless digits.

    >>> _to_text(5e-05), _to_text(10), _to_text("a b")
    ('5e-5', '10', "'a b'")
    """
    if isinstance(value, float):
        return f"{value:g}".replace("e-0", "e-").replace("e+0", "e+")
    text = str(value)
    return f"'{text}'" if " " in text else text
