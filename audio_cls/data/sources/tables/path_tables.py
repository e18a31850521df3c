"""Tables (CSV, TSV, JSON, JSONL, text, parquet) that list clips by path -> tables with audio.

table_files.py parses a file, clip_paths.py finds the clips, segments.py cuts rows with times out of
their recording.
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
from audio_cls.errors import DatasetError, list_names, suggest_name
from audio_cls.run_warnings import warn

AUDIO = "audio"  # name of the column that the paths become
RECORDING_COLUMN = "recording"  # names the file that a segment was cut from

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PathTables:
    """The tables of a folder that list clips."""

    splits: dict[str, Dataset]
    key: str  # changes when one of the listed clips does
    problem: str  # why there are no splits, to go into a sentence; empty when there are
    unused: list[tuple[Path, int]]  # tables that list no clip, and how many rows they have
    recordings: str | None = None  # the column that names the recordings of segments


def read_path_tables(
    files: Sequence[Path],
    root: Path,
    cfg: DataConfig,
    suffix: str | None = None,
    *,
    is_alone: bool = False,
) -> PathTables:
    """Read the tables that list clips, each row in the split that it names.

    The split is that of a column `split`, of the table's name (`train.csv`, `test/metadata.csv`),
    or of the folder (`train/a.wav`). When some tables name their split, those that name none
    (`validated.tsv`) are left out.

    Args:
        files: Table files.
        root: The folder that all of them lie in.
        cfg: Settings; the audio column, if it is named, must be in one of the tables.
        suffix: What the files are, when their names do not say so.
        is_alone: The one file was given as the data set, not its folder.

    Raises:
        DatasetError: A file cannot be parsed, a named column is missing, or a clip is listed twice.
    """
    audio_root = Path(cfg.audio_root).expanduser() if cfg.audio_root else None
    index = ClipIndex(audio_root or root, is_table_alone=is_alone and audio_root is None)
    listings: list[Listing] = []
    unused: list[tuple[Path, int]] = []
    columns: list[str] = []
    problem = ""
    for file, rows in _read_files(files, suffix, index):
        columns += [name for name in rows.column_names if name not in columns]
        listing, first = list_clips(file, rows, index, root, cfg)
        if listing is not None:
            listings.append(listing)
            continue
        unused.append((file, len(rows)))
        if first is not None:
            problem = (
                f"; none of the {len(rows)} clips that '{file}' lists is below '{index.root}',"
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


def _read_files(
    files: Sequence[Path], suffix: str | None, index: ClipIndex
) -> Iterator[tuple[Path, pa.Table]]:
    """Yield each table, and one of all label files together, under the name of the first."""
    labelled = [file for file in files if is_label_file(file)]
    for file in files:
        kind = suffix or file.suffix.lower()
        if file not in labelled and (kind != TEXT_SUFFIX or looks_like_table(file)):
            yield file, read_rows(file, kind, index.holds)
    if labelled:
        yield labelled[0], read_label_files(labelled, index)
    lists = [file for file in files if file.suffix == TEXT_SUFFIX and looks_like_list(file)]
    if lists:
        text = f"{len(lists)} lists of clips are beside them, and are not used (see --split-files)."
        warn(logger, text, names=lists)


def _explain_nothing(
    files: Sequence[Path],
    columns: list[str],
    problem: str,
    unused: list[tuple[Path, int]],
    cfg: DataConfig,
) -> PathTables:
    """Say why no table lists clips; an error where the settings named a column or a root."""
    if problem and (cfg.audio_root is not None or cfg.audio_column is not None):
        text = problem.removeprefix("; ")
        raise DatasetError(f"{text[0].upper()}{text[1:]}.")
    if cfg.audio_column is not None:
        raise DatasetError(
            f"There is no column '{cfg.audio_column}' of paths in {list_names(files)}: the"
            f" columns are {list_names(columns)}.{suggest_name(cfg.audio_column, columns)}"
        )
    problem = problem or f"; the columns are {list_names(columns)}"
    return PathTables({}, "", problem, unused)


def check_listed_once(listings: Sequence[Listing]) -> None:
    """Refuse a clip that is listed twice, however its path is written (`a/../b.wav`, `b.wav`).

    It would be in training and in the test split.

    Raises:
        DatasetError: Two tables list it, or one table twice.
    """
    seen: dict[str, Path] = {}
    for listing in listings:
        own = Counter(os.path.abspath(one) for one in listing.ids if one)
        shared = [one for one in own if one in seen]
        if shared:
            raise DatasetError(
                f"The tables '{seen[shared[0]]}' and '{listing.file}' both list {len(shared)}"
                f" clips, such as '{Path(shared[0]).name}'. Give the table to read by --dataset, or"
                " take the other out of the folder."
            )
        repeated = [one for one, count in own.items() if count > 1]
        if repeated:
            raise DatasetError(
                f"The table '{listing.file}' lists {len(repeated)} clips more than once, such as"
                f" '{Path(repeated[0]).name}'. Give each clip one row; several labels of a clip go"
                " into one cell, and --label-separator says what is between them."
            )
        seen.update(dict.fromkeys(own, listing.file))


def _leave_out_unnamed(listings: list[Listing]) -> list[Listing]:
    """Leave out tables that name no split when others do."""
    named = [listing for listing in listings if any(listing.splits)]
    if named and len(named) < len(listings):
        text = f"{len(listings) - len(named)} tables whose name is no split are left out."
        warn(logger, text, names=[one.file for one in listings if one not in named])
    return named or listings


def _join_splits(listings: Sequence[Listing], root: Path, name: str) -> dict[str, Dataset]:
    """Make one table of each split; rows that name no split are train, or are left out."""
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
            rows = [row for row, own in enumerate(listing.splits) if own == split]
            if split is None and is_named:
                num_unnamed += len(rows)
                continue
            part = Dataset(table.take(rows) if len(rows) < len(table) else table)
            parts.setdefault(split or "train", []).append(part)
    if num_unnamed:
        warn(logger, f"{num_unnamed} clips whose row names no split are left out.")
    try:
        joined = {split: concatenate_datasets(own) for split, own in parts.items()}
    except ValueError as error:
        files = list_names(listing.file for listing in listings)
        text = f"The tables {files} do not fit together: {error}. Give one of them by --dataset."
        raise DatasetError(text) from error
    return {key: own.cast_column(name, Audio(decode=False)) for key, own in joined.items()}


def _make_table(listing: Listing, name: str, root: Path | None) -> pa.Table:
    """Put the audio column `name` and `file`, the clip's name, before the other columns.

    Names are as listed, or relative to `root` where one is given. Segments have a column
    `recording`, the name of the file that they were cut from, instead of the column of paths.
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
    """Return a clip's path relative to the data set's folder, or its base name elsewhere."""
    if path is None:
        return ""
    own, base = Path(os.path.abspath(path)), os.path.abspath(root)
    return own.relative_to(base).as_posix() if own.is_relative_to(base) else own.name
