"""Opening a run folder: one writer at a time, and what it may go on with or replace."""

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
LOCK_SECONDS = 10.0  # to wait for a process that is ending: it may be saving its last step
logger = logging.getLogger(__name__)


def open_run_folder(path: Path, cfg: RunConfig) -> RunFolder:
    """Lock the run folder and make it ready to be written to. Main process only.

    Returns:
        The folder with its lock, which is free again after `RunFolder.close` or when the process
        ends in any way.

    Raises:
        RunFolderError: Another process writes to it, it holds another run or other files, it cannot
            be written, or its settings are not those of the run that is to go on.
    """
    try:
        check_writable(path)
    except OSError as error:
        raise RunFolderError(
            f"The run folder '{path}' cannot be written ({error.strerror})."
            " Give another by --output-dir, or change its permissions."
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
    """Take the lock of a run folder; a process that is about to end is waited for.

    Returns:
        The lock; None where this process has it already or the file system has no locks.

    Raises:
        RunFolderError: Another process has it; the text has its number, host and start.
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
    """Refuse a folder that the run may not write to; nothing is written yet.

    A folder in which no model and no checkpoint was written yet is as good as an empty one.

    Raises:
        RunFolderError: It holds another run or other files, or its settings are not those of the
            run that is to go on.
    """
    source = find_source_run(path, cfg.train.resume)
    if source is not None:
        check_source_run(source, path, cfg)
    if (path / SETTINGS_FILE).is_file():
        if not has_progress(path) or cfg.train.overwrite:
            return
        if cfg.train.resume == "never":
            raise RunFolderError(
                f"'{path}' holds another run. Go on with it by --resume auto, replace it by"
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
    """Tell whether a run folder holds anything that took training: a model or a checkpoint."""
    names = ("model*.safetensors", RESULTS_FILE, "checkpoints/step-*")
    return any(True for name in names for _ in path.glob(name))


def is_finished(path: Path) -> bool:
    """Tell whether a run went through to its end: its card is what it writes last.

    A results.json that is empty or cut off, as a full disk may leave one, is none.
    """
    try:
        results = read_results(path / RESULTS_FILE)
    except RunFolderError:
        return False
    others = (WEIGHTS, CARD)
    return bool(results.test) and all(any(path.glob(name)) for name in others)


def _clear(path: Path) -> None:
    """Remove the files that a run writes, and no others."""
    for one in RUN_FILES:
        if one.folder is not None:
            shutil.rmtree(path / one.folder, ignore_errors=True)
            continue
        for file in path.glob(one.name):
            file.unlink()
