"""Watching a folder: new audio files, each as soon as it has stopped growing."""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from audio_cls.config import Seconds
from audio_cls.inference.files.find_files import find_files
from audio_cls.inference.files.formats import to_utf8

POLL_SECONDS: Seconds = 1.0  # from one look at the folder to the next one
SETTLE_SECONDS: Seconds = 3.0  # without a change, after which a file is complete


def watch_folder(
    folder: str,
    done: Collection[str],
    *,
    settle: Seconds = SETTLE_SECONDS,
    wait: Callable[[Seconds], None] = time.sleep,
    clock: Callable[[], Seconds] = time.monotonic,
) -> Iterator[list[str]]:
    """Yield the new audio files below a folder, without end.

    A file is new if its path is not in `done` and was not yielded. It is yielded when its size and
    time of change have been the same for `settle` seconds.

    Args:
        folder: The folder; hidden files are left out.
        done: Paths that are done already.
        settle: In seconds.
        wait: Waits some seconds before the next look at the folder.
        clock: Returns a time in seconds.

    Yields:
        The files that are complete at each look, sorted; perhaps none.
    """
    seen = set(done)  # without bytes that are not UTF-8, as the output has the names
    growing: dict[str, tuple[tuple[int, int], Seconds]] = {}  # path -> (state, since)
    while True:
        now, complete = clock(), []
        found = [path for path in find_files([folder]).paths if to_utf8(path) not in seen]
        growing = {path: growing[path] for path in found if path in growing}
        for path in found:
            state = _read_state(path)
            if state is None:
                continue
            known, since = growing.get(path, (None, now))
            if state != known:
                growing[path] = (state, now)
            elif now - since >= settle:
                complete.append(path)
        seen.update(map(to_utf8, complete))
        yield complete
        wait(POLL_SECONDS)


def _read_state(path: str) -> tuple[int, int] | None:
    """Return size and time of change of a file; None where there is none."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns


def read_done(path: Path, format_name: str) -> set[str]:
    """Return the names of the files that have rows in an output.

    Args:
        path: The output, of complete rows.
        format_name: csv or jsonl.
    """
    if not path.exists():
        return set()
    with path.open(newline="", encoding="utf-8") as file:
        if format_name == "csv":
            return {row["file"] for row in csv.DictReader(file)}
        return {to_utf8(json.loads(line)["file"]) for line in file}
