"""The settings of a run on disk: written once, adopted and compared when the run goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from audio_cls.config import RunConfig, flag_name, iterate_settings, rename_settings
from audio_cls.errors import RunFolderError
from audio_cls.storage.files import replace_file

SETTINGS_FILE = "run_config.yaml"
DATA_HASH = "data_sha256"  # in its record: of the ids and labels of the clips of each split
RESOLVED_SETTINGS = (  # section, setting, and its value while a run has yet to find it out
    ("data", "dataset_revision", None),
    ("data", "problem_type", "auto"),
    ("data", "group_column", None),  # segments are grouped by their recording
    ("model", "model_revision", None),
    ("audio", "max_seconds", None),
    ("eval", "metric", "auto"),
)
STEP_SIZE = ("batch_size", "gradient_accumulation_steps", "effective_batch_size")
# Compared with the checkpoint by what comes of them, see resume.py: clips a step, number of steps.
COMPARED_LATER = (*STEP_SIZE, "epochs", "max_steps")


def inherit_resolved(cfg: RunConfig, path: Path) -> RunConfig:
    """Return the settings with what the run in `path` found when it started, when it goes on.

    The commits, what 'auto' meant for its labels, the number that `--batch-size auto` came to, and
    how long a piece its checkpoint heard where that was not told. A data set or a model may have
    moved on the Hub since; a resumed run must not move with it.
    """
    file = path / SETTINGS_FILE
    if cfg.train.resume == "never" or not file.is_file():
        return cfg
    tree = rename_settings(yaml.safe_load(file.read_text("utf-8")) or {})
    nested = cfg.to_nested()
    for section, name, undecided in RESOLVED_SETTINGS:
        if nested[section][name] == undecided:
            part = dataclasses.replace(getattr(cfg, section), **{name: tree[section][name]})
            cfg = dataclasses.replace(cfg, **{section: part})
    train = cfg.train
    if train.batch_size == "auto":  # what was found then
        own = {name: tree["train"][name] for name in STEP_SIZE}
        if train.effective_batch_size is not None:
            own["effective_batch_size"] = train.effective_batch_size
        train = dataclasses.replace(train, **own)
    return dataclasses.replace(cfg, train=train)


def save_run_config(path: Path, cfg: RunConfig, record: Mapping[str, Any]) -> None:
    """Write `run_config.yaml`: every resolved setting, and what the run stood on."""
    tree: dict[str, Any] = {**cfg.to_nested(), "record": dict(record)}
    text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100)
    replace_file(path / SETTINGS_FILE, text)


def list_other_settings(path: Path, cfg: RunConfig) -> list[tuple[str, str]]:
    """Compare settings with a run's run_config.yaml.

    Returns:
        (section, "--flag OLD is now NEW") of each setting that differs, but for those that have no
        part in training and those that are compared later by what comes of them.
    """
    old, new = rename_settings(yaml.safe_load(path.read_text("utf-8")) or {}), cfg.to_nested()
    found = []
    for one in iterate_settings():
        before = old.get(one.section, {}).get(one.name)
        now = new[one.section][one.name]
        if one.affects_training and one.name not in COMPARED_LATER and before != now:
            found.append((one.section, f"{flag_name(one.name)} {before} is now {now}"))
    return found


def check_same_settings(path: Path, cfg: RunConfig) -> None:
    """Refuse to go on with a run under settings that would train it differently.

    Raises:
        RunFolderError: The text lists all settings that differ.
    """
    changed = [text for _, text in list_other_settings(path, cfg)]
    if changed:
        raise RunFolderError(
            f"The run in '{path.parent}' was started with other settings: {'; '.join(changed)}."
            f" Go on with the old ones (--preset {path}), or choose another --output-dir."
        )


def check_same_data(run: Path, rows: str) -> None:
    """Refuse to go on with a run whose clips, labels or splits have changed since it began.

    Args:
        run: Folder of the run whose state is used.
        rows: See `PreparedClips.hash_rows`. A run of an older version has none: it is not compared.

    Raises:
        RunFolderError: The run began with others.
    """
    file = run / SETTINGS_FILE
    tree = (yaml.safe_load(file.read_text("utf-8")) or {}) if file.is_file() else {}
    before = (tree.get("record") or {}).get(DATA_HASH)
    if before not in (None, rows):
        raise RunFolderError(
            f"The data set has changed since the run in '{run}' began: its clips, labels or splits"
            " are not the same, and test clips may be among those that were trained on. Restore"
            " the data set, or start a new run in another --output-dir; --split-files"
            f" {run} gives it the splits of the old one."
        )


def list_other_steps(path: Path, cfg: RunConfig) -> list[str]:
    """Return "--flag OLD is now NEW" of each setting of the size of a step that differs."""
    old = (yaml.safe_load(path.read_text("utf-8")) or {}).get("train", {})
    new = inherit_resolved(cfg, path.parent).to_nested()["train"]
    return [
        f"{flag_name(name)} {old[name]} is now {new[name]}"
        for name in STEP_SIZE
        if name in old and old[name] != new[name]
    ]
