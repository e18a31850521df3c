"""Label files of recordings: label tracks of Audacity and selection tables of Raven.

Both are text files with one line per labelled segment, and are named after their recording:
`field.txt` (START, END and LABEL, separated by tabs) or `field.Table.1.selections.txt` (with a
header that has `Begin Time (s)`).
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from audio_cls.audio.files import is_audio_path
from audio_cls.data.sources.tables.clip_paths import ClipIndex
from audio_cls.data.sources.tables.table_files import TEXT_SUFFIX, read_head, read_rows, split_lines
from audio_cls.errors import count_of
from audio_cls.run_warnings import warn

PATH_COLUMN = "path"
RAVEN_BEGIN = "Begin Time (s)"
RAVEN_TIMES = (RAVEN_BEGIN, "End Time (s)", "Delta Time (s)", "File Offset (s)")
RAVEN_OWN = ("Selection", "View", "Channel")  # not used, as measurements such as "Low Freq (Hz)"
_TIME = r"\d+(?:[.,]\d+)?"
_AUDACITY = re.compile(rf"\s*{_TIME}\t{_TIME}(?:\t.*)?")

logger = logging.getLogger(__name__)


def is_label_file(file: Path) -> bool:
    """Return whether a file is a label track of Audacity or a selection table without paths."""
    if file.suffix.lower() != TEXT_SUFFIX:
        return False
    lines = [line for line in split_lines(read_head(file)) if not line.startswith("\\")][:2]
    if lines and RAVEN_BEGIN in lines[0].split("\t"):
        return not any(map(is_audio_path, lines[-1].split("\t")))
    return bool(lines) and all(map(_AUDACITY.fullmatch, lines))


def read_label_files(files: Sequence[Path], index: ClipIndex) -> pa.Table:
    """Read label files into one table with the columns path, times, and labels.

    Args:
        files: Label files, see `is_label_file`.
        index: The recordings; a label file belongs to the one of its name in its folder, else to
            the only one of its name.

    Returns:
        Columns path (of the recording) and start, end and label (Audacity), or the times and
        annotations of Raven, without the lines that Raven repeats for another view.
    """
    rows: list[dict[str, Any]] = []
    alone, recordings = [], set()
    for file in files:
        recording = find_recording(file, index)
        if recording is None:
            alone.append(file)
            continue
        recordings.add(recording)
        segments = _read_audacity(file) if not _is_raven(file) else _read_raven(file)
        rows += [{PATH_COLUMN: os.path.abspath(recording), **row} for row in segments]
    if alone:
        warn(
            logger,
            f"Not used: {count_of(len(alone), 'label file')} without a recording of the same name.",
            names=alone,
        )
    left = index.count_files() - len(recordings)
    if recordings and left > 0:
        warn(logger, f"Not used: {count_of(left, 'recording')} without a label file.")
    columns = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: pa.array([row.get(name) for row in rows]) for name in columns})


def find_recording(file: Path, index: ClipIndex) -> Path | None:
    """Return the recording of a label file, which has its name; None where there is none."""
    return index.find_named(file.parent, re.split(r"\.Table\.|\.selections", file.stem)[0])


def _is_raven(file: Path) -> bool:
    return RAVEN_BEGIN in read_head(file).partition("\n")[0]


def _read_audacity(file: Path) -> list[dict[str, str]]:
    """Read start, end and label of each line; points in time are left out, with a warning.

    Lines that begin with a backslash have the frequencies of the label before them.
    """
    rows, num_points = [], 0
    for line in split_lines(file.read_text("utf-8-sig", errors="replace")):
        if line.startswith("\\"):
            continue
        start, end, label = [*line.split("\t", 2), ""][:3]
        if float(start.replace(",", ".")) == float(end.replace(",", ".")):
            num_points += 1
            continue
        rows.append({"start": start.strip(), "end": end.strip(), "label": label.strip()})
    if num_points:
        number = count_of(num_points, "label that marks", "labels that mark")
        text = f"Left out: {number} a point in time, not a segment."
        warn(logger, text, names=[file])
    return rows


def _read_raven(file: Path) -> list[Mapping[str, Any]]:
    """Read times and annotations of each selection, once."""
    table = read_rows(file, ".tsv")
    kept = [
        name
        for name in table.column_names
        if name in RAVEN_TIMES or (name not in RAVEN_OWN and not re.search(r"\(.+\)$", name))
    ]
    views = [name for name in ("Selection",) if name in table.column_names]
    seen: dict[tuple[object, ...], dict[str, Any]] = {}
    for row in table.to_pylist():
        seen.setdefault(tuple(row[name] for name in [*views, *kept]), {n: row[n] for n in kept})
    return list(seen.values())
