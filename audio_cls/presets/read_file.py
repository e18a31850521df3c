"""Read the YAML of a preset: settings at the top level or in sections, every name checked.

`learning_rate: 1e-3` and `optim: {learning_rate: 1e-3}` are the same. Values stay as YAML returns
them: click converts them, so that `1e-3` (a text in YAML 1.1) becomes a number.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import yaml

from audio_cls.config import RENAMED_SETTINGS, SECTIONS, iterate_settings
from audio_cls.errors import SettingError, list_names, suggest_name
from audio_cls.runs.resolved import RESOLVED, read_settings

ABOUT = "about"  # task and result, for --list-presets
DATASETS = "datasets"
EXTRA_KEYS = (DATASETS, ABOUT, RESOLVED, "record")


def read_yaml(name: str, text: str) -> dict[Any, Any]:
    """Return the mapping in a YAML text; in that of a run, with the values that it resolved.

    Raises:
        SettingError: The text is not YAML, or not a mapping.
    """
    try:
        tree = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
            where = f"line {error.problem_mark.line + 1}: {error.problem}"
        raise SettingError(f"{name} is not valid YAML, {where}. Correct that line.") from error
    if not isinstance(tree, dict):
        raise SettingError(
            f"{name} must have lines 'setting: value', such as 'epochs: 20', in sections"
            f" ({list_names(SECTIONS)}) or without them."
        )
    return tree | read_settings(tree) if RESOLVED in tree else tree


def read_values(name: str, tree: Mapping[Any, Any]) -> dict[str, Any]:
    """Return {setting: value} of a mapping, without the settings that it leaves empty.

    Raises:
        SettingError: A name is unknown, in a wrong section or given twice; the text has all errors.
    """
    known = {one.name: one for one in iterate_settings()}
    values: dict[str, Any] = {}
    faults = []
    for section, key, value in _list_entries(tree):
        new = RENAMED_SETTINGS.get(key, key)
        if not key:
            faults.append(f"section '{section}' must have lines 'setting: value'.")
        elif (
            new not in known
            or section not in (None, known[new].section)
            or isinstance(value, Mapping)
        ):
            faults.append(_explain_unknown(section, new, value))
        elif new in values:
            faults.append(f"'{new}' is given twice: remove one of the two lines.")
        else:
            values[new] = known[new].read_yaml(value)
    if faults:
        raise SettingError(f"{name}: " + " ".join(faults))
    return {key: value for key, value in values.items() if value is not None}


def read_datasets(name: str, given: object) -> dict[str, dict[str, Any]]:
    """Return {data set id: its settings} of `datasets`, a list of ids or such a mapping."""
    if isinstance(given, list | tuple):
        return {str(one): {} for one in given}
    if given is None or isinstance(given, Mapping):
        return {
            str(key): read_values(f"{name}, {key}", part or {})
            for key, part in (given or {}).items()
        }
    raise SettingError(f"{name}: datasets must be a list of ids, or lines 'id: settings'.")


def _list_entries(tree: Mapping[Any, Any]) -> list[tuple[str | None, str, Any]]:
    """Return (section, key, value) of every line; the section is None at the top level.

    A section that is not a mapping is (section, "", its value).
    """
    names = {one.name for one in iterate_settings()}
    entries: list[tuple[str | None, str, Any]] = []
    for key, value in tree.items():
        if key in EXTRA_KEYS or value is None:
            continue
        if key in SECTIONS and isinstance(value, Mapping):
            entries += [(key, str(name), one) for name, one in value.items()]
        elif key in SECTIONS and key not in names:
            entries.append((key, "", value))
        else:
            entries.append((None, str(key), value))
    return entries


def _explain_unknown(section: str | None, key: str, value: object) -> str:
    """Return what is wrong with a name, and the nearest one that exists, with its section."""
    owners = {one.name: one.section for one in iterate_settings()}
    if section is None and isinstance(value, Mapping):
        hint = suggest_name(key, SECTIONS)
        if key in owners:
            start = f"'{key}' must have one value, not lines 'name: value' (as a section: "
            return f"{start}unknown section '{key}', they are {list_names(SECTIONS)})."
        return f"unknown section '{key}': the sections are {list_names(SECTIONS)}.{hint}"
    if key in owners and isinstance(value, Mapping):
        return f"'{section}.{key}' must have one value, not lines 'name: value'."
    if key in owners:
        return f"'{key}' is not in section '{section}' but in '{owners[key]}': move it there."
    shown = key if section is None else f"{section}.{key}"
    nearest = difflib.get_close_matches(key.replace("-", "_"), owners, n=1)
    hint = "".join(f" Did you mean {name} (section {owners[name]})?" for name in nearest)
    return f"unknown setting '{shown}': docs/settings.md has all of them.{hint}"
