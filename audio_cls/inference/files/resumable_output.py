"""Output files that an interrupted call continues: partial files, and the state of the work.

FILE.partial            the rows so far; FILE when it is finished
FILE.partial.json       how many inputs are done, the sizes of the partial files, the settings
FILE.partial.lock       while a process writes, next to each file
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from audio_cls.errors import AudioClsError, describe_error, list_names
from audio_cls.inference.files.output import Target
from audio_cls.inference.files.rows import Row
from audio_cls.storage.files import is_disk_full, write_json
from audio_cls.storage.locks import FileLock

COMMIT_SECONDS = 1.0  # least time between two states on disk
ENCODED_ROWS = 1024  # rows that are encoded at once


class ResumableOutput:
    """Files of rows that belong together, such as predictions and embeddings.

    Example:
        with ResumableOutput([Target(path, CsvFormat(layout))], settings) as output:
            for number in range(output.num_done, len(files)):
                output.write([make_row(files[number])])
                output.commit(number + 1, {})
            output.finish()
    """

    def __init__(
        self,
        targets: Sequence[Target],
        settings: Mapping[str, object],
        *,
        overwrite: bool = False,
    ) -> None:
        """Describe the work.

        Args:
            targets: The files; the state is next to the first one.
            settings: Name -> JSON value of everything that changes rows: an interrupted output is
                continued with equal settings only.
            overwrite: Replace finished files, and unfinished ones of other settings.
        """
        self.targets = targets
        self.settings = json.loads(json.dumps(dict(settings)))
        self.overwrite = overwrite
        self.num_done = 0
        self.counts: dict[str, Any] = {}
        self._files: list[BinaryIO] = []
        self._locks = [FileLock(target.state.with_suffix(".lock")) for target in targets]
        self._sizes = [0] * len(targets)  # of the partial files with the rows that are done
        self._waiting: list[list[Row]] = [[] for _ in targets]
        self._committed_at = 0.0
        self._is_on_disk = True
        self._is_complete = False  # all inputs are done: the files are being finished

    @property
    def _state(self) -> Path:
        return self.targets[0].state

    @property
    def is_started(self) -> bool:
        """Return whether an interrupted call has begun this work."""
        state = self._read_state()
        return state is not None and self._can_continue(state)

    def check(self) -> None:
        """Check that the output can be written or continued.

        Raises:
            AudioClsError: A file is finished, or was started with other settings, or is damaged, or
                its folder cannot be used.
        """
        state = self._read_state()
        first = self.targets[0]
        if state is not None and state["is_complete"] and not first.partial.exists():
            self._state.unlink()  # the call ended between its last two steps
            state = None
        for target in self.targets:
            path = target.path
            if not path.parent.is_dir():
                raise AudioClsError(f"There is no folder '{path.parent}' ('{path.name}'): make it.")
            if path.is_dir():
                raise AudioClsError(f"'{path}' is a folder: give the name of a file.")
            is_unfinished = target.is_endless or target is not first
            is_known = state is not None and is_unfinished
            if path.exists() and not self.overwrite and not is_known:
                raise AudioClsError(
                    f"'{path}' is finished: give another name, or --overwrite to replace it."
                )
        if state is not None and not self.overwrite:
            self._check_state(state)

    def _check_state(self, state: Mapping[str, Any]) -> None:
        """Check that a state on disk is one of this work.

        Raises:
            AudioClsError: It is not.
        """
        old = state["settings"]
        names = [n for n in {**old, **self.settings} if old.get(n) != self.settings.get(n)]
        if names:
            raise AudioClsError(
                f"'{self.targets[0].partial}' was started with other settings; these differ:"
                f" {list_names(names)}. Give the same settings to continue it, or --overwrite to"
                " start again."
            )
        for target, size in zip(self.targets, state["sizes"], strict=True):
            is_there = target.partial.exists()
            is_finished = state["is_complete"] and target.path.exists() and not is_there
            if state["num_done"] == 0 or is_finished:
                continue
            if not is_there or target.partial.stat().st_size < size:
                raise AudioClsError(
                    f"'{target.partial}' is missing or shorter than {self._state.name} states."
                    " Give --overwrite to start again."
                )

    def _read_state(self) -> dict[str, Any] | None:
        """Return the state on disk; None where there is none.

        Raises:
            AudioClsError: The file is not one of this class.
        """
        try:
            state: dict[str, Any] = json.loads(self._state.read_text("utf-8"))
            _ = [state[name] for name in self._describe_state()]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            if self.overwrite:
                return None
            raise AudioClsError(
                f"'{self._state}' cannot be read ({error}). Give --overwrite to start again."
            ) from error
        return state

    def __enter__(self) -> ResumableOutput:
        """Open the files, those of an interrupted call behind its last complete rows."""
        self._acquire_locks()
        self.check()
        state = self._read_state()
        if state is not None and self._can_continue(state):
            self.num_done, self.counts = state["num_done"], state["counts"]
            self._sizes = list(state["sizes"])
            self._files = [
                self._open_again(*one) for one in zip(self.targets, self._sizes, strict=True)
            ]
            return self
        for target in self.targets:
            target.partial.unlink(missing_ok=True)
        self._write_state()
        with self._explain_failure():
            self._files = [target.partial.open("wb") for target in self.targets]
            for target, file in zip(self.targets, self._files, strict=True):
                file.write(target.format.header())
        return self

    def _acquire_locks(self) -> None:
        """Keep other processes from writing any of the files.

        Raises:
            AudioClsError: One is being written.
        """
        for target, lock in zip(self.targets, self._locks, strict=True):
            with contextlib.suppress(OSError):  # a file system without locks
                if not lock.acquire():
                    self._release_locks()
                    raise AudioClsError(
                        f"'{target.path}' is being written by {lock.read_holder()}. Wait for it."
                    )

    def _release_locks(self) -> None:
        """Let other processes write the files."""
        for lock in self._locks:
            lock.release(remove=True)

    def _can_continue(self, state: Mapping[str, Any]) -> bool:
        """Return whether the partial files are those of this work."""
        try:
            self._check_state(state)
        except AudioClsError:
            return False
        return state["num_done"] > 0 and self.targets[0].partial.exists()

    def _open_again(self, target: Target, size: int) -> BinaryIO:
        """Open a partial file behind its last complete rows; the null device for a finished one."""
        if not target.partial.exists():
            return open(os.devnull, "wb")
        file = target.partial.open("r+b")
        file.truncate(size)
        file.seek(size)
        return file

    def write(self, rows: Sequence[Row], target: int = 0) -> None:
        """Write rows to one of the files."""
        self._waiting[target].extend(rows)
        if len(self._waiting[target]) >= ENCODED_ROWS:
            self._encode(target)

    def _encode(self, target: int) -> None:
        """Write the rows that wait."""
        rows, self._waiting[target] = self._waiting[target], []
        with self._explain_failure():
            self._files[target].write(self.targets[target].format.encode(rows))

    def commit(self, num_done: int, counts: dict[str, Any]) -> None:
        """Keep that the first `num_done` inputs are done; on disk at most once per second."""
        for number, rows in enumerate(self._waiting):
            if rows:
                self._encode(number)
        self.num_done, self.counts = num_done, counts
        self._sizes = [file.tell() for file in self._files]
        self._is_on_disk = False
        if time.monotonic() - self._committed_at >= COMMIT_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Write what is done to disk."""
        if not self._is_on_disk:
            self._committed_at = time.monotonic()
            self._write_state()
            self._is_on_disk = True

    def _write_state(self) -> None:
        """Write rows and state to disk, in this order."""
        with self._explain_failure():
            for file in self._files:
                file.flush()
                with contextlib.suppress(OSError):  # the null device
                    os.fsync(file.fileno())
            write_json(self._state, self._describe_state())

    def _describe_state(self) -> dict[str, object]:
        """Return the state as JSON."""
        return {
            "is_complete": self._is_complete,
            "num_done": self.num_done,
            "sizes": self._sizes,
            "counts": self.counts,
            "settings": self.settings,
        }

    @contextlib.contextmanager
    def _explain_failure(self) -> Iterator[None]:
        """Turn an error of the disk into a message.

        Raises:
            AudioClsError: The disk is full, or does not accept the file.
        """
        try:
            yield
        except OSError as error:
            partial, reason = self.targets[0].partial, describe_error(error)
            text = f"'{partial}' cannot be written ({reason}). Give another folder."
            if is_disk_full(error):
                text = (
                    f"No space left for '{partial}' ({reason}). Free some space, then give the same"
                    " command: it continues after the last rows on disk."
                )
            raise AudioClsError(text) from error

    def finish(self) -> None:
        """Give the files their names; the first one comes last, then all of them are there."""
        self._is_complete = True
        self._write_state()
        with self._explain_failure():
            for file in self._files:
                file.close()
            for target in reversed(self.targets):
                if target.partial.exists():
                    target.format.finish(target.partial, target.path)
        self._state.unlink(missing_ok=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files; after an interruption the rows that are done are kept."""
        is_open = any(not file.closed for file in self._files)
        if is_open:
            with contextlib.suppress(OSError, AudioClsError):  # the first error is the one to show
                self._write_state()
        for file in self._files:
            with contextlib.suppress(OSError):
                file.close()
        self._release_locks()
