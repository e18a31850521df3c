"""Names of numeric classes from another column, such as `category` for `target`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from datasets import Dataset

from audio_cls.audio.files import AUDIO_SUFFIXES
from audio_cls.data.labels.find_column import LABEL_COLUMNS, MAX_NAMES
from audio_cls.data.sources.columns.column_types import is_text
from audio_cls.errors import DatasetError

# Columns that may have the names of numeric classes, likeliest first. No other column is used, as
# speakers or places may have one class each, too.
NAME_COLUMNS = ("category", "class", "class_name", "label_name", "genre", "name", "text")
MORE_NAME_COLUMNS = ("label_text", *LABEL_COLUMNS)

logger = logging.getLogger(__name__)


def read_number_names(
    splits: Mapping[str, Dataset], column: str, values: Mapping[str, list[Any]]
) -> dict[int, str]:
    """Return number -> name from a text column that has exactly one text for each number.

    Args:
        splits: Tables.
        column: The label column, of whole numbers.
        values: Split -> its cells, for the splits that have the column.

    Returns:
        The names; empty where no such column is in all splits.

    Raises:
        DatasetError: A column has one text for each number in each split, but not over all splits.
    """
    tables = {split: splits[split] for split in values}
    first = next(iter(tables.values()))
    for name in _list_candidates(first, column):
        if len(first.unique(name)) > MAX_NAMES or any(
            not is_text(table.features.get(name)) for table in tables.values()
        ):
            continue
        pairs = {
            split: {
                (number, text)
                for number, text in zip(values[split], table[name][:], strict=True)
                if number is not None and text
            }
            for split, table in tables.items()
        }
        every = set().union(*pairs.values())
        if len({number for number, _ in every}) < 2 or _are_files(text for _, text in every):
            continue
        if _is_one_to_one(every):
            logger.info("The classes of '%s' have their names from '%s'.", column, name)
            return dict(every)
        if all(map(_is_one_to_one, pairs.values())):
            raise _explain_conflict(column, name, pairs)
    return {}


def _list_candidates(table: Dataset, column: str) -> list[str]:
    """List the text columns that may have names of classes, likeliest first."""
    order = dict.fromkeys((*NAME_COLUMNS, f"{column.lower()}_name", *MORE_NAME_COLUMNS))
    places = {name.lower(): place for place, name in reversed(list(enumerate(order)))}
    names = [name for name, kind in table.features.items() if is_text(kind) and name != column]
    known = [name for name in names if name.lower() in places]
    return sorted(known, key=lambda name: places[name.lower()])


def _is_one_to_one(pairs: set[tuple[int, str]]) -> bool:
    mapping = dict(pairs)
    return len(pairs) == len(mapping) == len(set(mapping.values()))


def _explain_conflict(
    column: str, name: str, pairs: Mapping[str, set[tuple[int, str]]]
) -> DatasetError:
    """Return the error for two splits that have different names for one number."""
    seen: list[tuple[str, int, str]] = []
    conflict = ""
    for split, named in pairs.items():
        for number, text in sorted(named):
            for other, key, known in seen:
                if not conflict and (number == key) != (text == known):
                    conflict = f"{key} is '{known}' in {other}, and {number} is '{text}' in {split}"
            seen.append((split, number, text))
    return DatasetError(
        f"The numbers of '{column}' do not have the same names in all splits: by '{name}',"
        f" {conflict}. Read the names by --label-column {name}, or correct the data set."
    )


def _are_files(names: Iterable[str]) -> bool:
    return all(name.lower().endswith(AUDIO_SUFFIXES) for name in names)
