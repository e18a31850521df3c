"""CSV, TSV, JSON and JSONL files with a column of paths -> tables with an audio column.

Every cell of a CSV stays the text it is: a class called `NA`, `True` or `007` keeps its name.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Audio, Dataset, concatenate_datasets

from audio_cls.config import DataConfig
from audio_cls.data.found import AUDIO_SUFFIXES, SPLIT_OF_NAME
from audio_cls.errors import DatasetError, list_names, suggest_name

ROW_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
AUDIO = "audio"  # name of the column that the paths become
NUM_LOOKED_AT = 100  # first rows that tell which column holds paths

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PathTables:
    """The tables of a folder that list clips."""

    splits: dict[str, Dataset]
    key: str  # changes when one of the listed clips does
    problem: str  # why there are no splits, to go into a sentence; empty when there are


def read_path_tables(
    files: Sequence[Path], root: Path, cfg: DataConfig, suffix: str | None = None
) -> PathTables:
    """Read the tables that have a column of paths, one a split where their names say so.

    `train.csv` or `test/metadata.csv` name their split; when some do, files that name none
    (`validated.tsv`) are left out. Paths are relative to `--audio-root`, else to their table.

    Args:
        files: Table files.
        root: The folder that all of them lie in.
        cfg: Settings; the audio column, if it is named, must be in one of the tables.
        suffix: What the files are, when their names do not say so.

    Raises:
        DatasetError: A file cannot be parsed, a named column is missing, or no clip is there.
    """
    listed: dict[str | None, list[Dataset]] = {}
    finder = ClipFinder(Path(cfg.audio_root).expanduser() if cfg.audio_root else root)
    columns: list[str] = []
    problem = ""
    for file in files:
        rows = read_rows(file, suffix or file.suffix.lower())
        columns += [name for name in rows.column_names if name not in columns]
        column = find_path_column(rows, cfg.audio_column)
        if column is None:
            continue
        base = finder.root if cfg.audio_root else file.parent
        table = _attach_clips(rows, column, base, finder, cfg.audio_column or AUDIO)
        if table is not None:
            listed.setdefault(_read_split_name(file, root), []).append(table)
        elif len(rows):
            problem = (
                f"; none of the {len(rows)} clips that '{file}' lists is below '{finder.root}',"
                f" such as '{rows.column(column)[0]}' (--audio-root names their folder)"
            )
    if not listed:
        return _explain_nothing(files, columns, problem, cfg)
    return PathTables(_join_splits(listed), finder.key, "")


def _explain_nothing(
    files: Sequence[Path], columns: list[str], problem: str, cfg: DataConfig
) -> PathTables:
    """Say why no table lists clips; an error where the settings named a column or a root."""
    if problem and (cfg.audio_root is not None or cfg.audio_column is not None):
        raise DatasetError(problem.removeprefix("; ").capitalize() + ".")
    if cfg.audio_column is not None:
        raise DatasetError(
            f"There is no column '{cfg.audio_column}' of paths in {list_names(files)}: the"
            f" columns are {list_names(columns)}.{suggest_name(cfg.audio_column, columns)}"
        )
    return PathTables({}, "", problem or f"; the columns are {list_names(columns)}")


def read_rows(file: Path, suffix: str) -> pa.Table:
    """Read one table file of the kind that `suffix` says; the cells of CSV and TSV are text.

    Raises:
        DatasetError: The file is not what its suffix says; the text has the line.
    """
    try:
        if suffix == ".parquet":
            return pq.read_table(file)
        text = file.read_text("utf-8-sig")
        if suffix in (".csv", ".tsv"):
            return _parse_csv(text, "\t" if suffix == ".tsv" else ",")
        rows = _parse_json(text)
        return pa.Table.from_pylist([row for row in rows if isinstance(row, dict)])
    except (ValueError, pa.ArrowException) as error:
        text = " ".join(str(error).split())
        raise DatasetError(f"The table '{file}' cannot be read: {text}. Mend that line.") from error


def find_path_column(rows: pa.Table, wanted: str | None) -> str | None:
    """Return the column of paths: the wanted one, else the first whose cells end like clips."""
    if wanted is not None:
        return wanted if wanted in rows.column_names else None
    for name in rows.column_names:
        cells = [cell for cell in rows.column(name).slice(0, NUM_LOOKED_AT).to_pylist() if cell]
        if cells and all(
            isinstance(cell, str) and cell.lower().endswith(AUDIO_SUFFIXES) for cell in cells
        ):
            return str(name)
    return None


def _parse_csv(text: str, separator: str) -> pa.Table:
    """Parse quoted or plain CSV whose first line names the columns."""
    lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    if not lines:
        return pa.table({})
    header, rows = lines[0], [line for line in lines[1:] if line]
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ValueError(f"row {number} has {len(row)} cells, the header has {len(header)}")
    return pa.table(
        {
            name: pa.array([row[place] for row in rows], pa.string())
            for place, name in enumerate(header)
        }
    )


def _parse_json(text: str) -> list[object]:
    """Parse a list, one object, or one value a line."""
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        whole = None
    if whole is not None:
        return whole if isinstance(whole, list) else [whole]
    values: list[object] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                values.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise ValueError(f"line {number} is not JSON ({error.msg})") from error
    return values


class ClipFinder:
    """Finds listed clips, and keeps a key of the state of those it found."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._digest = hashlib.sha256()

    @property
    def key(self) -> str:
        """Return what changes when one of the clips found so far does."""
        return self._digest.hexdigest()

    def find(self, base: Path, listed: str) -> str | None:
        """Return the clip's path: below `base` as listed, else the only one of its name."""
        for path in (base / listed, self._by_name.get(PurePosixPath(listed).name)):
            if path is not None and path.is_file():
                state = path.stat()
                self._digest.update(f"{path}\0{state.st_size}\0{state.st_mtime_ns}\0".encode())
                return str(path)
        return None

    @functools.cached_property
    def _by_name(self) -> dict[str, Path | None]:
        """Map base names below the root to paths, or to None where two clips share one."""
        paths: dict[str, Path | None] = {}
        for path in sorted(self.root.rglob("*")):
            if path.suffix.lower() in AUDIO_SUFFIXES:
                paths[path.name] = None if path.name in paths else path
        return paths


def _attach_clips(
    rows: pa.Table, column: str, base: Path, finder: ClipFinder, name: str
) -> Dataset | None:
    """Add the audio column `name` and `file` (the path as listed); None when no clip is there."""
    listed = rows.column(column).to_pylist()
    paths = [finder.find(base, cell) if cell else None for cell in listed]
    if not any(paths):
        return None
    # A clip that is missing keeps the path it should have, so that decoding can name it.
    paths = [
        path or (str(base / cell) if cell else None)
        for path, cell in zip(paths, listed, strict=True)
    ]
    others = {other: rows.column(other) for other in rows.column_names if other != name}
    if "file" not in others:
        names = [PurePosixPath(cell).as_posix() if cell else "" for cell in listed]
        others["file"] = pa.array(names, pa.string())
    table = Dataset(pa.table({name: pa.array(paths, pa.string()), **others}))
    return table.cast_column(name, Audio(decode=False))


def _read_split_name(file: Path, root: Path) -> str | None:
    """Return the split that a table's name or folder says, such as `esc50-train.csv`."""
    for name in (file.stem, *reversed(file.relative_to(root).parts[:-1])):
        for word in re.split(r"[^a-z]+", name.lower()):
            if word in SPLIT_OF_NAME:
                return SPLIT_OF_NAME[word]
    return None


def _join_splits(listed: dict[str | None, list[Dataset]]) -> dict[str, Dataset]:
    """Put tables of one split one after the other; those that name none are train, or left out."""
    named = {split: parts for split, parts in listed.items() if split is not None}
    unnamed = listed.get(None, [])
    if named and unnamed:
        logger.warning("%d tables whose name is no split are left out.", len(unnamed))
    return {
        split: concatenate_datasets(parts) for split, parts in (named or {"train": unnamed}).items()
    }
