"""Memory of mapped files, given back once it has been read; memory of waves, kept for the next.

`datasets` maps its Arrow files into memory. The system counts every page that was read as the
process's own until another needs the room, so that a walk over a data set seems to grow to its
size, and a limit on memory (a container's, a cluster's) may end it.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any

import numpy as np
import pyarrow as pa

BYTES_BETWEEN = 2**26  # read between two times that pages are given back: 64 MB
BYTES_AROUND = 2**20  # that Linux maps around a page when it is first read, at most (measured)
MADV_DONTNEED = 4  # MADV_DONTNEED of Linux: forget the pages; the file still has them
LARGE = 2**23  # bytes of a block from which on a training step's go back to the system: 8 MB
# glibc's M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD and M_MMAP_MAX: from what size on, and how
# many, blocks get pages of their own, which go back to the system once freed.
KEEP = {-1: -1, -2: 2**24, -4: 0}
KEEP_SMALL = {-1: -1, -2: 2**24, -3: LARGE, -4: 2**16}
RETURN = {-1: 2**17, -2: 2**17, -3: 2**20, -4: 2**16}  # about its defaults


class _Meter:
    """Counts the bytes that were read of mapped files."""

    def __init__(self) -> None:
        self.num_bytes = 0

    def is_full(self, num_bytes: int) -> bool:
        """Count so many more; tell whether it is time to give pages back, and begin anew."""
        self.num_bytes += num_bytes
        if self.num_bytes < BYTES_BETWEEN:
            return False
        self.num_bytes = 0
        return True


class PageRelease(_Meter):
    """Gives the pages of mapped columns back now and then while they are read one by one."""

    def __call__(self, column: pa.ChunkedArray) -> None:
        """Note that a column has been read; does nothing where the system is not Linux."""
        if self.is_full(column.nbytes):
            release_pages(column)


class ColumnPages(_Meter):
    """Gives the pages of one mapped column back now and then while it is read here and there."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        super().__init__()
        self.column = column

    def note(self, num_bytes: int) -> None:
        """Note that so many bytes in a row have been read."""
        if self.is_full(max(num_bytes, BYTES_AROUND)):
            _release(self._mappings)

    @functools.cached_property
    def _mappings(self) -> list[tuple[int, int]]:
        return find_mappings(self.column)


def release_pages(column: pa.ChunkedArray) -> int:
    """Give back the pages of the files that a column is mapped from, all that was read of them.

    Returns:
        The size of these files' mappings; 0 for a column that the process made itself, which is
        left alone.
    """
    return _release(find_mappings(column))


def find_mappings(column: pa.ChunkedArray) -> list[tuple[int, int]]:
    """Return first and last address of the mapped files that a column lies in; [] if in none."""
    if sys.platform != "linux":
        return []
    buffers = [buffer for chunk in column.chunks for buffer in chunk.buffers() if buffer]
    starts = np.array([buffer.address for buffer in buffers if buffer.size], dtype=np.uint64)
    stops = starts + np.array([buffer.size for buffer in buffers if buffer.size], dtype=np.uint64)
    return [
        (first, last)
        for first, last in _list_mappings()
        if ((starts >= first) & (stops <= last)).any()
    ]


def _release(mappings: list[tuple[int, int]]) -> int:
    """Give back the pages of mapped files; return the mappings' size."""
    sizes = [(first, last - first) for first, last in mappings]
    return sum(size for first, size in sizes if _load_madvise()(first, size, MADV_DONTNEED) == 0)


def _list_mappings() -> list[tuple[int, int]]:
    """List first and last address of the files that are mapped for reading only."""
    found = []
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            parts = line.split(maxsplit=5)
            if parts[1] in ("r--s", "r--p") and parts[4] != "0":
                first, last = (int(address, 16) for address in parts[0].split("-"))
                found.append((first, last))
    return found


def retain_freed_memory(*, large: bool = True) -> bool:
    """Let this process keep what it frees: for workers that decode, and for steps on a CPU.

    A wave of 30 s or a layer's output is so large that the C library would ask the system for fresh
    pages each time, and the system clears them each time: a sixth of the whole preparation, and a
    quarter of a step of DistilHuBERT (measured, two cores). What stays for long is better
    allocated before, or it would lie scattered among what comes and goes.

    Args:
        large: Whether to keep blocks of `LARGE` bytes and more, too. Work that frees and asks for
            the same sizes again loses nothing by it. A training step asks for many sizes, between
            which kept blocks are split up: without the large ones it holds a tenth less memory,
            a fifth where all learns, and takes as long (measured, DistilHuBERT, two cores).

    Returns:
        Whether the C library can do it; only glibc is asked.
    """
    return _set_allocator(KEEP if large else KEEP_SMALL)


def release_freed_memory() -> bool:
    """Undo `retain_freed_memory`, and give what was freed so far back to the system.

    Returns:
        Whether the C library can do it.
    """
    pa.default_memory_pool().release_unused()
    done = _set_allocator(RETURN)
    if done:
        _load_library().malloc_trim(0)
    return done


def _set_allocator(options: dict[int, int]) -> bool:
    """Set options of glibc's allocator; tell whether it is there and took them."""
    library = _load_library()
    if library is None or not hasattr(library, "mallopt"):
        return False
    return all([library.mallopt(name, value) == 1 for name, value in options.items()])


@functools.cache
def _load_library() -> Any:  # noqa: ANN401 (functions of C)
    """Return the C library; None where the system is not Linux."""
    return ctypes.CDLL(None) if sys.platform == "linux" else None


@functools.cache
def _load_madvise() -> Any:  # noqa: ANN401 (a function of the C library)
    """Return the C library's madvise."""
    madvise = ctypes.CDLL(None, use_errno=True).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return madvise
