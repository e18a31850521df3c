"""Column types: the features of a label column, and whether all splits have the same type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datasets import ClassLabel, Dataset, List, Value

from audio_cls.errors import DatasetError


def read_kinds(splits: Mapping[str, Dataset], column: str) -> dict[str, Any]:
    """Return the feature of a label column in each split that has the column.

    Class labels and texts count as one type, and so do integers and floats.

    Raises:
        DatasetError: The splits have different types, such as numbers and texts.
    """
    kinds = {name: t.features[column] for name, t in splits.items() if column in t.features}
    types = {split: _describe(kind) for split, kind in kinds.items() if not is_null(kind)}
    if len({text.replace("class labels", "texts") for text in types.values()}) > 1:
        found = ", ".join(f"{text} in split '{split}'" for split, text in types.items())
        raise DatasetError(
            f"Column '{column}' holds values of different types: {found}. Write the labels in the"
            " same way in all splits, or choose another column by --label-column."
        )
    return kinds


def choose_kind(kinds: Mapping[str, Any]) -> Any:  # noqa: ANN401 (a feature may be of any type)
    """Return the first feature of class labels, else the first with values."""
    every = list(kinds.values())
    declared = [kind for kind in every if isinstance(get_value_kind(kind), ClassLabel)]
    return next(iter(declared + [kind for kind in every if not is_null(kind)] + every))


def get_value_kind(kind: Any) -> Any:  # noqa: ANN401
    """Return the feature of one value; for a list, that of its elements."""
    return kind.feature if isinstance(kind, List) else kind


def is_text(kind: Any) -> bool:  # noqa: ANN401
    """Return whether a column is of strings."""
    return isinstance(kind, Value) and kind.dtype in ("string", "large_string")


def is_integer(kind: Any) -> bool:  # noqa: ANN401
    """Return whether a column is of whole numbers."""
    return isinstance(kind, Value) and str(kind.dtype).startswith(("int", "uint"))


def is_null(kind: Any) -> bool:  # noqa: ANN401
    """Return whether a column has only null values."""
    inner = get_value_kind(kind)
    return isinstance(inner, Value) and inner.dtype == "null"


def _describe(kind: Any) -> str:  # noqa: ANN401
    """Describe the type of a column for a message, such as "lists of numbers"."""
    inner = get_value_kind(kind)
    if isinstance(inner, ClassLabel):
        text = "class labels"
    elif is_text(inner):
        text = "texts"
    elif isinstance(inner, Value) and inner.dtype == "bool":
        text = "booleans"
    elif is_integer(inner) or (isinstance(inner, Value) and inner.dtype.startswith("float")):
        text = "numbers"
    else:
        text = str(inner)
    return text if inner is kind else f"lists of {text}"
