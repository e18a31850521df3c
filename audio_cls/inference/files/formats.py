"""Output formats: rows as bytes of a table, CSV, JSON lines, parquet or a table of Raven.

The bytes of all chunks of rows, one after the other, are the file, except for parquet: there they
are Arrow streams, which `ParquetFormat.finish` converts. So every format can be continued after an
interruption.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from audio_cls.inference.events.event import Event
from audio_cls.inference.events.write import join_cells, list_raven_columns, make_raven_cells
from audio_cls.inference.files.rows import NUMBERS, Row, RowLayout
from audio_cls.inference.prediction import UNKNOWN
from audio_cls.storage.files import replacing
from audio_cls.text_table import (
    TERMINAL_WIDTH,
    count_columns,
    pad_text,
    shorten,
    to_line,
    wrap_text,
)

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("table", "csv", "jsonl", "parquet", "raven")
LABEL_WIDTH = 24  # columns of a label in a table, at most
NUMBER_WIDTHS = {"start": 10, "end": 10, "score": 6}
GROUP_ROWS = 10_000  # rows of a row group of a parquet file


class RowFormat(Protocol):
    """Interface of a format."""

    def header(self) -> bytes:
        """Return what is written before the first row."""

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Return rows as bytes."""

    def finish(self, partial: Path, path: Path) -> None:
        """Make the finished file of the bytes that were written; the partial one is removed."""


class AppendedFormat:
    """Base of formats whose file is the bytes that were written."""

    def finish(self, partial: Path, path: Path) -> None:
        """Rename the partial file."""
        partial.replace(path)


class JsonlFormat(AppendedFormat):
    """One JSON object per line; bytes of a name that are not UTF-8 are escaped as in Python."""

    def __init__(self, layout: RowLayout) -> None:
        self.layout = layout

    def header(self) -> bytes:
        """Return nothing."""
        return b""

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Return a line per row."""
        lines = [json.dumps(self.layout.shorten(row), ensure_ascii=False) + "\n" for row in rows]
        return "".join(lines).encode("utf-8", "backslashreplace")


class CsvFormat(AppendedFormat):
    """A table with commas; its columns are those of the layout."""

    def __init__(self, layout: RowLayout) -> None:
        self.layout = layout

    def header(self) -> bytes:
        """Return the line of column names."""
        return self._write([self.layout.columns])

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Return a line per row."""
        return self._write(self.layout.to_cells(self.layout.shorten(row)) for row in rows)

    def _write(self, rows: Iterable[Sequence[Any]]) -> bytes:
        buffer = io.StringIO(newline="")
        csv.writer(buffer).writerows(rows)
        return buffer.getvalue().encode("utf-8", "backslashreplace")


class TableFormat(AppendedFormat):
    """Aligned lines for a terminal, of at most 80 columns; long names of files lose their start."""

    def __init__(self, layout: RowLayout) -> None:
        longest = max([7, *map(count_columns, layout.labels)])  # 7: unknown
        self.layout = layout
        self.numbers = [name for name in NUMBERS[:2] if layout.kind != "file"]
        self.label_width = LABEL_WIDTH if layout.is_multilabel else min(LABEL_WIDTH, longest)
        fixed = sum(NUMBER_WIDTHS[name] + 2 for name in (*self.numbers, "score"))
        self.file_width = TERMINAL_WIDTH - fixed - self.label_width - 2

    def header(self) -> bytes:
        """Return the line of column names."""
        names = {name: name for name in ("start", "end", "label", "score")}
        return self._line("file", names).encode()

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Return a line per row, and with `top_k` one for each further class."""
        text = "".join(line for row in rows for line in self._lines(row))
        return text.encode("utf-8", "backslashreplace")

    def _lines(self, row: Row) -> Iterator[str]:
        """Yield the lines of a row."""
        file = to_line(str(row["file"]))
        while count_columns(file) > self.file_width:
            file = "…" + file.lstrip("…")[1:]
        if "error" in row:
            lines = wrap_text(to_line(row["error"]), "  ", label="  ")
            yield "\n".join([file, *lines]) + "\n"
            return
        label = row["label"] or "-"
        is_accepted = row["label"] not in ("", UNKNOWN)
        yield self._line(file, {**row, "label": label, "score": _show(row["score"], is_accepted)})
        if row.get("remark"):
            yield f"  ({row['remark']})\n"
        scores = self.layout.shorten(row).get("scores") if self.layout.top_k else None
        accepted = row.get("labels", self.layout.labels if is_accepted else ())
        for label, score in (scores or {}).items():
            if label != row["label"]:
                times = dict.fromkeys(self.numbers, "")
                shown = _show(score, label in accepted)
                yield self._line("", {**times, "label": label, "score": shown})

    def _line(self, file: str, values: Row) -> str:
        """Return a line: file, times, label, score."""
        cells = [pad_text(file, self.file_width)]
        cells += [self._format_number(name, values[name], 3) for name in self.numbers]
        label = shorten(to_line(str(values["label"])), self.label_width)
        cells.append(pad_text(label, self.label_width))
        cells.append(self._format_number("score", values["score"], 3))
        return "  ".join(cells).rstrip() + "\n"

    def _format_number(self, name: str, value: object, decimals: int) -> str:
        """Return the cell of a number, or of its name."""
        text = f"{value:.{decimals}f}" if isinstance(value, float) else str(value)
        return text.rjust(NUMBER_WIDTHS[name])


def _show(score: float, is_accepted: bool) -> float:  # noqa: FBT001 (no public function)
    """Return a score with the decimals of a table.

    One below a threshold is not rounded up: it would seem to have reached the threshold.

    >>> _show(0.94996, True), _show(0.94996, False)
    (0.95, 0.949)
    """
    return round(score, 3) if is_accepted else round(score * 1e6) // 1000 / 1000


class ParquetFormat:
    """A parquet file with the columns of the layout, written at the end from Arrow streams."""

    def __init__(self, layout: RowLayout) -> None:
        self.layout = layout

    def header(self) -> bytes:
        """Return nothing."""
        return b""

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Return an Arrow stream."""
        cells = [self.layout.to_cells(self.layout.shorten(row)) for row in rows]
        columns = list(zip(*cells, strict=True)) or [()] * len(self.layout.columns)
        return encode_arrow(self.schema, [[to_utf8(cell) for cell in one] for one in columns])

    @property
    def schema(self) -> pa.Schema:
        """Return the types of the columns."""
        import pyarrow as pa

        numbers = self.layout.number_columns
        kinds = [pa.float64() if n in numbers else pa.string() for n in self.layout.columns]
        return pa.schema(list(zip(self.layout.columns, kinds, strict=True)))

    def finish(self, partial: Path, path: Path) -> None:
        """Write the parquet file."""
        write_parquet(self.schema, partial, path)


class RavenFormat(AppendedFormat):
    """A selection table of Raven for all recordings, in the order in which Raven opens them.

    Rows have also `number`, `offset` and `high_frequency`, see `TimelineJob`. A recording that
    cannot be read has no row.
    """

    def __init__(self, layout: RowLayout) -> None:
        self.layout = layout

    def header(self) -> bytes:
        """Return the line of column names."""
        return join_cells(list_raven_columns(is_combined=True)).encode()

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Return a line per event."""
        lines = []
        for row in rows:
            if "error" not in row:
                event = Event(*(row[name] for name in ("file", "start", "end", "label", "score")))
                place = (row["number"], row["high_frequency"], row["offset"])
                lines.append(join_cells(make_raven_cells(event, *place)))
        return "".join(lines).encode("utf-8", "backslashreplace")


def make_format(name: str, layout: RowLayout) -> RowFormat:
    """Return the format of a name in `FORMATS`."""
    makers: dict[str, Callable[[RowLayout], RowFormat]] = {
        "table": TableFormat,
        "csv": CsvFormat,
        "jsonl": JsonlFormat,
        "parquet": ParquetFormat,
        "raven": RavenFormat,
    }
    return makers[name](layout)


def encode_arrow(schema: pa.Schema, columns: Sequence[Sequence[Any]]) -> bytes:
    """Return columns of values as an Arrow stream."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    arrays = [pa.array(c, type=kind) for c, kind in zip(columns, schema.types, strict=True)]
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch(arrays, schema=schema))
    return bytes(sink.getvalue().to_pybytes())


def write_parquet(schema: pa.Schema, partial: Path, path: Path) -> None:
    """Convert Arrow streams that follow each other in a file to a parquet file; remove the former.

    Row groups have a fixed number of rows, so that the file does not depend on the streams.

    Args:
        schema: Of a file without streams; else that of the streams.
        partial: The file with streams.
        path: The parquet file; an existing one is replaced.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with replacing(path) as new, partial.open("rb") as file:
        batches = _read_arrow(file)
        first = next(batches, None)
        schema = schema if first is None else first.schema
        with pq.ParquetWriter(new, schema) as writer:
            waiting: list[pa.RecordBatch] = []
            number = 0
            for batch in batches if first is None else itertools.chain([first], batches):
                waiting.append(batch)
                number += len(batch)
                if number >= GROUP_ROWS:
                    table = pa.Table.from_batches(waiting)
                    whole = number // GROUP_ROWS * GROUP_ROWS
                    writer.write_table(table[:whole], row_group_size=GROUP_ROWS)
                    waiting = table[whole:].combine_chunks().to_batches()
                    number -= whole
            if number:
                writer.write_table(pa.Table.from_batches(waiting), row_group_size=GROUP_ROWS)
    partial.unlink()


def _read_arrow(file: BinaryIO) -> Iterator[pa.RecordBatch]:
    """Yield the batches of Arrow streams that follow each other."""
    import pyarrow as pa

    size = os.fstat(file.fileno()).st_size
    while file.tell() < size:
        yield from pa.ipc.open_stream(file)


def to_utf8(cell: Any) -> Any:  # noqa: ANN401
    """Return a cell; bytes of a name that are not UTF-8 are escaped, as in the other formats."""
    return cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell
