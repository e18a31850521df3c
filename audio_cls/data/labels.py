"""Which column holds the label, and what its values mean: names <-> ids.

In: the tables of a `Source`. Out: `Labels`, with one integer a clip. A label that cannot be used
(null, empty, -1, out of range) becomes `UNUSABLE` and is counted, never trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, Value
from numpy.typing import NDArray

from audio_cls.errors import DatasetError, list_names, suggest_name

UNUSABLE = -1
NAME_TYPES = ("string", "large_string", "bool", "int", "uint")  # that can be labels
MOST_NAMES = 1000  # a string column with more distinct values is no label
CLIPS_PER_NAME = 2  # a string column with fewer clips a value on average is an id or a sentence


@dataclass(frozen=True)
class Labels:
    """The classes of a task and each clip's class."""

    column: str
    names: tuple[str, ...]
    ids: dict[str, NDArray[np.int64]]  # split -> (number of clips,), UNUSABLE where there is none

    def count_unusable(self) -> int:
        """Count the clips of all splits whose label cannot be used."""
        return int(sum((ids == UNUSABLE).sum() for ids in self.ids.values()))


def read_labels(splits: dict[str, Dataset], column: str | None) -> Labels:
    """Find the label column and read every clip's class.

    Args:
        splits: Tables with the same columns.
        column: The column asked for, or None to find the only one that can be meant.

    Raises:
        DatasetError: No column, several, or a column with fewer than two classes.
    """
    first = next(iter(splits.values()))
    column = find_label_column(first, column)
    kind = first.features[column]
    values = {name: table.with_format(None)[column][:] for name, table in splits.items()}
    if isinstance(kind, ClassLabel):
        names = tuple(kind.names)
        ids = {name: _check_ids(rows, len(names)) for name, rows in values.items()}
        present = {int(i) for rows in ids.values() for i in rows if i != UNUSABLE}
    elif isinstance(kind, Value) and kind.dtype.startswith(NAME_TYPES):
        names = _collect_names(values)
        index: dict[str | None, int] = {name: number for number, name in enumerate(names)}
        ids = {
            split: np.array([index.get(_to_name(v), UNUSABLE) for v in rows], dtype=np.int64)
            for split, rows in values.items()
        }
        present = set(index.values())
    else:
        raise DatasetError(
            f"Column '{column}' ({kind}) cannot be a label: class labels, strings, whole numbers"
            " and booleans can. Choose another by --label-column."
        )
    if len(present) < 2:
        only = list_names(names[i] for i in present) or "nothing"
        raise DatasetError(
            f"Column '{column}' has {len(present)} class ({only}): a classifier needs two or more."
            " Choose another by --label-column, or add clips of another class."
        )
    return Labels(column, names, ids)


def find_label_column(table: Dataset, wanted: str | None) -> str:
    """Return the wanted column, else `label`, the only ClassLabel, or the only column of names.

    Raises:
        DatasetError: There is no such column, or no single candidate; the text lists the columns.
    """
    columns = list(table.features)
    if wanted is not None:
        if wanted in columns:
            return wanted
        raise DatasetError(
            f"There is no column '{wanted}': the columns are {list_names(columns)}."
            f"{suggest_name(wanted, columns)}"
        )
    if "label" in columns:
        return "label"
    class_labels = [name for name, kind in table.features.items() if isinstance(kind, ClassLabel)]
    candidates = class_labels or [name for name in columns if _looks_like_names(table, name)]
    if len(candidates) == 1:
        return str(candidates[0])
    found = f"could be {list_names(candidates)}" if candidates else "is in no column that we know"
    raise DatasetError(f"The label {found}: choose --label-column of {list_names(columns)}.")


def _looks_like_names(table: Dataset, column: str) -> bool:
    """Tell whether a string column repeats few values, as labels do."""
    kind = table.features[column]
    if not isinstance(kind, Value) or kind.dtype not in ("string", "large_string"):
        return False
    num_names = len(table.unique(column))
    return 2 <= num_names <= min(MOST_NAMES, len(table) // CLIPS_PER_NAME)


def _check_ids(rows: list[int | None], num_labels: int) -> NDArray[np.int64]:
    """Replace nulls and ids outside 0..num_labels-1 by UNUSABLE."""
    ids = np.array([UNUSABLE if value is None else value for value in rows], dtype=np.int64)
    ids[(ids < 0) | (ids >= num_labels)] = UNUSABLE
    return ids


def _to_name(value: Any) -> str | None:  # noqa: ANN401
    """Turn one value into a class name; None where it is no label."""
    if value is None or value == "" or (not isinstance(value, str) and value == -1):
        return None
    return str(value)


def _collect_names(values: dict[str, list[Any]]) -> tuple[str, ...]:
    """List the distinct names of all splits: numbers in number order, words in word order."""
    distinct = {value for rows in values.values() for value in rows if _to_name(value) is not None}
    return tuple(str(value) for value in sorted(distinct))
