"""Opening of a run folder: lock, and checks of what it contains."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import time
from pathlib import Path

from audio_cls.config import RunConfig
from audio_cls.errors import RunFolderError, list_names
from audio_cls.runs.config_file import SETTINGS_FILE, check_same_settings
from audio_cls.runs.folder import RunFolder
from audio_cls.runs.results import RESULTS_FILE, read_results
from audio_cls.runs.resume import check_source_run, find_source_run
from audio_cls.runs.run_files import CARD, RUN_FILES, WEIGHTS
from audio_cls.storage.files import check_writable
from audio_cls.storage.locks import FileLock

LOCK_FILE = ".lock"
LOCK_SECONDS = 10.0  # to wait for a process that is ending and may be saving its state

logger = logging.getLogger(__name__)


def open_run_folder(path: Path, cfg: RunConfig) -> RunFolder:
    """Make, lock and check a run folder; with `--overwrite`, clear it. Main process only.

    Returns:
        The folder with its lock, which `RunFolder.close` or the end of the process releases.

    Raises:
        RunFolderError: Another process uses it, it is not writable, it has another run or other
            files, or the run in it was started with other settings.
    """
    try:
        check_writable(path)
    except OSError as error:
        raise RunFolderError(
            f"The run folder '{path}' cannot be written ({error.strerror}). Choose another"
            " --output-dir, or change its permissions."
        ) from error
    lock = lock_run_folder(path)
    check_run_folder(path, cfg)
    if cfg.train.overwrite:
        _clear(path)
    elif not has_progress(path):
        (path / SETTINGS_FILE).unlink(missing_ok=True)  # of a run that ended before its first step
        shutil.rmtree(path / "splits", ignore_errors=True)
    return RunFolder(path, lock)


def lock_run_folder(path: Path) -> FileLock | None:
    """Lock a run folder; wait some seconds for a process that is ending.

    Returns:
        The lock; None if this process has it already, or if the file system has no locks.

    Raises:
        RunFolderError: Another process has the lock; the text has its id, host and start time.
    """
    lock = FileLock(path / LOCK_FILE)
    end = time.monotonic() + LOCK_SECONDS
    try:
        while not lock.acquire():
            holder = lock.read_holder()
            if holder and (holder.pid, holder.host) == (os.getpid(), socket.gethostname()):
                return None
            if time.monotonic() > end:
                raise RunFolderError(
                    f"The run folder '{path}' is in use by {holder or 'another process'}. Wait"
                    " until that run has ended, stop it (`kill PROCESS` on that host saves its"
                    " state), or choose another --output-dir."
                )
            time.sleep(0.2)
    except OSError as error:
        logger.warning(
            "The file system of '%s' has no locks (%s): do not start two runs in this folder.",
            *(path, error.strerror),
        )
        return None
    return lock


def check_run_folder(path: Path, cfg: RunConfig) -> None:
    """Check that a run may use a folder. Nothing is written.

    A run without a model and a checkpoint counts as an empty folder.

    Raises:
        RunFolderError: It has another run or other files, or the run in it was started with other
            settings.
    """
    source = find_source_run(path, cfg.train.resume)
    if source is not None:
        check_source_run(source, path, cfg)
    if (path / SETTINGS_FILE).is_file():
        if not has_progress(path) or cfg.train.overwrite:
            return
        if cfg.train.resume == "never":
            raise RunFolderError(
                f"'{path}' holds another run. Resume it with --resume auto, replace it with"
                " --overwrite, or choose another --output-dir."
            )
        check_same_settings(path, cfg)
        return
    others = [entry.name for entry in path.iterdir()] if path.is_dir() else []
    others = [name for name in others if name != LOCK_FILE]
    if others:
        raise RunFolderError(
            f"'{path}' is not empty ({list_names(others)}) and not a run."
            " Choose another --output-dir."
        )


def has_progress(path: Path) -> bool:
    """Return whether a run folder has results of training: a model, checkpoint or results."""
    names = (WEIGHTS, RESULTS_FILE, "checkpoints/step-*")
    return any(True for name in names for _ in path.glob(name))


def is_finished(path: Path) -> bool:
    """Return whether a run was completed: the card is written last.

    A results.json that is empty or truncated, as after a full disk, does not count.
    """
    try:
        results = read_results(path / RESULTS_FILE)
    except RunFolderError:
        return False
    return bool(results.test) and all(any(path.glob(name)) for name in (WEIGHTS, CARD))


def _clear(path: Path) -> None:
    """Remove the files that a run writes, and no others."""
    for one in RUN_FILES:
        if one.folder is not None:
            shutil.rmtree(path / one.folder, ignore_errors=True)
            continue
        for file in path.glob(one.name):
            file.unlink()
