"""Clip ids: the file column, the path, or the row number of each clip."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from audio_cls.storage.arrow import copy_columns


def read_clip_ids(splits: dict[str, Dataset], column: str) -> NDArray[np.str_]:
    """Return the id of every clip: its file name where those are unique, else its row.

    Args:
        splits: Tables.
        column: Their audio column.

    Returns:
        Shape (number of clips,), unique, such as `blues.00000.wav` or `train/17`; of the splits one
        after the other.
    """
    num_clips = sum(map(len, splits.values()))
    for read in (_read_file_column, _read_audio_paths, _read_file_names):
        names = [name for table in splits.values() for name in read(table, column)]
        if len(names) == num_clips and all(names) and len(set(names)) == num_clips:
            return np.array(names)
    return np.array(
        [f"{name}/{row}" for name, table in splits.items() for row in range(len(table))]
    )


def _read_file_column(table: Dataset, column: str) -> list[Any]:
    """Return the `file` column where it has relative paths, as that of class folders; else []."""
    if "file" not in table.column_names or len(table) == 0:
        return []
    return [] if Path(str(table[0]["file"])).is_absolute() else list(table["file"])


def _read_file_names(table: Dataset, column: str) -> list[Any]:
    """Return the base names of a `file` column, whose paths may be those of another computer."""
    if "file" not in table.column_names:
        return []
    return [PurePath(path).name if path else None for path in table["file"]]


def _read_audio_paths(table: Dataset, column: str) -> list[Any]:
    """Return the base name of each clip's path."""
    if table._indices is not None:
        return []
    paths = copy_columns(table, [column], "path")[column].to_pylist()
    return [os.path.basename(path) if path else None for path in paths]  # faster than pathlib
