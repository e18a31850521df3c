"""Output of rows: the interface, the files that belong to one work, and standard output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from audio_cls.inference.files.formats import RowFormat
from audio_cls.inference.files.rows import Row
from audio_cls.progress import close_bars


class Output(Protocol):
    """Interface of where rows are written."""

    num_done: int  # inputs that are done
    counts: dict[str, Any]  # of the report, as of `commit`

    def write(self, rows: Sequence[Row], target: int = 0) -> None:
        """Write rows to one of the files."""

    def commit(self, num_done: int, counts: dict[str, Any]) -> None:
        """Keep that the rows of the first `num_done` inputs are written."""

    def sync(self) -> None:
        """Write what is done to disk."""

    def finish(self) -> None:
        """Finish the files."""


@dataclass(frozen=True)
class Target:
    """A file and its format."""

    path: Path
    format: RowFormat
    is_endless: bool = False  # rows are added for ever: they are in `path` from the first one on

    @property
    def partial(self) -> Path:
        """Return the path of the unfinished file."""
        if self.is_endless:
            return self.path
        return self.path.with_name(f"{self.path.name}.partial")

    @property
    def state(self) -> Path:
        """Return the path of the state of the work."""
        return self.path.with_name(f"{self.path.name}.partial.json")


class StreamOutput:
    """Rows on standard output; nothing can be continued."""

    def __init__(self, stream: BinaryIO, row_format: RowFormat) -> None:
        self.stream = stream
        self.format = row_format
        self.num_done = 0
        self.counts: dict[str, Any] = {}
        self._has_header = False

    def write(self, rows: Sequence[Row], target: int = 0) -> None:
        """Write rows at once; on a terminal they replace the progress bar."""
        if self.stream.isatty():
            close_bars()
        header = b"" if self._has_header else self.format.header()
        self._has_header = True
        self.stream.write(header + self.format.encode(rows))
        self.stream.flush()

    def commit(self, num_done: int, counts: dict[str, Any]) -> None:
        """Keep nothing on disk."""
        self.num_done, self.counts = num_done, counts

    def sync(self) -> None:
        """Do nothing: rows are written at once."""

    def finish(self) -> None:
        """Write the header of an output without rows."""
        self.write([])
