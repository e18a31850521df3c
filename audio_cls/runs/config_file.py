"""run_config.yaml: the settings of a run, what it resolved, and its record.

::

    data: {...}        one mapping per section: the settings as they were given
    resolved: {...}    values of the settings that were left open, see `ResolvedRun`
    record: {...}      command, versions, hash of the data
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from audio_cls.config import SECTIONS, RunConfig, flag_name, iterate_settings, rename_settings
from audio_cls.errors import RunFolderError, describe_error
from audio_cls.runs.resolved import (
    NOT_RESOLVED,
    OPEN,
    RESOLVED,
    STEP_SIZE,
    ResolvedRun,
    read_resolved,
    read_settings,
)
from audio_cls.storage.files import replace_file

SETTINGS_FILE = "run_config.yaml"
DATA_HASH = "data_sha256"  # key of the record: hash of the clip ids and labels of each split
# `check_steps` compares their effect instead: clips per step and number of steps.
COMPARED_LATER = (*STEP_SIZE, "epochs", "max_steps")


def save_run_config(
    path: Path, cfg: RunConfig, resolved: ResolvedRun, record: Mapping[str, Any]
) -> None:
    """Write run_config.yaml.

    Args:
        path: The run folder.
        cfg: The settings as they were given.
        resolved: The values of those that were left open.
        record: Command, versions and hash of the data.
    """
    tree = {**cfg.to_nested(), RESOLVED: dataclasses.asdict(resolved), "record": dict(record)}
    text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100)
    replace_file(path / SETTINGS_FILE, text)


def load_run_config(run: Path) -> dict[str, Any]:
    """Return the content of a run folder's run_config.yaml; empty where there is none.

    Raises:
        RunFolderError: It cannot be read, or is not sections of settings.
    """
    file = run / SETTINGS_FILE
    try:
        tree = yaml.safe_load(file.read_text("utf-8")) if file.is_file() else None
        sections = (
            [] if tree is None else [tree, *(tree.get(n) or {} for n in (*SECTIONS, "record"))]
        )
        if not all(isinstance(section, dict) for section in sections):
            raise ValueError("it must have sections of 'setting: value' lines")
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise RunFolderError(
            f"'{file}' cannot be read ({describe_error(error)}). Copy the run folder again, or"
            " choose another --output-dir."
        ) from error
    return rename_settings(tree or {})


def load_resolved(run: Path, cfg: RunConfig) -> ResolvedRun:
    """Return what the run in a folder resolved; nothing where `cfg` does not resume a run."""
    return read_resolved(load_run_config(run)) if cfg.train.resume != "never" else NOT_RESOLVED


def list_other_settings(run: Path, cfg: RunConfig) -> list[tuple[str, str]]:
    """Compare settings with those of a run that they resume.

    Returns:
        (section, "--flag OLD is now NEW") of each setting that differs from what was given and from
        what it was resolved to, except those that do not affect training and `COMPARED_LATER`. A
        setting that is left open now takes the value of then. One that did not exist when the run
        began had its default.
    """
    given, new = load_run_config(run), cfg.to_nested()
    used = read_settings(given)
    found = []
    for one in iterate_settings():
        section, name = one.section, one.name
        default = list(one.default) if isinstance(one.default, tuple) else one.default
        now, before = new[section][name], used.get(section, {}).get(name, default)
        is_open = name in OPEN and now == OPEN[name]
        is_same = is_open or now in (before, given.get(section, {}).get(name, default))
        if one.affects_training and name not in COMPARED_LATER and not is_same:
            found.append((section, f"{flag_name(name)} {before} is now {now}"))
    return found


def check_same_settings(run: Path, cfg: RunConfig) -> None:
    """Check that a run is not resumed with settings that would train it differently.

    Raises:
        RunFolderError: The text lists all settings that differ.
    """
    changed = [text for _, text in list_other_settings(run, cfg)]
    if changed:
        raise RunFolderError(
            f"The run in '{run}' was started with other settings: {'; '.join(changed)}. Use the"
            f" old ones (--preset {run / SETTINGS_FILE}), or choose another --output-dir."
        )


def check_same_data(run: Path, data_hash: str) -> None:
    """Check that the clips, labels and splits are those that the run began with.

    Args:
        run: Folder of the run whose state is used.
        data_hash: See `PreparedClips.hash_rows`. Runs of earlier versions have none: they are not
            compared.

    Raises:
        RunFolderError: The run began with others.
    """
    before = (load_run_config(run).get("record") or {}).get(DATA_HASH)
    if before not in (None, data_hash):
        raise RunFolderError(
            f"The data set has changed since the run in '{run}' began: its clips, labels or splits"
            " are not the same, and test clips may be among those that were trained on. Restore"
            " the data set, or start a new run in another --output-dir; --split-files"
            f" {run} gives it the splits of the old one."
        )


def list_other_steps(run: Path, cfg: RunConfig) -> list[str]:
    """Return "--flag OLD is now NEW" of each setting of the size of a step that differs.

    With `--batch-size auto` these are open, except for an `--effective-batch-size` that is given.
    """
    old, new = read_settings(load_run_config(run)).get("train", {}), cfg.to_nested()["train"]
    names: Sequence[str] = STEP_SIZE
    if new["batch_size"] == "auto":
        names = STEP_SIZE[2:] if new["effective_batch_size"] is not None else ()
    return [
        f"{flag_name(name)} {old[name]} is now {new[name]}"
        for name in names
        if name in old and old[name] != new[name]
    ]


def find_run_folder(model: str) -> Path | None:
    """Return the run folder of a model: its folder, or that of RUN/checkpoints/step-N/best.

    None for other folders and for models of the Hub.
    """
    path = Path(model).expanduser().absolute()
    for folder in (path, *path.parents[:3]) if path.is_dir() else ():
        is_own = folder == path or path.relative_to(folder).parts[0] == "checkpoints"
        if is_own and (folder / SETTINGS_FILE).is_file():
            return folder
    return None
