"""summary.csv: one row per evaluation on validation."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from audio_cls.storage.files import open_replaced


class SummaryFile:
    """The file; a row of a run that an earlier version began may have fewer columns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def remove_after(self, step: int) -> None:
        """Remove the rows after a step: they are of a start that was killed."""
        if self.path.exists():
            names, rows = self._read()
            self._replace(names, [row for row in rows if int(row["step"]) <= step])

    def append(self, row: Mapping[str, float | None]) -> None:
        """Add a row; None is an empty cell. New columns are empty in earlier rows."""
        names, rows = self._read() if self.path.exists() else ([], [])
        if not set(row) <= set(names):
            names = [*row, *(name for name in names if name not in row)]
            self._replace(names, rows)
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, names).writerow(row)

    def _read(self) -> tuple[list[str], list[dict[str, str]]]:
        """Return the columns and the rows."""
        with self.path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            return list(reader.fieldnames or []), list(reader)

    def _replace(self, names: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
        """Replace the file."""
        with open_replaced(self.path) as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
