"""Split column: the split of each listed clip, from a column or from folders train/ and test/."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import pyarrow as pa

from audio_cls.config import DataConfig
from audio_cls.data.sources.split_names import SPLIT_OF_NAME
from audio_cls.errors import count_of
from audio_cls.run_warnings import warn

SPLIT_COLUMNS = ("split", "data_split", "subset", "partition", "usage", "set")

logger = logging.getLogger(__name__)


def take_row_splits(
    rows: pa.Table, names: Sequence[str], cfg: DataConfig
) -> tuple[list[str | None] | None, pa.Table]:
    """Read the split of each row, and remove the split column from the table.

    A column of `SPLIT_COLUMNS` is used if its cells name splits (see `are_splits`) or are empty,
    and no setting names it for something else. Without one, the folders are used, see
    `read_folder_splits`. A warning counts other values of the column, or other folders.

    Args:
        rows: The table.
        names: Paths of the clips as listed, "" for none.
        cfg: Settings.

    Returns:
        The split of each row, None for an empty cell or another value; None instead of a list where
        there are no splits. And the table without the split column.
    """
    used = {cfg.label_column, cfg.group_column, cfg.fold_column, cfg.audio_column}
    used |= set(cfg.label_columns)
    columns = {name.strip().lower().replace(" ", "_"): name for name in reversed(rows.column_names)}
    for wanted in SPLIT_COLUMNS:
        column = columns.get(wanted)
        if column is None or column in used:
            continue
        cells = [str(cell or "").strip().lower() for cell in rows.column(column).to_pylist()]
        if are_splits(cells):
            _warn_of_other_values(cells, f"in the column '{column}'")
            splits = [SPLIT_OF_NAME.get(cell) for cell in cells]
            return splits, rows.select([name for name in rows.column_names if name != column])
    return read_folder_splits(names), rows


def read_folder_splits(names: Sequence[str]) -> list[str | None] | None:
    """Read the splits from the first folders in which paths differ, if these name two splits.

    Paths in other folders have no split; a warning counts them.

    >>> read_folder_splits(["data/train/a.wav", "data/test/b.wav"])
    ['train', 'test']
    >>> read_folder_splits(["train/a.wav", "tram/b.wav"])
    """
    paths = [PurePosixPath(name).parts[:-1] for name in names]
    for depth in range(max(map(len, paths), default=0)):
        level = [parts[depth].lower() if len(parts) > depth else "" for parts in paths]
        if len({folder for folder, name in zip(level, names, strict=True) if name}) == 1:
            continue
        splits = [SPLIT_OF_NAME.get(folder) for folder in level]
        if not are_splits(level) or len(set(splits) - {None}) < 2:
            return None
        _warn_of_other_values(level, "among the folders of the listed paths")
        return splits
    return None


def are_splits(values: Iterable[str]) -> bool:
    """Return whether values, in lower case, name splits: all do, or they have train and another.

    >>> are_splits(["train", "test", "holdout", ""]), are_splits(["train", "tram"])
    (True, False)
    """
    distinct, known = set(values) - {""}, set(SPLIT_OF_NAME)
    splits = {SPLIT_OF_NAME[value] for value in distinct & known}
    return bool(distinct) and (distinct <= known or ("train" in splits and len(splits) > 1))


def _warn_of_other_values(values: Sequence[str], where: str) -> None:
    """Warn of values that name no split; their clips are left out."""
    counts = Counter(value for value in values if value and value not in SPLIT_OF_NAME)
    if counts:
        text = (
            f"Not used: {count_of(counts.total(), 'clip')} with {count_of(len(counts), 'value')}"
            f" {where} that {'is' if len(counts) == 1 else 'are'} no split's name (train,"
            " validation or test)."
        )
        warn(logger, text, names=[f"{value}: {count}" for value, count in counts.items()])
