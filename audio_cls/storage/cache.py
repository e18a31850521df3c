"""Caches on disk: their place, and entries that are not deleted while a process uses them.

    HF_DATASETS_CACHE/audio_cls/
      KIND/KEY/ or KIND/KEY.json   an entry: a folder, or one JSON value; KEY: see keys.make_key
      KIND/KEY/entry.json          description of the folder, written when it is complete
      locks/KIND-KEY.lock          shared lock of readers, exclusive lock of a writer or deleter

Transient errors (network, missing file or library) are never cached.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import datasets

from audio_cls.errors import SettingError, describe_error
from audio_cls.storage.files import replace_file
from audio_cls.storage.locks import FileLock

Kind = Literal["waves", "tables", "features", "log_mel", "near", "hub", "model_cards"]
KINDS: dict[Kind, str] = {
    "waves": "decoded clips",
    "tables": "tables of parquet files",
    "features": "output of frozen layers",
    "log_mel": "log-mel statistics",
    "near": "near duplicates that were found",
    "hub": "answers of the Hub about data sets",
    "model_cards": "model cards of a leaderboard",
}
LOCKS = "locks"  # folder of the lock files
ABOUT = "entry.json"  # description of an entry, in its folder
REMOVED = ".removed-"  # prefix of folders that are being deleted
POLL_SECONDS = 0.2  # between two attempts to acquire a lock

REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)  # errors of a folder that cannot be written

T = TypeVar("T")
logger = logging.getLogger(__name__)


def cache_root() -> Path:
    """Return the folder of all caches."""
    return Path(datasets.config.HF_DATASETS_CACHE) / "audio_cls"


def cache_path(kind: Kind, name: str = "") -> Path:
    """Return the folder of one kind of cache, or the path of an entry in it."""
    return cache_root() / kind / name


def read_cached_json(kind: Kind, key: str) -> Any:  # noqa: ANN401 (what JSON holds)
    """Return a cached value; None if there is none, or if its file is damaged."""
    with contextlib.suppress(OSError, ValueError):
        return json.loads(cache_path(kind, f"{key}.json").read_text("utf-8"))
    return None


def cache_json(kind: Kind, key: str, value: object) -> None:
    """Cache a value; without effect where the folder of the caches cannot be written."""
    path = cache_path(kind, f"{key}.json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(value, ensure_ascii=False))
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        logger.debug("%s is not cached: %s", path, error)


class CacheEntry:
    """A folder in a cache.

    While an object holds an entry, no other process deletes it. The hold ends with the process, in
    whatever way that ends. Copies of the object in other processes hold nothing.
    """

    def __init__(self, kind: Kind, name: str) -> None:
        self.kind = kind
        self.name = name
        self.path = cache_path(kind, name)
        self._lock = FileLock(cache_root() / LOCKS / f"{kind}-{name}.lock")

    def hold(self) -> None:
        """Hold the entry. Creates the folder, and sets its time of last use."""
        self._wait_for_lock(shared=True)
        self.path.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            os.utime(self.path)

    def release(self) -> None:
        """End the hold."""
        self._lock.release()

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Lock the entry exclusively while it is filled; waits for readers and other writers."""
        self._wait_for_lock(shared=False)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            yield
        finally:
            self._lock.release()

    def remove(self) -> bool:
        """Delete the entry unless it is in use; return whether it is gone."""
        try:
            if not self.path.exists() or not self._acquire(shared=False):
                return not self.path.exists()
            removed = self.path.with_name(f"{REMOVED}{uuid.uuid4().hex}")
            self.path.rename(removed)
        except OSError as error:
            logger.debug("%s is not deleted: %s", self.path, error)
            return False
        finally:
            self._lock.release(remove=True)
        delete_path(removed)
        return True

    def is_used(self) -> bool:
        """Return whether any process, including this one, holds or fills the entry."""
        lock = FileLock(self._lock.path)
        try:
            is_free = not lock.path.exists() or lock.acquire()
        except OSError:
            return True
        lock.release()
        return not is_free

    def read_about(self) -> Any:  # noqa: ANN401 (what JSON holds)
        """Return the description of the entry; None if it is not complete."""
        with contextlib.suppress(OSError, ValueError):
            return json.loads((self.path / ABOUT).read_text("utf-8"))
        return None

    def write_about(self, about: dict[str, Any]) -> None:
        """Write the description, which marks the entry as complete."""
        replace_file(self.path / ABOUT, json.dumps(about, ensure_ascii=False))

    def _acquire(self, *, shared: bool) -> bool:
        self._lock.path.parent.mkdir(parents=True, exist_ok=True)
        return self._lock.acquire(shared=shared)

    def _wait_for_lock(self, *, shared: bool) -> None:
        """Wait for the lock; continue without it if the file system has no locks."""
        has_logged = False
        while True:
            try:
                if self._acquire(shared=shared):
                    return
            except OSError as error:  # no process can delete the entry then: that needs the lock
                logger.debug("%s cannot be locked: %s", self._lock.path, error)
                return
            if not has_logged:
                logger.info("waiting for another process that uses %s", self.path)
                has_logged = True
            time.sleep(POLL_SECONDS)


def load_or_make(entry: CacheEntry, load: Callable[[], T | None], make: Callable[[], None]) -> T:
    """Open an entry, which this process makes first if it is missing.

    Args:
        entry: The entry; it is held afterwards.
        load: Opens the content of the folder; None if it is missing or outdated.
        make: Fills the folder; no other process does so at the same time.

    Raises:
        SettingError: The folder of the caches cannot be written.
    """
    while True:
        with _explain_refused():
            entry.hold()
        found = load()
        if found is not None:
            return found
        entry.release()
        with _explain_refused(), entry.filling():
            if load() is None:
                make()


@contextmanager
def _explain_refused() -> Iterator[None]:
    """Turn an error of a cache folder that cannot be written into one line."""
    try:
        yield
    except OSError as error:
        root, place = cache_root(), str(error.filename)
        is_here = place.startswith(str(root)) or str(root).startswith(place)
        if error.errno not in REFUSED or not is_here:
            raise
        raise SettingError(
            f"The folder of the caches '{root}' cannot be written ({describe_error(error)})."
            " Change its permissions, or set the environment variable HF_DATASETS_CACHE to a"
            " folder that can be written."
        ) from error


def delete_path(path: Path) -> None:
    """Delete a file or a folder; errors are ignored."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def measure_path(path: Path) -> int:
    """Return the number of bytes of a file, or of all files below a folder.

    Files that are deleted meanwhile are not counted.
    """
    files = [Path(folder) / name for folder, _, names in os.walk(path) for name in names]
    num_bytes = 0
    for file in files if path.is_dir() else [path]:
        with contextlib.suppress(OSError):
            num_bytes += file.stat().st_size
    return num_bytes
