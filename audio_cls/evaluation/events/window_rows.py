"""Window rows: the timeline that `audio-cls predict` wrote, read again as windows or events."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audio_cls.config import Seconds
from audio_cls.data.labels.label_text import split_names
from audio_cls.data.sources.tables.table_files import read_rows
from audio_cls.errors import DatasetError, list_names
from audio_cls.inference.files.rows import CLASS_PREFIX
from audio_cls.inference.prediction import UNKNOWN

COLUMNS = ("file", "start", "end", "label", "score")
SUFFIXES = (".csv", ".jsonl", ".parquet")
SCORE_NOISE = 1e-6  # scores have six decimals


@dataclass(frozen=True)
class WindowRow:
    """A row of a timeline: a window, or an event; see `WindowPrediction`."""

    file: str  # absolute path
    start: Seconds
    end: Seconds
    label: str
    score: float
    scores: Mapping[str, float]  # empty for an event
    labels: Sequence[str] | None = None  # multi-label
    name: str = ""  # the path as the timeline has it


def read_window_rows(path: Path, recordings: Collection[str]) -> dict[str, list[WindowRow]]:
    """Read the rows of recordings from the output of `audio-cls predict --timeline`.

    Args:
        path: CSV, JSONL or parquet, with a row per window, or with `--merge` per event. Relative
            paths in it are relative to the current folder.
        recordings: Absolute paths; rows of others are skipped.

    Returns:
        Recording -> rows in order of start. A recording without rows has an empty list.

    Raises:
        DatasetError: It is no timeline, or a recording could not be read or has no windows.
    """
    suffix = path.suffix.lower()
    table = read_rows(path, suffix) if path.is_file() and suffix in SUFFIXES else None
    missing = [name for name in COLUMNS if table is None or name not in table.column_names]
    if table is None or missing:
        raise DatasetError(
            f"'{path}' is no timeline: it needs the columns {list_names(COLUMNS)}. Give a CSV,"
            " JSONL or parquet file of `audio-cls predict --timeline --output`."
        )
    if "label_1" in table.column_names:
        raise DatasetError(f"'{path}' was written with --top-k: write it without, for all scores.")
    found: dict[str, list[WindowRow]] = defaultdict(list)
    failed = []
    is_windows = False
    for row in table.to_pylist():
        file = os.path.abspath(row["file"])
        if row.get("error"):
            failed += [file] if file in recordings else []
            continue
        if row["start"] in (None, ""):  # a recording without events
            found.setdefault(file, [])
            continue
        one = _parse_row(row, file)
        is_windows |= bool(one.scores)
        if file in recordings:
            found[file].append(one)
    absent = [file for file in recordings if is_windows and file not in found]
    if failed or absent or not found:
        names = list_names(failed or absent or sorted(recordings))
        raise DatasetError(
            f"'{path}' has no complete timeline of these recordings: {names}. Predict them again,"
            " or leave their annotations out. Relative paths in it are relative to the current"
            " folder."
        )
    ordered = {file: sorted(found.get(file, []), key=lambda one: one.start) for file in recordings}
    rows = [one for own in ordered.values() for one in own]
    if not any(map(_is_multilabel, rows)):
        return ordered
    return {file: [_split_label(one) for one in own] for file, own in ordered.items()}


def _parse_row(row: Mapping[str, Any], file: str) -> WindowRow:
    """Parse a row; the cells of CSV are text."""
    label = str(row["label"] or "")
    scores = row.get("scores")
    if scores is None:
        others = {name: cell for name, cell in row.items() if name not in (*COLUMNS, "error")}
        scores = {name.removeprefix(CLASS_PREFIX): cell for name, cell in others.items()}
        scores.pop("labels", None)
    scores = {name: float(cell) for name, cell in scores.items() if cell not in (None, "")}
    times = float(row["start"]), float(row["end"])
    score, labels = float(row["score"]), row.get("labels")
    return WindowRow(file, *times, label, score, scores, labels, row["file"])


def _is_multilabel(row: WindowRow) -> bool:
    """Return whether a row can only be of a multi-label model: softmax scores have the sum 1."""
    if row.labels is not None or not row.scores:
        return row.labels is not None
    is_joined = row.label not in (*row.scores, UNKNOWN)
    rounding = SCORE_NOISE * (1 + len(row.scores))
    return is_joined or abs(sum(row.scores.values()) - 1) > rounding


def _split_label(row: WindowRow) -> WindowRow:
    """Return a row of a multi-label model with its labels, also where it has one or none."""
    if row.labels is not None or not row.scores:
        return row
    return replace(row, labels=[row.label] if row.label in row.scores else split_names(row.label))
