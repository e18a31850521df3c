"""What a frozen part makes of the clips, kept on disk: written once, read by every epoch.

A store is a folder, named after everything its contents depend on. Each run that misses windows
adds a part for each of its processes: `NAME.rows`, the rows one after the other, and `NAME.npy`,
which window is where. The index is moved to its place last, so that a part is whole or not there.
Rows are read with plain reads, not mapped: they do not count as this process's memory.

    audio_cls/prefix/KEY/
      3f0c...-0.rows     float32, (F, D) of each window
      3f0c...-0.npy      row, start, stop, offset in bytes, F, input length, of each window, int64
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from numpy.typing import NDArray

from audio_cls.data.clips import Clips

Window = tuple[int, int, int]  # row of the decoded table, start, stop in samples
Rows = NDArray[np.float32]  # (F, D)

UNUSED_SECONDS = 24 * 3600  # stores opened later than that ago are never taken away
FREE_SHARE = 0.25  # of the free disk, which stores take unless told otherwise


def locate_store(key: str) -> Path:
    """Return the folder of a store, beside the cache of decoded waves."""
    return Path(datasets.config.HF_DATASETS_CACHE) / "audio_cls" / "prefix" / key


class Store:
    """The rows of some windows. Can be pickled into loader workers."""

    def __init__(self, path: Path, width: int) -> None:
        self.path = path
        self.width = width  # D
        self.places: dict[Window, tuple[str, int, int, int]] = {}  # file, offset, F, length
        self.reload()

    def reload(self) -> None:
        """Read the indexes of all whole parts."""
        self.path.mkdir(parents=True, exist_ok=True)
        os.utime(self.path)
        for index in sorted(self.path.glob("*.npy")):
            rows = index.with_suffix(".rows")
            for row, start, stop, *place in np.load(index).tolist():
                self.places[row, start, stop] = (rows.name, *place)

    def find_missing(self, windows: Iterable[Window]) -> list[Window]:
        """Return the windows that are not there, each once, in order."""
        return [window for window in dict.fromkeys(windows) if window not in self.places]

    def read(self, window: Window) -> Rows:
        """Read the rows of a window, (F, D)."""
        name, offset, frames, _ = self.places[window]
        count = frames * self.width
        flat = np.fromfile(self.path / name, np.float32, count=count, offset=offset)
        return flat.reshape(frames, self.width)

    def find_lengths(self, windows: Iterable[Window]) -> dict[int, int]:
        """Return, for each F that occurs, a length of the model's input that gives as many."""
        places = (self.places[window] for window in windows)
        return {frames: length for _, _, frames, length in places}

    def add(self, items: Iterator[tuple[Window, Rows, int]]) -> None:
        """Write windows, their rows and input lengths as a part.

        A process that is killed meanwhile leaves nothing that would be read.
        """
        name = uuid.uuid4().hex
        partial = self.path / f".{name}.partial"
        index: list[tuple[int, ...]] = []
        try:
            with partial.open("wb") as file:
                for window, rows, length in items:
                    index.append((*window, file.tell(), len(rows), length))
                    file.write(np.ascontiguousarray(rows, np.float32).data)
            partial.replace(self.path / f"{name}.rows")
            with partial.open("wb") as file:
                np.save(file, np.array(index, np.int64).reshape(-1, 6))
            partial.replace(self.path / f"{name}.npy")
        finally:
            partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class StoredClips(Clips):
    """Clips whose windows are read from a store instead of being heard."""

    store: Store = field(kw_only=True)

    def read_wave(self, number: int, start: int, stop: int) -> Any:  # noqa: ANN401 (2-D here)
        """Return the rows (F, D) of a window of a clip."""
        return self.store.read((int(self.rows[number]), start, stop))


def make_room(path: Path, num_bytes: int, limit: int | None) -> bool:
    """Tell whether a store may grow by so much; others that nobody used for a day make room.

    Args:
        path: Its folder.
        num_bytes: What shall be added.
        limit: Most bytes of all stores together; None: what they have and a share of what is free.
    """
    others = [p for p in path.parent.glob("*") if p.is_dir() and p != path]
    sizes = {one: _measure_folder(one) for one in others}
    free = shutil.disk_usage(path).free
    used = sum(sizes.values()) + _measure_folder(path)
    most = limit if limit is not None else used + int(FREE_SHARE * free)
    for one in sorted(others, key=lambda other: other.stat().st_mtime):
        if used + num_bytes <= most:
            break
        if time.time() - one.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(one, ignore_errors=True)
            used, free = used - sizes[one], free + sizes[one]
    return used + num_bytes <= most and num_bytes < free


def _measure_folder(path: Path) -> int:
    """Return the bytes of a folder's files."""
    return sum(file.stat().st_size for file in path.glob("*"))
