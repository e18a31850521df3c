"""Clip list: the clips that one table lists by path or id, with their segments and splits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from audio_cls.audio.files import is_audio_path
from audio_cls.audio.segments import Segment, join_segment
from audio_cls.config import DataConfig
from audio_cls.data.sources.split_names import SPLIT_OF_NAME
from audio_cls.data.sources.tables.clip_paths import ClipIndex, ClipPaths
from audio_cls.data.sources.tables.segment_columns import take_segments
from audio_cls.data.sources.tables.split_column import take_row_splits

NUM_LOOKED_AT = 100  # first rows, by which the column of paths is found


@dataclass(frozen=True)
class Listing:
    """One table with a column of clips."""

    file: Path
    rows: pa.Table
    column: str
    clips: ClipPaths
    segments: list[Segment | None] | None
    splits: list[str | None]  # split of each row, None for none

    @property
    def ids(self) -> list[str]:
        """Return the path of each clip, with its segment."""
        segments = self.segments or [None] * len(self.clips.paths)
        pairs = zip(self.clips.paths, segments, strict=True)
        return [join_segment(str(path), segment) if path else "" for path, segment in pairs]


def list_clips(
    file: Path,
    rows: pa.Table,
    index: ClipIndex,
    root: Path,
    cfg: DataConfig,
    *,
    is_cut: bool = True,
) -> tuple[Listing | None, str | None]:
    """Find the column of a table that names clips, and the clips.

    Args:
        file: The table file.
        rows: Its content.
        index: The audio files.
        root: The folder of the data set.
        cfg: Settings.
        is_cut: See `take_segments`.

    Returns:
        The table with its clips; or None, and the first path in it if it lists paths.
    """
    audio_root = index.root if cfg.audio_root else None
    first = None
    for column in _list_columns(file, rows, index, audio_root, cfg.audio_column):
        cells = rows.column(column).to_pylist()
        clips = index.locate(cells, file, audio_root)
        if clips.num_found:
            segments, rows = take_segments(rows, clips.paths, file, cfg, is_cut=is_cut)
            splits, rows = take_row_splits(rows, clips.names, cfg)
            splits = splits or [_read_split_name(file, root)] * len(rows)
            return Listing(file, rows, column, clips, segments, splits), None
        first = first or next((str(cell) for cell in cells if cell), None)
    return None, first


def _list_columns(
    file: Path, rows: pa.Table, index: ClipIndex, audio_root: Path | None, wanted: str | None
) -> list[str]:
    """List the columns that may name clips: the wanted one, or paths, or the likeliest ids."""
    if wanted is not None:
        return [wanted] if wanted in rows.column_names else []
    counts: dict[str, tuple[int, int]] = {}
    paths = []
    for name in rows.column_names:
        cells = [cell for cell in rows.column(name).slice(0, NUM_LOOKED_AT).to_pylist() if cell]
        if cells and sum(map(is_audio_path, cells)) >= len(cells) / 2:
            paths.append(str(name))
        elif cells and all(isinstance(cell, str | int) for cell in cells):
            num_found = index.locate(cells, file, audio_root).num_found
            if num_found >= len(cells) / 2:
                counts[str(name)] = num_found, len(set(cells))
    return paths or sorted(counts, key=lambda name: counts[name], reverse=True)[:1]


def _read_split_name(file: Path, root: Path) -> str | None:
    """Return the split in the name or folder of a table, such as `esc50-train.csv`."""
    for name in (file.stem, *reversed(file.relative_to(root).parts[:-1])):
        for word in re.split(r"[^a-z]+", name.lower()):
            if word in SPLIT_OF_NAME:
                return SPLIT_OF_NAME[word]
    return None
