"""The settings of a run on disk: written once, adopted and compared when the run goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from audio_cls.config import RunConfig, flag_name
from audio_cls.errors import RunFolderError
from audio_cls.storage.files import replace_file

FOUND_OUT = (  # section, setting, and its value while a run has yet to find it out
    ("data", "dataset_revision", None),
    ("data", "problem_type", "auto"),
    ("model", "model_revision", None),
    ("audio", "max_seconds", None),
    ("eval", "metric", "auto"),
)
STEP_SIZE = ("gradient_accumulation_steps", "effective_batch_size")
FREE_TO_CHANGE = {  # settings that a resumed run may change without being another run
    "output_dir", "resume", "overwrite", "num_workers", "keep_checkpoints", "save_every_steps",
    "report_to", "eval_batch_size", "log", "max_train_minutes", "push_to_hub", "hub_repo_id",
    "private", "license", "dry_run",
}  # fmt: skip


def adopt_revisions(cfg: RunConfig, path: Path) -> RunConfig:
    """Return the settings with what the run in `path` found when it started, when it goes on.

    The commits, what 'auto' meant for its labels, the number that `--batch-size auto` came to, and
    how long a piece its checkpoint heard where that was not told. A data set or a model may have
    moved on the Hub since; a resumed run must not move with it.
    """
    file = path / "run_config.yaml"
    if cfg.train.resume == "never" or not file.is_file():
        return cfg
    tree = yaml.safe_load(file.read_text("utf-8")) or {}
    nested = cfg.to_nested()
    for section, name, undecided in FOUND_OUT:
        if nested[section][name] == undecided:
            part = dataclasses.replace(getattr(cfg, section), **{name: tree[section][name]})
            cfg = dataclasses.replace(cfg, **{section: part})
    train = cfg.train
    if train.batch_size == "auto":  # what was found then
        own = {name: tree["train"][name] for name in ("batch_size", *STEP_SIZE)}
        if train.effective_batch_size is not None:
            own["effective_batch_size"] = train.effective_batch_size
        train = dataclasses.replace(train, **own)
    return dataclasses.replace(cfg, train=train)


def save_run_config(path: Path, cfg: RunConfig, record: Mapping[str, Any]) -> None:
    """Write `run_config.yaml`: every resolved setting, and what the run stood on."""
    tree: dict[str, Any] = {**cfg.to_nested(), "record": dict(record)}
    text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100)
    replace_file(path / "run_config.yaml", text)


def check_same_settings(path: Path, cfg: RunConfig) -> None:
    """Refuse to go on with a run under other settings; the text lists all that differ."""
    old, new = yaml.safe_load(path.read_text("utf-8")) or {}, cfg.to_nested()
    changed = [
        f"{flag_name(name)} {old.get(section, {}).get(name)} is now {value}"
        for section, values in new.items()
        for name, value in values.items()
        if name not in FREE_TO_CHANGE and old.get(section, {}).get(name) != value
    ]
    if changed:
        raise RunFolderError(
            f"The run in '{path.parent}' was started with other settings: {'; '.join(changed)}."
            f" Go on with the old ones (--preset {path}), or choose another --output-dir."
        )
