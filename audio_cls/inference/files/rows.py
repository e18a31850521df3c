"""Rows of output: predictions, windows and events as JSON objects and as cells of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Row = dict[str, Any]  # as JSON: file, label, score ... or file, error
Kind = Literal["file", "window", "event"]

FIRST_COLUMNS: dict[Kind, tuple[str, ...]] = {
    "file": ("file", "label", "score", "error", "remark"),
    "window": ("file", "start", "end", "label", "score", "error"),
    "event": ("file", "start", "end", "label", "score", "error"),
}
NUMBERS = ("start", "end", "score")  # columns of numbers among these
CLASS_PREFIX = "class:"  # of the column of a class that has the name of another column


@dataclass(frozen=True)
class RowLayout:
    """Columns of the output: one row per file, window or event."""

    kind: Kind
    labels: tuple[str, ...]  # of the model
    is_multilabel: bool = False
    top_k: int | None = None  # scores per row, the largest ones; None: all, in the model's order

    @property
    def columns(self) -> list[str]:
        """Return the names of the columns, all different.

        After the first ones: without `top_k` a column per class, named after it, or with the prefix
        `class:` where that is the name of another column; with `top_k` label_1, score_1 and so on,
        the most probable classes. Events have no further columns.
        """
        names = list(FIRST_COLUMNS[self.kind])
        if self.kind == "event":
            return names
        if self.top_k is not None:
            number = min(self.top_k, len(self.labels))
            return names + [f"{w}_{n}" for n in range(1, number + 1) for w in ("label", "score")]
        for label in self.labels:
            name = label
            while name in names or (name != label and name in self.labels):
                name = CLASS_PREFIX + name
            names.append(name)
        return names

    @property
    def number_columns(self) -> set[str]:
        """Return the names of the columns that hold numbers; the others hold text."""
        first = FIRST_COLUMNS[self.kind]
        rest = self.columns[len(first) :]
        if self.top_k is not None:
            rest = rest[1::2]  # label_1, score_1, label_2 ...
        return {name for name in first if name in NUMBERS} | set(rest)

    def shorten(self, row: Row) -> Row:
        """Return a row with the `top_k` largest scores only, the largest first."""
        scores = row.get("scores")
        if self.top_k is None or scores is None:
            return row
        return {**row, "scores": dict(rank_scores(scores)[: self.top_k])}

    def to_cells(self, row: Row) -> list[Any]:
        """Return the cells of a row in the order of `columns`; None where it has no value."""
        cells = [row.get(name) for name in FIRST_COLUMNS[self.kind]]
        if self.kind == "event":
            return cells
        scores: Mapping[str, float] = row.get("scores") or {}
        if self.top_k is None:
            return cells + [scores.get(label) for label in self.labels]
        number = min(self.top_k, len(self.labels))
        ranked: Sequence[tuple[Any, Any]] = list(scores.items()) or [(None, None)] * number
        return cells + [cell for pair in ranked for cell in pair]


def rank_scores(scores: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return labels and scores, the largest score first; equal ones in the model's order.

    >>> rank_scores({"a": 0.2, "b": 0.6, "c": 0.2})
    [('b', 0.6), ('a', 0.2), ('c', 0.2)]
    """
    return sorted(scores.items(), key=lambda pair: -pair[1])
