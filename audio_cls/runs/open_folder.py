"""Opening of a run folder: lock, and checks of what it contains."""

from __future__ import annotations

import dataclasses
import errno
import logging
import os
import shutil
import socket
import time
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from audio_cls.config import RunConfig
from audio_cls.errors import RunFolderError, list_names
from audio_cls.runs.config_file import SETTINGS_FILE, check_same_settings
from audio_cls.runs.folder import RunFolder
from audio_cls.runs.results import RESULTS_FILE, read_results
from audio_cls.runs.resume import check_source_run, find_resume_point, find_source_run
from audio_cls.runs.run_files import CARD, RUN_FILES, WEIGHTS
from audio_cls.storage.files import check_writable
from audio_cls.storage.locks import FileLock

LOCK_FILE = ".lock"
START_FOLDERS = ("splits", "figures")  # what a run writes before its first step
FINISHED_CANDIDATES = "candidates/*/validation.json"  # of --method auto
LOCK_SECONDS = 10.0  # to wait for a process that is ending and may be saving its state

logger = logging.getLogger(__name__)


def open_run_folder(path: Path, cfg: RunConfig) -> RunFolder:
    """Make, lock and check a run folder. Main process only.

    With `--overwrite` the old run is still there: `clear_run_folder` removes it when data set and
    model are known to be usable.

    Returns:
        The folder with its lock, which `RunFolder.close` or the end of the process releases.

    Raises:
        RunFolderError: Another process uses it, it is not writable, it has another run or other
            files, or the run in it was started with other settings.
    """
    created = tuple(one for one in (path, *path.parents) if not os.path.lexists(one))
    try:
        check_writable(path)
    except OSError as error:
        _remove_empty(created)
        raise RunFolderError(_describe_unwritable(path, error)) from error
    lock = lock_run_folder(path)
    folder = RunFolder(path, lock, created=created)
    try:
        check_run_folder(path, cfg)
    except RunFolderError:
        folder.close()
        _remove_empty(created)
        raise
    if not has_progress(path):
        (path / SETTINGS_FILE).unlink(missing_ok=True)  # of a run that ended before its first step
        for name in START_FOLDERS:
            shutil.rmtree(path / name, ignore_errors=True)
    kept = {entry.name for entry in path.iterdir()}
    if cfg.train.overwrite and has_progress(path):  # then its files are removed before new ones
        kept -= {entry.name for entry in _list_written(path)}
    return dataclasses.replace(folder, kept=frozenset(kept))


def discard_failed_start(folder: RunFolder) -> None:
    """Remove what a start wrote that failed before it trained anything. Main process only.

    A model, a checkpoint, results and the files of trackers are kept, and so is everything that
    was there before.
    """
    path = folder.path
    if not has_progress(path) and not (path / "logs").exists():
        for entry in _list_written(path):
            if entry.name not in folder.kept:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    folder.close()
    _remove_empty(folder.created)


def _list_written(path: Path) -> list[Path]:
    """Return the files and sub-folders of a folder that have the names of those of a run."""
    written = {PurePosixPath(one.name).parts[0] for one in RUN_FILES}
    return [entry for entry in path.iterdir() if any(map(entry.match, written))]


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders, the innermost first, as long as they are empty."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


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

    A run without a model and a checkpoint counts as an empty folder. Nothing heavy is imported, so
    that a command can call this first.

    Raises:
        RunFolderError: It cannot be written, it has another run or other files, the run in it was
            started with other settings, or `--resume` names no checkpoint.
    """
    try:  # lexists: a link to nothing cannot be made a folder
        parent = next(one for one in (path, *path.absolute().parents) if os.path.lexists(one))
        _check_parent(parent)
        path.is_dir()  # a name that is too long, which lexists takes for a missing one
    except OSError as error:
        raise RunFolderError(_describe_unwritable(path, error)) from error
    find_resume_point(RunFolder(path), cfg.train.resume)
    source = find_source_run(path, cfg.train.resume)
    if source is not None:
        check_source_run(source, path, cfg)
    if (path / SETTINGS_FILE).is_file():
        if not has_progress(path) or cfg.train.overwrite:
            return
        if cfg.train.resume == "never":
            raise RunFolderError(
                f"The folder '{path}' holds another run. Choose another --output-dir, continue"
                " that run with --resume auto, or replace it with --overwrite."
            )
        check_same_settings(path, cfg)
        return
    others = [entry.name for entry in path.iterdir()] if path.is_dir() else []
    others = [name for name in others if name != LOCK_FILE]
    if others:
        raise RunFolderError(
            f"The folder '{path}' is not empty ({list_names(others)}) and holds no run."
            " Choose another --output-dir."
        )


def _check_parent(parent: Path) -> None:
    """Check that a file or folder that exists is a folder that can be written.

    Raises:
        OSError: It is not.
    """
    if not parent.is_dir():
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))


def _describe_unwritable(path: Path, error: OSError) -> str:
    """Return the message for a run folder that cannot be made or written."""
    is_denied = error.errno in (errno.EACCES, errno.EPERM)
    return (
        f"The run folder '{path}' cannot be written ({error.strerror}). Choose another"
        f" --output-dir{', or change the permissions' if is_denied else ''}."
    )


def has_progress(path: Path) -> bool:
    """Return whether a run folder has results of training: a model, checkpoint or results."""
    names = (WEIGHTS, RESULTS_FILE, "checkpoints/step-*", FINISHED_CANDIDATES)
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


def clear_run_folder(path: Path) -> None:
    """Remove the files that a run writes, and no others: `--overwrite`."""
    for one in RUN_FILES:
        if one.folder is not None:
            for folder in path.glob(one.folder):
                shutil.rmtree(folder, ignore_errors=True)
            continue
        for file in path.glob(one.name):
            file.unlink()
