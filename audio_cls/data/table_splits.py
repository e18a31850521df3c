"""The split of each listed clip, from a column `split` or from folders train/ and test/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import pyarrow as pa

from audio_cls.config import DataConfig
from audio_cls.data.found import SPLIT_OF_NAME

SPLIT_COLUMNS = ("split", "subset", "partition", "set")


def take_row_splits(
    rows: pa.Table, names: Sequence[str], cfg: DataConfig
) -> tuple[list[str | None] | None, pa.Table]:
    """Read which split each row is in, and take the column that says so out of the table.

    A column called split, subset, partition or set is used when all of its cells are names of
    splits (train, validation, val, dev, test ...), or empty; a column that a setting names for
    something else is not. Without one, the folders say it, see `read_folder_splits`.

    Args:
        rows: The table.
        names: The clips' paths as listed, "" for none.
        cfg: Settings.

    Returns:
        A split for each row, None where its cell is empty; None instead of a list when nothing
        says it.
    """
    taken = {cfg.label_column, cfg.group_column, cfg.fold_column, cfg.audio_column}
    places = {name.strip().lower(): name for name in reversed(rows.column_names)}
    for wanted in SPLIT_COLUMNS:
        column = places.get(wanted)
        if column is None or column in taken:
            continue
        cells = [str(cell or "").strip().lower() for cell in rows.column(column).to_pylist()]
        found = {cell for cell in cells if cell}
        if found and found <= set(SPLIT_OF_NAME):
            splits = [SPLIT_OF_NAME.get(cell) for cell in cells]
            return splits, rows.select([name for name in rows.column_names if name != column])
    return read_folder_splits(names), rows


def read_folder_splits(names: Sequence[str]) -> list[str | None] | None:
    """Read the splits from the first folders in which paths differ, if all are names of splits.

    >>> read_folder_splits(["data/train/a.wav", "data/test/b.wav"])
    ['train', 'test']
    >>> read_folder_splits(["train/a.wav", "tram/b.wav"])
    """
    paths = [PurePosixPath(name).parts[:-1] if name else None for name in names]
    folders = [parts for parts in paths if parts is not None]
    depth = 0
    while folders and all(len(parts) > depth for parts in folders):
        level = {parts[depth] for parts in folders}
        if len(level) > 1:
            splits = {SPLIT_OF_NAME.get(name.lower()) for name in level}
            if None in splits or len(splits) < 2:
                return None
            return [SPLIT_OF_NAME[parts[depth].lower()] if parts else None for parts in paths]
        depth += 1
    return None
