"""Columns of a memory-mapped table: small columns are copied, large ones are read row by row.

In both cases memory does not grow with the file: pages that were read are released, see
process_memory.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from numpy.typing import NDArray

from audio_cls.storage.process_memory import BYTES_AROUND, ColumnPages

BATCHES_AT_ONCE = 16  # record batches of the file that are copied together


@contextmanager
def hide_map_bar() -> Iterator[None]:
    """Switch off the bar of `Dataset.map`, for which the caller has a `ProgressReport`."""
    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def copy_columns(table: Dataset, names: Sequence[str], field: str | None = None) -> pa.Table:
    """Copy columns with a few bytes per row into memory.

    In the file these columns are between large ones. Reading a value maps the pages around it, so
    that without the release of pages the whole file would soon be in memory.

    Args:
        table: The table.
        names: Names of the columns.
        field: Copy only this field of the columns, which are structs.
    """
    return _copy(table.select_columns(list(names)), lambda part: _take_field(part, field))


def measure_bytes(table: Dataset, column: str, field: str) -> NDArray[np.int64]:
    """Return the number of bytes of each value of a binary field, (N,); -1 for null."""
    parts = _copy(
        table.select_columns([column]),
        lambda part: pa.table({"size": pc.binary_length(_take_field(part, field)[column])}),
    )
    sizes: NDArray[np.int64] = parts["size"].cast(pa.int64()).fill_null(-1).to_numpy().copy()
    return sizes


def _copy(columns: Dataset, read: Callable[[pa.Table], pa.Table]) -> pa.Table:
    """Apply `read` to some record batches at a time; return the results in the order of rows."""
    data = columns.data.table
    batches, pages = data.to_batches(), ColumnPages(columns.data.column(0))
    parts = []
    for first in range(0, len(batches), BATCHES_AT_ONCE):
        block = batches[first : first + BATCHES_AT_ONCE]
        parts.append(read(pa.Table.from_batches(block)).combine_chunks())
        pages.note(len(block) * BYTES_AROUND)
    copied = pa.concat_tables(parts) if parts else read(data)
    if columns._indices is None:
        return copied
    return copied.combine_chunks().take(columns._indices.column(0).combine_chunks())


def _take_field(table: pa.Table, field: str | None) -> pa.Table:
    """Replace each column by one of its fields; nothing is read yet."""
    if field is None:
        return table
    return pa.table({name: pc.struct_field(table[name], field) for name in table.column_names})


class MappedRows:
    """Rows of a list or binary column as views of the mapped file, which is read on use."""

    def __init__(self, table: Dataset, name: str) -> None:
        if table._indices is not None:
            table = table.flatten_indices()
        column = table.data.column(name)
        chunks = [chunk for chunk in column.chunks if len(chunk)]
        self.pages = ColumnPages(column)  # the caller notes here what it has read
        self._begins = np.cumsum([0, *(len(chunk) for chunk in chunks)])
        self._views = [_view_chunk(chunk) for chunk in chunks]

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._begins[-1])

    def __getitem__(self, row: int) -> NDArray[Any]:
        """Return the values of one row, (T,); nothing is read yet."""
        place = int(np.searchsorted(self._begins, row, side="right")) - 1
        values, offsets = self._views[place]
        begin, end = offsets[row - self._begins[place] : row - self._begins[place] + 2]
        return values[begin:end]


def _view_chunk(chunk: pa.Array) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return all values of a chunk, and the offsets of its R rows, (R + 1,)."""
    if isinstance(chunk, pa.ListArray | pa.LargeListArray):
        return chunk.values.to_numpy(), chunk.offsets.to_numpy()
    _, offsets, values = chunk.buffers()
    places = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    return np.frombuffer(values if values is not None else b"", np.uint8), places
