"""Finished runs that are named again with --resume auto: nothing to do, or trained longer."""

from __future__ import annotations

from audio_cls.config import RunConfig, flag_name
from audio_cls.errors import RunFolderError
from audio_cls.runs.config_file import load_run_config
from audio_cls.runs.folder import RunFolder, choose_run_path
from audio_cls.runs.open_folder import is_finished
from audio_cls.workflows.show_results import show_finished

# Settings of the length of a run: a finished run is resumed if one of them has changed.
LENGTH = ("epochs", "max_steps", "max_train_minutes", "early_stopping_patience")


def is_done(cfg: RunConfig) -> bool:
    """Return whether a run is resumed that is finished, without settings that make it longer."""
    path = choose_run_path(cfg)
    return cfg.train.resume == "auto" and is_finished(path) and not list_other_lengths(cfg)


def list_other_lengths(cfg: RunConfig) -> list[str]:
    """Return "--flag OLD is now NEW" of each setting of the length that differs from the run's."""
    old, new = load_run_config(choose_run_path(cfg))["train"], cfg.to_nested()["train"]
    return [
        f"{flag_name(name)} {old.get(name)} is now {new[name]}"
        for name in LENGTH
        if old.get(name) != new[name]
    ]


def check_longer(cfg: RunConfig) -> None:
    """Check that a finished run that is to be trained longer still has a checkpoint.

    Raises:
        RunFolderError: It has none, as with `--keep-checkpoints 0`.
    """
    path = choose_run_path(cfg)
    if cfg.train.resume != "auto" or cfg.train.overwrite or not is_finished(path):
        return
    changed = list_other_lengths(cfg)
    if changed and not RunFolder(path).find_checkpoints():
        reason = "--method auto" if cfg.train.method == "auto" else "--keep-checkpoints 0"
        raise RunFolderError(
            f"The run in '{path}' is finished and has no checkpoints ({reason}), so"
            f" that it cannot be trained longer ({'; '.join(changed)}). Use the old values, or"
            f" train its model further in a new run: --model {path} --output-dir NEW."
        )


def close_finished(cfg: RunConfig) -> None:
    """Show the result of a run that is done; remove its checkpoints with `--keep-checkpoints 0`."""
    path = choose_run_path(cfg)
    if cfg.train.keep_checkpoints == 0:
        RunFolder(path).remove_checkpoints()
    show_finished(path, cfg.train)
