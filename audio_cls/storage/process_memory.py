"""Memory of the process: release read pages of mapped files, retain freed memory for reuse.

`datasets` maps its Arrow files into memory. The system counts every page that was read as memory of
the process until it is needed elsewhere. So the memory of a process that reads a data set seems to
grow to the size of the data set, and a memory limit (of a container or a cluster) may kill it.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any

import numpy as np
import pyarrow as pa

BYTES_BETWEEN = 2**26  # read between two releases of pages: 64 MB
BYTES_AROUND = 2**20  # mapped by Linux around a page that is read first, at most (measured)
MADV_DONTNEED = 4  # Linux: drop the pages; they are read from the file again if needed
LARGE = 2**23  # bytes from which a block of a training step is returned to the system: 8 MB
# Options of glibc's mallopt: M_TRIM_THRESHOLD (-1), M_TOP_PAD (-2), M_MMAP_THRESHOLD (-3) and
# M_MMAP_MAX (-4). A block that is mapped separately is returned to the system when it is freed.
RETAIN = {-1: -1, -2: 2**24, -4: 0}
RETAIN_SMALL = {-1: -1, -2: 2**24, -3: LARGE, -4: 2**16}
DEFAULT = {-1: 2**17, -2: 2**17, -3: 2**20, -4: 2**16}  # close to glibc's defaults


class _Meter:
    """Counter of the bytes read from mapped files."""

    def __init__(self) -> None:
        self.num_bytes = 0

    def is_full(self, num_bytes: int) -> bool:
        """Add to the count; at BYTES_BETWEEN return True and reset it."""
        self.num_bytes += num_bytes
        if self.num_bytes < BYTES_BETWEEN:
            return False
        self.num_bytes = 0
        return True


class PageRelease(_Meter):
    """Releases pages of mapped columns at intervals while columns are read one after another."""

    def __call__(self, column: pa.ChunkedArray) -> None:
        """Note that a column was read. Has no effect on systems other than Linux."""
        if self.is_full(column.nbytes):
            release_pages(column)


class ColumnPages(_Meter):
    """Releases pages of one mapped column at intervals while its rows are read in any order."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        super().__init__()
        self.column = column

    def note(self, num_bytes: int) -> None:
        """Note that `num_bytes` consecutive bytes were read."""
        if self.is_full(max(num_bytes, BYTES_AROUND)):
            _release(self._mappings)

    @functools.cached_property
    def _mappings(self) -> list[tuple[int, int]]:
        return find_mappings(self.column)


def release_pages(column: pa.ChunkedArray) -> int:
    """Release all read pages of the files that a column is mapped from.

    Returns:
        The size of the mappings of these files; 0 for a column that is not mapped.
    """
    return _release(find_mappings(column))


def find_mappings(column: pa.ChunkedArray) -> list[tuple[int, int]]:
    """Return first and last address of each mapped file of a column; [] if it is not mapped."""
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
    """Release the pages of mapped files; return the size of the mappings."""
    sizes = [(first, last - first) for first, last in mappings]
    return sum(size for first, size in sizes if _load_madvise()(first, size, MADV_DONTNEED) == 0)


def _list_mappings() -> list[tuple[int, int]]:
    """List first and last address of the files that are mapped read-only."""
    found = []
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            parts = line.split(maxsplit=5)
            if parts[1] in ("r--s", "r--p") and parts[4] != "0":
                first, last = (int(address, 16) for address in parts[0].split("-"))
                found.append((first, last))
    return found


def retain_freed_memory(*, large: bool = True) -> bool:
    """Let this process keep freed memory: for decoding workers, and for training on a CPU.

    A waveform of 30 s or the output of a layer is so large that the C library requests new pages
    from the system each time, which the system clears: a sixth of the time of decoding, and a
    quarter of a training step of DistilHuBERT (measured, two cores). Allocate long-lived memory
    before, else it fragments the retained memory.

    Args:
        large: Whether to keep blocks of `LARGE` bytes and more, too: for work that allocates the
            same sizes again and again. A training step allocates many sizes, which fragment large
            blocks: without them it uses 10 % less memory (20 % if no layer is frozen) and takes
            the same time (measured, DistilHuBERT, two cores).

    Returns:
        Whether the C library supports this; only glibc does.
    """
    return _set_allocator(RETAIN if large else RETAIN_SMALL)


def release_freed_memory() -> bool:
    """Undo `retain_freed_memory`, and return freed memory to the system.

    Returns:
        Whether the C library supports this.
    """
    pa.default_memory_pool().release_unused()
    done = _set_allocator(DEFAULT)
    if done:
        _load_library().malloc_trim(0)
    return done


def _set_allocator(options: dict[int, int]) -> bool:
    """Set options of glibc's allocator; return whether that succeeded."""
    library = _load_library()
    if library is None or not hasattr(library, "mallopt"):
        return False
    return all([library.mallopt(name, value) == 1 for name, value in options.items()])


@functools.cache
def _load_library() -> Any:  # noqa: ANN401 (C functions)
    """Return the C library; None on systems other than Linux."""
    return ctypes.CDLL(None) if sys.platform == "linux" else None


@functools.cache
def _load_madvise() -> Any:  # noqa: ANN401 (a C function)
    """Return the C library's madvise."""
    madvise = ctypes.CDLL(None, use_errno=True).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return madvise
