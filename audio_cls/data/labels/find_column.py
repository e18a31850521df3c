"""Label column: the column that the settings name, or the only one that can be the label."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from datasets import Audio, ClassLabel, Dataset, List, Value

from audio_cls.errors import DatasetError, list_names, suggest_name

MAX_NAMES = 1000  # a text column with more distinct values is no label
CLIPS_PER_NAME = 2  # a text column with fewer clips per value on average has ids or sentences
# Usual names of label columns, likeliest first, to choose one of several candidates.
LABEL_COLUMNS = (
    *("label", "labels", "genre", "class", "category", "intent_class", "lang_id", "language"),
    *("locale", "emotion", "answer", "keyword", "word", "target", "classID", "tags"),
    *("species", "Species", "annotation", "Annotation"),
)
CLIP_NAMES = ("file", "recording")  # columns with names of clips or recordings: no label
BINARY_VALUES = {"0", "1", "0.0", "1.0", "true", "false"}  # in lower case

logger = logging.getLogger(__name__)


def find_label_column(splits: Mapping[str, Dataset], wanted: str | None) -> str:
    """Return the wanted column, else `label`, the only ClassLabel, or the only column of names.

    Of several candidates, one with a usual name (`LABEL_COLUMNS`) is chosen and logged. A split may
    lack the column, such as a test split without labels.

    Args:
        splits: Tables; columns of type Audio are never the label.
        wanted: `--label-column`, or None to find the column.

    Raises:
        DatasetError: There is no such column, or not exactly one candidate; the text lists columns.
    """
    tables = largest_tables(splits)
    if wanted is not None:
        if wanted in tables:
            return wanted
        raise DatasetError(
            f"There is no column '{wanted}' for --label-column: the columns are"
            f" {list_names(list_fields(splits))}.{suggest_name(wanted, list_fields(splits))}"
        )
    if LABEL_COLUMNS[0] in tables:
        return LABEL_COLUMNS[0]
    kinds = {name: table.features[name] for name, table in tables.items()}
    candidates = (
        [name for name, kind in kinds.items() if isinstance(kind, ClassLabel)]
        or [
            name
            for name, table in tables.items()
            if name not in CLIP_NAMES and _looks_like_names(table, name)
        ]
        or [name for name in LABEL_COLUMNS if _holds_classes(kinds.get(name))]
        or [name for name, kind in kinds.items() if _has_type(kind, "bool")]
    )
    usual = [name for name in LABEL_COLUMNS if name in candidates]
    if len(candidates) > 1 and usual:
        others = list_names(name for name in candidates if name != usual[0])
        logger.info("The label is '%s'; --label-column could also be %s.", usual[0], others)
        return usual[0]
    is_one_of_several = len(candidates) == 1 and _is_binary(tables[candidates[0]], candidates[0])
    advice = _suggest_binary(tables) if len(candidates) != 1 or is_one_of_several else ""
    if len(candidates) == 1 and not advice:
        return str(candidates[0])
    if candidates:
        found = f"could be {list_names(candidates)}. Choose one with --label-column"
    else:
        fields = list_names(list_fields(splits))
        found = f"was not found. Choose one with --label-column: {fields}"
    raise DatasetError(f"The label column {found}.{advice}")


def largest_tables(splits: Mapping[str, Dataset]) -> dict[str, Dataset]:
    """Map each column that is not of type Audio to the largest split that has it."""
    tables: dict[str, Dataset] = {}
    for table in splits.values():
        for name, kind in table.features.items():
            if not isinstance(kind, Audio):
                tables[name] = max(tables.get(name, table), table, key=len)
    return tables


def list_fields(splits: Mapping[str, Dataset]) -> list[str]:
    """List the columns that are not of type Audio; structs by field, such as `info.genre`."""
    names: list[str] = []
    for name, table in largest_tables(splits).items():
        names += _expand(name, table.features[name])
    return names


def _expand(name: str, kind: Any) -> Iterable[str]:  # noqa: ANN401 (a feature may be of any type)
    """Return the name of a column, or the names of the fields of a struct."""
    if not isinstance(kind, dict):
        return [name]
    return [field for key, inner in kind.items() for field in _expand(f"{name}.{key}", inner)]


def _suggest_binary(tables: Mapping[str, Dataset]) -> str:
    """Return a sentence on --label-columns where several columns have only 0 and 1."""
    binary = [name for name, table in tables.items() if _is_binary(table, name)]
    if len(binary) < 2:
        return ""
    return (
        f" {len(binary)} columns hold only 0 and 1: if each is a class, give --label-columns"
        f" {','.join(binary)}"
    )


def _is_binary(table: Dataset, column: str) -> bool:
    """Return whether a column of booleans, numbers or texts has no other values than 0 and 1."""
    kind = table.features[column]
    if not _has_type(kind, "bool", "int", "uint", "float", "string", "large_string"):
        return False
    if _has_type(kind, "bool"):
        return True
    values = {str(value).lower() for value in table.unique(column) if value is not None}
    return bool(values) and values <= BINARY_VALUES


def _looks_like_names(table: Dataset, column: str) -> bool:
    """Return whether a column has few distinct texts that repeat, as labels do."""
    if not _has_type(table.features[column], "string", "large_string"):
        return False
    num_names = len(table.unique(column))
    return 2 <= num_names <= min(MAX_NAMES, len(table) // CLIPS_PER_NAME)


def _holds_classes(kind: Any) -> bool:  # noqa: ANN401
    """Return whether a column is of numbers, booleans or lists; None is no column."""
    return _has_type(kind, "int", "uint", "bool") or isinstance(kind, List)


def _has_type(kind: Any, *types: str) -> bool:  # noqa: ANN401
    """Return whether the values of a column have one of these types; `int` means any size."""
    return isinstance(kind, Value) and kind.dtype.rstrip("0123456789") in types
