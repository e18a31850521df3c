"""Segment columns: start and end, or duration, of the part of a file that a row is.

They are named by `--start-column`, `--end-column` and `--duration-column`, or found by their usual
names: `start`/`end`, `onset`/`offset`, `offset`/`duration`, Raven's `Begin Time (s)` and others.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from audio_cls.audio.decode import measure_seconds
from audio_cls.audio.segments import SLACK, Segment
from audio_cls.config import DataConfig, Seconds
from audio_cls.errors import DatasetError, count_of, list_names, suggest_name
from audio_cls.run_warnings import warn

WHOLE_FILES = "none"  # --start-column none: columns of times are not used
FILES_LOOKED_AT = 50  # files whose lengths are compared with the listed times
STARTS = (
    *("start", "start_time", "begin", "begin_time", "segment_start", "t_start", "tmin"),
    *("onset", "from", "xmin"),
)
ENDS = ("end", "end_time", "stop", "stop_time", "segment_end", "t_end", "tmax", "to", "xmax")
DURATIONS = ("duration", "dur", "segment_duration", "delta_time")
# Of each pair the first column is the start; pairs are tried in this order. In Raven, File Offset
# is the time within the file, and Begin Time that within all files together.
END_PAIRS = (*((s, e) for s in STARTS for e in ENDS), ("onset", "offset"))
DURATION_PAIRS = (
    ("file_offset", "delta_time"),
    *((s, d) for s in (*STARTS, "offset") for d in DURATIONS),
)
# Words in names of starts and ends in another unit, such as start_sample, end_sample.
START_WORDS = frozenset({"start", "begin", "onset", "from", "xmin"})
END_WORDS = frozenset({"end", "stop", "offset", "to", "xmax"})
_UNIT = re.compile(r"_(?P<unit>ms|msec|milliseconds|s|sec|secs|seconds)$")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SegmentColumns:
    """The columns of times; either end or duration is not None."""

    start: str
    end: str | None
    duration: str | None

    def __str__(self) -> str:
        """Return the names of the columns for a message."""
        return f"'{self.start}' and '{self.end or self.duration}'"


def find_segment_columns(columns: Sequence[str], cfg: DataConfig) -> SegmentColumns | None:
    """Return the columns of start and end, or duration: the named ones, else by usual names.

    Args:
        columns: Columns of the table.
        cfg: `start_column`, `end_column` and `duration_column`.

    Raises:
        DatasetError: A named column does not exist, or only the start column is named.
    """
    if cfg.start_column == WHOLE_FILES:
        return None
    if cfg.start_column is not None:
        named = [cfg.start_column, cfg.end_column or cfg.duration_column]
        if named[1] is None:
            raise DatasetError(
                "--start-column needs --end-column or --duration-column; --start-column none uses"
                " files whole."
            )
        missing = [name for name in named if name is not None and name not in columns]
        if missing:
            raise DatasetError(
                f"There is no column '{missing[0]}' of times: the columns are"
                f" {list_names(columns)}.{suggest_name(missing[0], columns)}"
            )
        return SegmentColumns(cfg.start_column, cfg.end_column, cfg.duration_column)
    place = {_normalize(name): name for name in reversed(columns)}
    if "file_offset" not in place:
        for start, end in END_PAIRS:
            if start in place and end in place:
                return SegmentColumns(place[start], place[end], None)
    for start, duration in DURATION_PAIRS:
        if start in place and duration in place:
            return SegmentColumns(place[start], None, place[duration])
    return None


def take_segments(
    rows: pa.Table,
    paths: Sequence[Path | None],
    file: Path,
    cfg: DataConfig,
    *,
    is_cut: bool = True,
) -> tuple[list[Segment | None] | None, pa.Table]:
    """Read the segment of each row, and remove the columns of times from the table.

    Args:
        rows: The table.
        paths: The file of each row.
        file: Path of the table, for messages.
        cfg: `start_column`, `end_column` and `duration_column`.
        is_cut: The segments will be clips, which a line states; False: they are events.

    Returns:
        The segment of each row, None for a whole file (a row without start and end), and the table
        without these columns. None instead of a list, and the unchanged table, where all rows are
        whole files: there are no such columns; or, with a warning, columns found by their names
        have no numbers, or times beyond the end of most files, as where the files are the segments.

    Raises:
        DatasetError: The settings name the columns, and a cell is no time.
    """
    columns = find_segment_columns(rows.column_names, cfg)
    if columns is None:
        if cfg.start_column != WHOLE_FILES:
            _warn_of_other_units(rows)
        return None, rows
    is_named = cfg.start_column is not None
    try:
        segments = _read_times(rows, columns)
    except ValueError as error:
        if is_named:
            raise DatasetError(
                f"The table '{file}': {error}. Times are seconds, 0 or more, such as 12.5."
            ) from error
        text = (
            f"The columns {columns} hold no times in seconds, so that files are used whole."
            " --start-column and --end-column name other columns."
        )
        warn(logger, text)
        return None, rows
    if not any(segments) or (not is_named and _are_files_cut(segments, paths, columns)):
        return None, rows
    used = {columns.start, columns.end, columns.duration}
    if is_cut:
        logger.info(
            "The columns %s cut %s from %s.",
            *(columns, count_of(sum(one is not None for one in segments), "segment")),
            count_of(len(set(paths)), "file"),
        )
    return segments, rows.select([name for name in rows.column_names if name not in used])


def _warn_of_other_units(rows: pa.Table) -> None:
    """Warn of columns of numbers that may be a start and an end, such as `start_sample`."""
    words = {name: frozenset(_split_words(name).split("_")) for name in rows.column_names}
    starts = [name for name in words if words[name] & START_WORDS]
    ends = [name for name in words if words[name] & END_WORDS]
    for start, end in itertools.product(starts, ends):
        is_pair = words[start] - START_WORDS == words[end] - END_WORDS
        if is_pair and _holds_numbers(rows, start) and _holds_numbers(rows, end):
            text = (
                f"The columns '{start}' and '{end}' may be start and end of clips within a file,"
                " and are not used: files are used whole. --start-column and --end-column name"
                " columns of seconds (not of samples or frames); --start-column none is for"
                " whole files."
            )
            warn(logger, text)
            return


def _holds_numbers(rows: pa.Table, column: str) -> bool:
    """Return whether the first non-empty cells of a column are numbers of 0 or more."""
    cells = rows.column(column).slice(0, FILES_LOOKED_AT).to_pylist()
    texts = [str(cell).strip() for cell in cells if cell is not None and str(cell).strip()]
    try:
        return bool([parse_seconds(text) for text in texts])
    except ValueError:
        return False


def _read_times(rows: pa.Table, columns: SegmentColumns) -> list[Segment | None]:
    """Read the times of every row.

    Raises:
        ValueError: A cell is no time; the text has column and row.
    """
    starts = _read_seconds(rows, columns.start)
    ends = _read_seconds(rows, str(columns.end or columns.duration))
    segments: list[Segment | None] = []
    for start, end in zip(starts, ends, strict=True):
        if start is None and end is None:
            segments.append(None)
            continue
        first = start or 0.0
        is_duration = columns.end is None
        segments.append(Segment(first, end + first if end is not None and is_duration else end))
    return segments


def _read_seconds(rows: pa.Table, column: str) -> list[Seconds | None]:
    """Read a column of seconds, or of milliseconds by its name; empty cells are None."""
    unit = _UNIT.search(_split_words(column))
    scale = 0.001 if unit and unit["unit"].startswith("m") else 1.0
    times: list[Seconds | None] = []
    for number, cell in enumerate(rows.column(column).to_pylist(), start=1):
        text = "" if cell is None else str(cell).strip()
        try:
            time = parse_seconds(text) * scale if text else None
        except ValueError as error:
            raise ValueError(
                f"'{text}' in column '{column}', entry {number}, is not a time"
            ) from error
        times.append(time)
    return times


def parse_seconds(text: str) -> Seconds:
    """Parse a time: seconds, also with a decimal comma, or hours, minutes and seconds with colons.

    Raises:
        ValueError: It is no time, or is negative.

    >>> parse_seconds("12,5"), parse_seconds("1:02.5")
    (12.5, 62.5)
    """
    seconds = 0.0
    for part in text.replace(",", ".").split(":"):
        seconds = 60 * seconds + float(part)
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{text} is not 0 or more")
    return seconds


def _are_files_cut(
    segments: Sequence[Segment | None], paths: Sequence[Path | None], columns: SegmentColumns
) -> bool:
    """Return whether the files are the segments, as in UrbanSound8K.

    No file is listed twice; and all files looked at are as long as their segment, or most of them
    end before it.
    """
    pairs = [(one, path) for one, path in zip(segments, paths, strict=True) if one and path]
    if len({path for _, path in pairs}) < len(pairs):
        return False
    looked_at = pairs[:: max(1, len(pairs) // FILES_LOOKED_AT)]
    lengths = [(one, measure_seconds(None, str(path))) for one, path in looked_at]
    known = [(one, seconds) for one, seconds in lengths if seconds > 0]
    if known and all(_is_whole(one, seconds) for one, seconds in known):
        return True
    outside = sum((one.end or one.start) > seconds + SLACK for one, seconds in known)
    if outside <= len(known) / 2:
        return False
    text = (
        f"The times in the columns {columns} are past the end of {outside} of"
        f" {count_of(len(known), 'file')} looked at, and no file is listed twice: the files are"
        " taken for pieces that are cut"
        " already, and are used whole. --start-column and --end-column cut them nevertheless."
    )
    warn(logger, text)
    return True


def _is_whole(segment: Segment, seconds: Seconds) -> bool:
    """Return whether a segment is a whole file of this length."""
    is_to_end = segment.end is None or abs(segment.end - seconds) <= SLACK
    return segment.start <= SLACK and is_to_end


def _normalize(name: str) -> str:
    """Return the name of a column without its unit.

    >>> _normalize("Begin Time (s)"), _normalize("startTime"), _normalize("onset_ms")
    ('begin_time', 'start_time', 'onset')
    """
    return _UNIT.sub("", _split_words(name))


def _split_words(name: str) -> str:
    """Return a name in lower case with underscores between its words."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
