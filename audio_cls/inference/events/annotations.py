"""Annotations: the events that label files or tables list, read as those of a data set."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from datasets import Dataset

from audio_cls.audio.files import list_files
from audio_cls.config import DataConfig
from audio_cls.data.labels.find_column import LABEL_COLUMNS, find_label_column
from audio_cls.data.sources.tables.clip_list import Listing, list_clips
from audio_cls.data.sources.tables.clip_paths import ClipIndex
from audio_cls.data.sources.tables.label_tracks import find_recording, is_label_file
from audio_cls.data.sources.tables.path_tables import read_table_files
from audio_cls.data.sources.tables.segment_columns import find_segment_columns
from audio_cls.data.sources.tables.table_files import ROW_SUFFIXES, TEXT_SUFFIX, read_head
from audio_cls.errors import DatasetError, count_of, list_names
from audio_cls.inference.events.event import Event
from audio_cls.run_warnings import warn

logger = logging.getLogger(__name__)


def read_annotations(
    path: Path, recordings: Path | None = None, label_column: str | None = None
) -> dict[str, list[Event]]:
    """Read annotated events: label tracks of Audacity, selection tables of Raven, or tables.

    Recordings below the folder that have no annotations are left out, with a warning.

    Args:
        path: A file, or a folder of such files: of label files where there are any, else of
            tables. Tables (CSV, TSV, JSON, JSONL, parquet) have columns of paths, start and end (or
            duration), and labels. A label file has the name of its recording.
        recordings: Folder of the recordings; None for that of `path`.
        label_column: None to find it.

    Returns:
        Absolute path of each recording -> its events in order of start. A recording without events
        has an empty label file, or a row of a table with its path only.

    Raises:
        DatasetError: A file cannot be read, has no times or no labels, or a recording is missing.
    """
    if not path.exists():
        raise DatasetError(f"There is no file or folder '{path}' of annotations. Correct the path.")
    files = [path] if path.is_file() else list_files(path)
    files = [file for file in files if file.suffix.lower() in ROW_SUFFIXES]
    files = list(filter(_is_label_file, files)) or files
    root = path if path.is_dir() else path.parent
    index = ClipIndex(recordings or root, is_table_alone=path.is_file() and recordings is None)
    cfg = DataConfig(audio_root=None if recordings is None else str(recordings))
    events = _find_label_files(files, index)
    is_labelled = bool(events)
    for file, rows in read_table_files(files, None, index):
        if not len(rows):
            continue
        for event in _iterate_events(_list_rows(file, rows, index, root, cfg), label_column):
            known = events.setdefault(event.file, [])
            if event.label:
                known.append(event)
    if not events:
        raise DatasetError(
            f"'{path}' has no annotations of recordings. Give a label track of Audacity or a"
            " selection table of Raven with the name of its recording, or a table with the columns"
            " file, start, end and label."
        )
    num_others = 0 if is_labelled or path.is_file() else index.count_files() - len(events)
    if num_others > 0:
        warn(logger, f"Not used: {count_of(num_others, 'recording')} without annotations.")
    for known in events.values():
        known.sort(key=lambda one: (one.start, one.end))
    return events


def _is_label_file(file: Path) -> bool:
    """Return whether a file is a label file, also an empty one: its recording has no events."""
    is_empty = file.suffix.lower() == TEXT_SUFFIX and not read_head(file).strip()
    return is_empty or is_label_file(file)


def _find_label_files(files: Sequence[Path], index: ClipIndex) -> dict[str, list[Event]]:
    """Return the recordings of label files, also of empty ones, each without events."""
    found: dict[str, list[Event]] = {}
    for file in files:
        if _is_label_file(file):
            recording = find_recording(file, index)
            if recording is not None:
                found[os.path.abspath(recording)] = []
    return found


def _list_rows(
    file: Path, rows: pa.Table, index: ClipIndex, root: Path, cfg: DataConfig
) -> Listing:
    """Return a table with its recordings and times.

    Raises:
        DatasetError: It has no times, or none of its recordings exists.
    """
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
    listing, first = list_clips(file, rows, index, root, own, is_cut=False)
    if listing is None:
        raise DatasetError(
            f"None of the recordings that '{file}' lists is below '{index.root}'"
            f"{f', such as {first!r}' if first else ''}. Give their folder as --audio-root."
        )
    missing = {str(one) for one in listing.clips.paths if one and not one.is_file()}
    if missing:
        raise DatasetError(
            f"'{file}' has annotations of recordings that are missing:"
            f" {list_names(sorted(missing))}. Correct the paths, or remove these rows."
        )
    return listing


def _iterate_events(listing: Listing, label_column: str | None) -> Iterator[Event]:
    """Yield the event of each row; that of a row without times and label has an empty label."""
    rows = listing.rows.select([n for n in listing.rows.column_names if n != listing.column])
    usual = next((name for name in LABEL_COLUMNS if name in rows.column_names), None)
    column = label_column or usual
    if column not in rows.column_names:
        column = find_label_column({"train": Dataset(rows)}, label_column)
    labels = ["" if cell is None else str(cell).strip() for cell in rows.column(column).to_pylist()]
    segments = listing.segments or [None] * len(labels)
    for path, part, label in zip(listing.clips.paths, segments, labels, strict=True):
        if path is None:
            raise DatasetError(
                f"A row of '{listing.file}' has no path of a recording. Add it, or remove the row."
            )
        if part is None and not label:
            yield Event(os.path.abspath(path), 0.0, 0.0, "")
            continue
        if part is None or part.end is None or part.end <= part.start or not label:
            raise DatasetError(
                f"The annotation {label!r} of '{path}' ({part or 'without times'}) is not complete:"
                " it needs a start, a later end, and a label. A recording without events has an"
                " empty label file, or a row with its path only."
            )
        yield Event(os.path.abspath(path), part.start, part.end, label)
