"""Path tables: CSV, TSV, JSON, JSONL, text or parquet files that list clips by path.

table_files.py parses a file, clip_paths.py finds the clips, segment_columns.py reads the times of
segments.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from datasets import Audio, Dataset, concatenate_datasets

from audio_cls.audio.files import suggest_path
from audio_cls.audio.segments import join_segment
from audio_cls.config import DataConfig
from audio_cls.data.sources.tables.clip_list import Listing, list_clips
from audio_cls.data.sources.tables.clip_paths import ClipIndex, is_absolute
from audio_cls.data.sources.tables.label_tracks import is_label_file, read_label_files
from audio_cls.data.sources.tables.table_files import (
    TEXT_SUFFIX,
    looks_like_list,
    looks_like_table,
    read_rows,
)
from audio_cls.errors import DatasetError, count_of, list_names, suggest_name
from audio_cls.run_warnings import warn

AUDIO = "audio"  # name of the audio column that is made
RECORDING_COLUMN = "recording"  # column with the file that a segment is cut from

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PathTables:
    """The tables of a folder that list clips."""

    splits: dict[str, Dataset]
    key: str  # content key of the listed clips
    problem: str  # why there are no splits, as the end of a sentence; empty if there are splits
    unused: list[tuple[Path, int]]  # (file, number of rows) of tables that list no clip
    recordings: str | None = None  # column with the recordings of segments


def read_path_tables(
    files: Sequence[Path],
    root: Path,
    cfg: DataConfig,
    suffix: str | None = None,
    *,
    is_alone: bool = False,
) -> PathTables:
    """Read the tables that list clips.

    The split of a row is in a column `split`, in the name of the table (`train.csv`,
    `test/metadata.csv`), or in the folder of the clip (`train/a.wav`). Where some tables name their
    split, tables without one (`validated.tsv`) are left out.

    Args:
        files: Table files.
        root: The folder that contains all of them.
        cfg: Settings; an audio column that they name must be in one of the tables.
        suffix: Type of the files where their names do not have it, such as ".csv".
        is_alone: The data set is this one file, not its folder.

    Raises:
        DatasetError: A file cannot be parsed, a named column is missing, or a clip is listed twice.
    """
    audio_root = Path(cfg.audio_root).expanduser() if cfg.audio_root else None
    if audio_root is not None and not audio_root.is_dir():
        raise DatasetError(
            f"--audio-root: there is no folder '{cfg.audio_root}'. Give the folder that the paths"
            f" of the table start from.{suggest_path(audio_root)}"
        )
    index = ClipIndex(audio_root or root, is_table_alone=is_alone and audio_root is None)
    listings: list[Listing] = []
    unused: list[tuple[Path, int]] = []
    columns: list[str] = []
    problem = ""
    for file, rows in read_table_files(files, suffix, index):
        columns += [name for name in rows.column_names if name not in columns]
        listing, first = list_clips(file, rows, index, root, cfg)
        if listing is not None:
            listings.append(listing)
            continue
        unused.append((file, len(rows)))
        if first is not None:
            problem = (
                f"; none of the {count_of(len(rows), 'clip')} that '{file}' lists is below"
                f" '{index.root}',"
                f" such as '{first}' (--audio-root names their folder)"
            )
    if not listings:
        return _explain_nothing(files, columns, problem, unused, cfg)
    listings = _leave_out_unnamed(listings)
    check_listed_once(listings)
    for listing in listings:
        index.note(listing.clips.paths)
    has_segments = any(listing.segments for listing in listings)
    tables = _join_splits(listings, root, cfg.audio_column or AUDIO)
    recordings = RECORDING_COLUMN if has_segments else None
    return PathTables(tables, index.key, "", unused, recordings)


def read_table_files(
    files: Sequence[Path], suffix: str | None, index: ClipIndex
) -> Iterator[tuple[Path, pa.Table]]:
    """Yield each table, and one table of all label files, with the path of the first of them."""
    labelled = [file for file in files if is_label_file(file)]
    for file in files:
        kind = suffix or file.suffix.lower()
        if file not in labelled and (kind != TEXT_SUFFIX or looks_like_table(file)):
            yield file, read_rows(file, kind, index.holds)
    if labelled:
        yield labelled[0], read_label_files(labelled, index)
    lists = [file for file in files if file.suffix == TEXT_SUFFIX and looks_like_list(file)]
    if lists:
        text = (
            f"{count_of(len(lists), 'list of clips is', 'lists of clips are')} in the same folder"
            " but not used; --split-files uses such lists."
        )
        warn(logger, text, names=lists)


def _explain_nothing(
    files: Sequence[Path],
    columns: list[str],
    problem: str,
    unused: list[tuple[Path, int]],
    cfg: DataConfig,
) -> PathTables:
    """Return no tables and the reason; an error where the settings name a column or a folder."""
    if problem and (cfg.audio_root is not None or cfg.audio_column is not None):
        text = problem.removeprefix("; ")
        raise DatasetError(
            f"{text[0].upper()}{text[1:]}. Correct --audio-root and --audio-column, or leave them"
            " out."
        )
    if cfg.audio_column is not None:
        raise DatasetError(
            f"There is no column '{cfg.audio_column}' of paths in {list_names(files)}: the"
            f" columns are {list_names(columns)}.{suggest_name(cfg.audio_column, columns)}"
        )
    problem = problem or f"; the columns are {list_names(columns)}"
    return PathTables({}, "", problem, unused)


def check_listed_once(listings: Sequence[Listing]) -> None:
    """Refuse a clip that is listed twice, also by two forms of a path (`a/../b.wav`, `b.wav`).

    It could be in training and in test.

    Raises:
        DatasetError: Two tables list it, or one table twice.
    """
    seen: dict[str, Path] = {}
    for listing in listings:
        counts = Counter(os.path.abspath(clip) for clip in listing.ids if clip)
        shared = [clip for clip in counts if clip in seen]
        if shared:
            raise DatasetError(
                f"The tables '{seen[shared[0]]}' and '{listing.file}' both list"
                f" {count_of(len(shared), 'clip')}, such as '{Path(shared[0]).name}'. Give one"
                " table with --dataset, or remove the other from the folder."
            )
        repeated = [clip for clip, count in counts.items() if count > 1]
        if repeated:
            raise DatasetError(
                f"The table '{listing.file}' lists {count_of(len(repeated), 'clip')} more than"
                " once, such as"
                f" '{Path(repeated[0]).name}'. Give each clip one row; write several labels of a"
                " clip in one cell, with the separator of --label-separator between them."
            )
        seen.update(dict.fromkeys(counts, listing.file))


def _leave_out_unnamed(listings: list[Listing]) -> list[Listing]:
    """Leave out tables without a split where others have one."""
    named = [listing for listing in listings if any(listing.splits)]
    if named and len(named) < len(listings):
        number = count_of(len(listings) - len(named), "table")
        text = f"Left out: {number} whose name is not a split's, as others have one."
        warn(logger, text, names=[one.file for one in listings if one not in named])
    return named or listings


def _join_splits(listings: Sequence[Listing], root: Path, name: str) -> dict[str, Dataset]:
    """Make one table per split; rows without a split are train, or left out if others have one."""
    parts: dict[str, list[Dataset]] = {}
    placed = {
        pair for one in listings for pair in zip(one.clips.names, one.clips.paths, strict=True)
    }
    is_unique = len({clip for clip, _ in placed}) == len(placed)
    is_unique &= not any(is_absolute(clip) for clip, _ in placed)
    is_named = any(any(listing.splits) for listing in listings)
    num_unnamed = 0
    for listing in listings:
        table = _make_table(listing, name, None if is_unique else root)
        for split in dict.fromkeys(listing.splits):
            rows = [row for row, other in enumerate(listing.splits) if other == split]
            if split is None and is_named:
                num_unnamed += len(rows)
                continue
            part = Dataset(table.take(rows) if len(rows) < len(table) else table)
            parts.setdefault(split or "train", []).append(part)
    if num_unnamed:
        warn(logger, f"Left out: {count_of(num_unnamed, 'clip')} without a split in the table.")
    try:
        joined = {split: concatenate_datasets(tables) for split, tables in parts.items()}
    except ValueError as error:
        files = list_names(listing.file for listing in listings)
        text = f"The tables {files} do not fit together: {error}. Give one of them by --dataset."
        raise DatasetError(text) from error
    return {split: t.cast_column(name, Audio(decode=False)) for split, t in joined.items()}


def _make_table(listing: Listing, name: str, root: Path | None) -> pa.Table:
    """Put the audio column `name` and `file`, the name of the clip, before the other columns.

    Names are as listed, or relative to `root` if it is given. Segments have a column `recording`,
    the name of the file that they are cut from, instead of the column of paths.
    """
    rows, names = listing.rows, listing.clips.names
    if root is not None:
        names = [_name_below(path, root) for path in listing.clips.paths]
    columns = {name: pa.array([one or None for one in listing.ids], pa.string())}
    if listing.segments:
        pairs = zip(names, listing.segments, strict=True)
        columns["file"] = pa.array([join_segment(one, part) for one, part in pairs], pa.string())
        columns[RECORDING_COLUMN] = pa.array(names, pa.string())
    elif "file" not in rows.column_names or listing.column == "file":
        columns["file"] = pa.array(names, pa.string())
    left_out = {*columns, listing.column} if listing.segments else set(columns)
    others = {other: rows.column(other) for other in rows.column_names if other not in left_out}
    return pa.table({**columns, **others})


def _name_below(path: Path | None, root: Path) -> str:
    """Return the path of a clip relative to the folder of the data set; outside, its base name."""
    if path is None:
        return ""
    path, base = Path(os.path.abspath(path)), os.path.abspath(root)
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name
