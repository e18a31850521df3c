"""Annotations: the events that label files or tables list, read as those of a data set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from datasets import Dataset

from audio_cls.audio.files import list_files
from audio_cls.config import DataConfig
from audio_cls.data.labels.find_column import LABEL_COLUMNS, find_label_column
from audio_cls.data.sources.tables.clip_list import Listing, list_clips
from audio_cls.data.sources.tables.clip_paths import ClipIndex
from audio_cls.data.sources.tables.path_tables import read_table_files
from audio_cls.data.sources.tables.segment_columns import find_segment_columns
from audio_cls.data.sources.tables.table_files import ROW_SUFFIXES
from audio_cls.errors import DatasetError, list_names
from audio_cls.inference.events.event import Event


def read_annotations(
    path: Path, recordings: Path | None = None, label_column: str | None = None
) -> dict[str, list[Event]]:
    """Read annotated events: label tracks of Audacity, selection tables of Raven, or tables.

    Args:
        path: A file, or a folder of such files. Tables (CSV, TSV, JSON, JSONL, parquet) have
            columns of paths, start and end (or duration), and labels. A label file has the name of
            its recording.
        recordings: Folder of the recordings; None for that of `path`.
        label_column: None to find it.

    Returns:
        Absolute path of each recording -> its events in order of start. A row without times and
        label is for a recording without events.

    Raises:
        DatasetError: A file cannot be read, has no times or no labels, or a recording is missing.
    """
    if not path.exists():
        raise DatasetError(f"There is no file or folder '{path}' of annotations.")
    files = [path] if path.is_file() else list_files(path)
    files = [file for file in files if file.suffix.lower() in ROW_SUFFIXES]
    root = path if path.is_dir() else path.parent
    index = ClipIndex(recordings or root, is_table_alone=path.is_file() and recordings is None)
    cfg = DataConfig(audio_root=None if recordings is None else str(recordings))
    events: dict[str, list[Event]] = {}
    for file, rows in read_table_files(files, None, index):
        times = find_segment_columns(rows.column_names, cfg)
        if times is None:
            raise DatasetError(
                f"'{file}' has no columns of start and end times: its columns are"
                f" {list_names(rows.column_names)}. Name them start and end, in seconds."
            )
        own = replace(
            cfg,
            start_column=times.start,
            end_column=times.end,
            duration_column=times.duration,
        )
        listing, first = list_clips(file, rows, index, root, own)
        if listing is None:
            raise DatasetError(
                f"None of the recordings that '{file}' lists is below '{index.root}'"
                f"{f', such as {first!r}' if first else ''}. Give the folder of the recordings."
            )
        for event in _iterate_events(listing, label_column):
            known = events.setdefault(event.file, [])
            if event.label:
                known.append(event)
    if not events:
        raise DatasetError(
            f"'{path}' has no annotations of recordings. Give a label track of Audacity or a"
            " selection table of Raven with the name of its recording, or a table with the columns"
            " file, start, end and label."
        )
    return {
        file: sorted(rows, key=lambda one: (one.start, one.end)) for file, rows in events.items()
    }


def _iterate_events(listing: Listing, label_column: str | None) -> Iterator[Event]:
    """Yield the event of each row; that of a row without times and label has an empty label."""
    rows = listing.rows.select([n for n in listing.rows.column_names if n != listing.column])
    usual = next((name for name in LABEL_COLUMNS if name in rows.column_names), None)
    column = label_column or usual
    if column not in rows.column_names:
        column = find_label_column({"train": Dataset(rows)}, label_column)
    labels = ["" if cell is None else str(cell).strip() for cell in rows.column(column).to_pylist()]
    segments = listing.segments or [None] * len(labels)
    missing = {str(path) for path in listing.clips.paths if path and not path.is_file()}
    if missing:
        raise DatasetError(
            f"'{listing.file}' has annotations of recordings that are missing:"
            f" {list_names(sorted(missing))}. Correct the paths, or remove these rows."
        )
    for number, (path, part, label) in enumerate(
        zip(listing.clips.paths, segments, labels, strict=True), start=1
    ):
        if path is None or (part is None) != (not label):
            raise DatasetError(
                f"Row {number} of '{listing.file}' has no path, times or label. Complete it; a"
                " recording without events has a row with its path only."
            )
        start, end = (part.start, part.end) if part else (0.0, 0.0)
        if end is None or (part and end <= start):
            raise DatasetError(f"Row {number} of '{listing.file}' does not end after its start.")
        yield Event(os.path.abspath(path), start, end, label)
