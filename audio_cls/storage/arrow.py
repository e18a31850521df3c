"""Columns of a memory-mapped table: small ones copied whole, large ones read a row at a time.

Either way memory does not grow with the file: pages that were read are given back, see memory.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray

from audio_cls.storage.process_memory import BYTES_AROUND, ColumnPages

BATCHES_AT_ONCE = 16  # of the file, copied together


def copy_columns(table: Dataset, names: Sequence[str], field: str | None = None) -> pa.Table:
    """Copy columns of a few bytes a row into memory.

    In the file such columns lie between those that are large: reading a value maps what is around
    it, and a file whose every batch is looked at would soon be in memory as a whole.

    Args:
        table: Its columns are chunked arrays; those of a file lie there batch by batch.
        names: Of the columns.
        field: Of these columns, which hold several each, only this one.
    """
    return _copy(table.select_columns(list(names)), lambda part: _take_field(part, field))


def measure_bytes(table: Dataset, column: str, field: str) -> NDArray[np.int64]:
    """Return the length of each value of a field of bytes, (N,); -1 where there is none."""
    parts = _copy(
        table.select_columns([column]),
        lambda part: pa.table({"size": pc.binary_length(_take_field(part, field)[column])}),
    )
    sizes: NDArray[np.int64] = parts["size"].cast(pa.int64()).fill_null(-1).to_numpy().copy()
    return sizes


def _copy(columns: Dataset, read: Callable[[pa.Table], pa.Table]) -> pa.Table:
    """Read what is small of a table, some batches at a time, in the order of its rows."""
    whole = columns.data.table
    batches, pages = whole.to_batches(), ColumnPages(columns.data.column(0))
    parts = []
    for first in range(0, len(batches), BATCHES_AT_ONCE):
        some = batches[first : first + BATCHES_AT_ONCE]
        parts.append(read(pa.Table.from_batches(some)).combine_chunks())
        pages.note(len(some) * BYTES_AROUND)
    copied = pa.concat_tables(parts) if parts else read(whole)
    if columns._indices is None:
        return copied
    return copied.combine_chunks().take(columns._indices.column(0).combine_chunks())


def _take_field(table: pa.Table, field: str | None) -> pa.Table:
    """Put a field of each column in the column's place; nothing is read yet."""
    if field is None:
        return table
    return pa.table({name: pc.struct_field(table[name], field) for name in table.column_names})


class MappedRows:
    """The rows of a column of lists of numbers, or of bytes: views of the file, read when used."""

    def __init__(self, table: Dataset, name: str) -> None:
        if table._indices is not None:
            table = table.flatten_indices()
        column = table.data.column(name)
        chunks = [chunk for chunk in column.chunks if len(chunk)]
        self.pages = ColumnPages(column)  # to be told what was read
        self._begins = np.cumsum([0, *(len(chunk) for chunk in chunks)])
        self._views = [_view_chunk(chunk) for chunk in chunks]

    def __len__(self) -> int:
        """Count the rows."""
        return int(self._begins[-1])

    def __getitem__(self, row: int) -> NDArray[Any]:
        """Return the values of one row, (T,); nothing is read yet."""
        place = int(np.searchsorted(self._begins, row, side="right")) - 1
        values, offsets = self._views[place]
        begin, end = offsets[row - self._begins[place] : row - self._begins[place] + 2]
        return values[begin:end]


def _view_chunk(chunk: pa.Array) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return all values of a chunk and the offsets of its rows, one more than rows."""
    if isinstance(chunk, pa.ListArray | pa.LargeListArray):
        return chunk.values.to_numpy(), chunk.offsets.to_numpy()
    _, offsets, values = chunk.buffers()
    whole = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    return np.frombuffer(values if values is not None else b"", np.uint8), whole
