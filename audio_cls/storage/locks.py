"""File lock, shared or exclusive, held by the operating system.

The system (`flock` on POSIX, byte ranges on Windows) releases the lock when the process ends, so
that there are no stale locks. The lock is advisory: it affects only processes that acquire it. It
works between computers if their file system supports `flock` (NFS 3 and later, and Lustre with
`-o flock`).
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)  # errors if another user has the lock
# Windows has no shared locks here: each user of a shared lock locks one of these bytes, the user of
# an exclusive lock all of them. They are after the text, which others may read.
FIRST_BYTE, NUM_BYTES = 2**20, 64


@dataclass(frozen=True)
class Holder:
    """The process that has an exclusive lock."""

    pid: int
    host: str
    started: str  # time of acquiring, ISO 8601, UTC

    def __str__(self) -> str:
        """Describe the process for a message."""
        return f"process {self.pid} on {self.host}, since {self.started}"


class FileLock:
    """A lock on `path`, shared by many processes or held by one; acquiring never waits.

    Example:
        lock = FileLock(folder / ".lock")
        if not lock.acquire():
            raise RunFolderError(f"'{folder}' is in use by {lock.read_holder()}.")

    One object is one user, also within a process: two objects on the same path exclude each other.
    A child process that is forked shares its parent's lock: the lock is free when both have ended.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self._pid = 0  # of the process that acquired it
        self._is_shared = False

    def acquire(self, *, shared: bool = False) -> bool:
        """Acquire the lock if it is free. Creates the file, not its folder.

        Args:
            shared: Other users may have a shared lock at the same time. Only an exclusive lock
                writes its holder into the file.

        Returns:
            Whether this object has the lock now; False if another user's lock excludes it.

        Raises:
            OSError: The file cannot be opened, or its file system has no locks.
            RuntimeError: This object has the lock already.
        """
        if self._file is not None:
            raise RuntimeError(f"{self.path} is locked already.")
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                if not _lock(file, shared=shared):
                    os.close(file)
                    return False
                is_current = _is_same_file(file, self.path)
            except OSError:
                os.close(file)
                raise
            if is_current:  # else the file was removed between opening and locking
                break
            os.close(file)
        self._file, self._pid, self._is_shared = file, os.getpid(), shared
        if not shared:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            self._write(json.dumps(asdict(Holder(os.getpid(), socket.gethostname(), now))))
        return True

    def release(self, *, remove: bool = False) -> None:
        """Release the lock, if this object has one in this process.

        Args:
            remove: Also delete the file; only with an exclusive lock.
        """
        file, self._file = self._file, None
        if file is None:
            return
        if self._pid == os.getpid():
            if not self._is_shared:
                os.ftruncate(file, 0)
            if remove and not self._is_shared and sys.platform != "win32":
                self.path.unlink(missing_ok=True)  # before unlocking: others check the file again
            _unlock(file)
        os.close(file)

    def read_holder(self) -> Holder | None:
        """Return the holder of the exclusive lock; None if there is none, or none is written."""
        try:
            return Holder(**json.loads(self.path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def __del__(self) -> None:
        self.release()

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Release the lock."""
        self.release()

    def __getstate__(self) -> dict[str, object]:
        """Leave the open file out of a copy for another process, which has no lock then."""
        return {**self.__dict__, "_file": None}

    def _write(self, text: str) -> None:
        """Replace the file's text in place: a new file would not be locked."""
        assert self._file is not None
        os.lseek(self._file, 0, os.SEEK_SET)
        os.ftruncate(self._file, 0)
        os.write(self._file, text.encode())


@contextmanager
def _held_is_false() -> Iterator[None]:
    """Suppress errors that mean that another user has the lock."""
    try:
        yield
    except OSError as error:
        if error.errno not in HELD:
            raise


def _is_same_file(file: int, path: Path) -> bool:
    """Return whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


if sys.platform == "win32":

    def _lock(file: int, *, shared: bool) -> bool:
        """Lock an open file without waiting; False if another user's lock excludes it."""
        places = [(os.getpid() + n) % NUM_BYTES for n in range(NUM_BYTES)] if shared else [0]
        for place in places:
            os.lseek(file, FIRST_BYTE + place, os.SEEK_SET)
            with _held_is_false():
                msvcrt.locking(file, msvcrt.LK_NBLCK, 1 if shared else NUM_BYTES)
                return True
        return False

    def _unlock(file: int) -> None:
        """Do nothing: closing the file unlocks its bytes."""

else:

    def _lock(file: int, *, shared: bool) -> bool:
        """Lock an open file without waiting; False if another user's lock excludes it."""
        with _held_is_false():
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            return True
        return False

    def _unlock(file: int) -> None:
        """Unlock the file, even if a forked child still has it open."""
        fcntl.flock(file, fcntl.LOCK_UN)
