"""The cells of a label column -> the class names of each clip, as the data set spells them.

A clip has a tuple of names: one, several (multi-label) or none, and then a reason was counted.
"""

from __future__ import annotations

import functools
import itertools
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, Value
from numpy.typing import NDArray

from audio_cls.data.labels.label_text import (
    are_whole_numbers,
    are_written_lists,
    count_places,
    normalize_name,
    normalize_names,
    parse_list,
    warn_of_mixed_unicode_forms,
)
from audio_cls.data.labels.number_names import read_number_names
from audio_cls.data.sources.columns.column_types import (
    choose_kind,
    get_value_kind,
    is_integer,
    is_null,
    is_text,
    read_kinds,
)
from audio_cls.errors import DatasetError
from audio_cls.storage.arrow import copy_columns

Names = tuple[str, ...]
EMPTY = "empty"  # the reason of a cell that names nothing
NO_COLUMN = "in a split without the column"

logger = logging.getLogger(__name__)


class UnusableLabelError(Exception):
    """A cell that says nothing of the clip's class; the text is the reason to count."""


@dataclass(frozen=True)
class LabelColumn:
    """The label column, read."""

    order: Names  # every class there can be, in the order of their ids
    clips: dict[str, list[Names]]  # split -> the names of each clip
    faults: Counter[str]  # reason -> number of clips without a name
    # Split -> (number of clips,), True where the cell is a list of nothing: `[]`, or "" to be
    # parted. That is a fault (`EMPTY`) unless a clip may have no label.
    is_bare: dict[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class LabelParser:
    """Names the classes of one cell of a label column."""

    column: str
    kind: Any  # the feature of a value
    names: Mapping[int, str]  # of numbers, from another column
    separator: str | None
    is_written_list: bool = False  # texts such as "['a', 'b']"
    num_places: int | None = None  # length of lists such as [0, 1, 1]; None where lists name labels
    is_numbered: bool = False  # texts that are all whole numbers: "-1" is no class, as -1 is none

    def __call__(self, cell: Any) -> tuple[Names, str]:  # noqa: ANN401
        """Return the names, and the reason where there are none."""
        return _read_parts(self.split(cell), self._read_one)

    def split(self, cell: Any) -> list[Any]:  # noqa: ANN401
        """Return the values of one cell; text is split, and trimmed, only when asked for."""
        if self.is_written_list and isinstance(cell, str):
            cell = parse_list(cell) if cell.strip() else None
        if isinstance(cell, list) and self.num_places is not None:
            return [place for place, value in enumerate(cell) if value]
        if self.separator and isinstance(cell, str):
            return [part.strip() for part in cell.split(self.separator) if part.strip()]
        return cell if isinstance(cell, list) else [cell]

    @functools.cached_property
    def _read_one(self) -> Callable[[Any], str]:
        return _choose_reader(self.column, self.kind, self.names, is_numbered=self.is_numbered)

    def __getstate__(self) -> dict[str, Any]:
        """Send only what can be sent to another process."""
        return {name: value for name, value in self.__dict__.items() if name != "_read_one"}


def make_label_parser(
    splits: Mapping[str, Dataset],
    column: str,
    separator: str | None,
    kind: Any,  # noqa: ANN401
) -> LabelParser:
    """Find out from some splits how the cells of a label column of another split are to be read.

    Args:
        splits: Tables.
        column: The label column.
        separator: What parts the names in a text with several of them, or None.
        kind: The feature of the column in the other split.

    Raises:
        DatasetError: Cells of this type cannot be classes.
    """
    reader = _make_reader(splits, column, separator, _read_column(splits, column))
    return _adapt_reader(reader, kind)


def _make_reader(
    splits: Mapping[str, Dataset], column: str, separator: str | None, values: dict[str, list[Any]]
) -> LabelParser:
    """Find out how the cells `values` of a column, split by split, are to be read."""
    kind = choose_kind(read_kinds(splits, column))
    inner = get_value_kind(kind)
    names = read_number_names(splits, column, values) if is_integer(kind) else {}
    _choose_reader(column, inner, names)
    if isinstance(inner, ClassLabel) or (inner is kind and not is_text(kind)):
        return LabelParser(column, inner, names, separator)
    cells = list(itertools.chain.from_iterable(values.values()))
    is_written = is_text(kind) and separator is None and are_written_lists(cells)
    num_places = count_places(map(parse_list, filter(None, cells)) if is_written else cells)
    if is_written:
        logger.info("The texts of '%s' are read as lists of labels.", column)
    if num_places:
        logger.info("The lists of '%s' have a 0 or 1 for each of %d labels.", column, num_places)
    reader = LabelParser(column, inner, names, separator, is_written, num_places)
    if not is_text(kind):
        return reader
    parts = (str(part) for cell in set(filter(None, cells)) for part in reader.split(cell))
    return replace(reader, is_numbered=are_whole_numbers(parts))


def _adapt_reader(reader: LabelParser, kind: Any) -> LabelParser:  # noqa: ANN401
    """Return the reader for a split whose column has this feature: class labels may differ."""
    return reader if is_null(kind) else replace(reader, kind=get_value_kind(kind))


def _read_column(splits: Mapping[str, Dataset], column: str) -> dict[str, list[Any]]:
    """Return the cells of each split that has the column."""
    return {
        split: copy_columns(table, [column])[column].to_pylist()
        for split, table in splits.items()
        if column in table.features
    }


def parse_label_column(
    splits: Mapping[str, Dataset], column: str, separator: str | None
) -> LabelColumn:
    """Read a label column of any type that can hold classes.

    Class labels keep their order, numbers go by size and words by spelling. Each split is read by
    its own class labels, and the splits are joined by the names. Numbers get names from another
    column when one has exactly one text for each (`target` and `category`).

    Args:
        splits: Tables; one without the column has clips without a label.
        column: The label column.
        separator: What parts the names in a text with several of them, or None.

    Raises:
        DatasetError: Cells of this type cannot be classes, or the splits differ in type.
    """
    values = _read_column(splits, column)
    reader = _make_reader(splits, column, separator, values)
    faults: Counter[str] = Counter()
    known: dict[Names, Names] = {(): ()}  # so that equal tuples are one object
    clips: dict[str, list[Names]] = {}
    is_bare = {}
    for split, table in splits.items():
        if split not in values:
            faults[NO_COLUMN] += len(table)
            clips[split] = [()] * len(table)
            is_bare[split] = np.zeros(len(table), dtype=np.bool_)
            continue
        own = _adapt_reader(reader, table.features[column])
        kinds = [tuple(cell) if isinstance(cell, list) else cell for cell in values[split]]
        found: dict[Any, tuple[Names, bool]] = {}  # every cell that there is, read once
        for kind, count in Counter(kinds).items():
            cell = list(kind) if isinstance(kind, tuple) else kind
            read, problem = own(cell)
            if problem:
                faults[problem] += count
            found[kind] = known.setdefault(read, read), not own.split(cell)
        clips[split] = [found[kind][0] for kind in kinds]
        is_bare[split] = np.array([found[kind][1] for kind in kinds], dtype=np.bool_)
    every = itertools.chain.from_iterable(values.values())
    warn_of_mixed_unicode_forms(column, (cell for cell in every if isinstance(cell, str)))
    order = _order_names(reader, read_kinds(splits, column).values(), known)
    return LabelColumn(order, clips, faults, is_bare)


def _order_names(reader: LabelParser, kinds: Iterable[Any], known: Iterable[Names]) -> Names:
    """List the classes in the order of their ids: all declared ones, else those that were read."""
    found = {name for read in known for name in read}
    declared: dict[str, None] = {}
    for kind in map(get_value_kind, kinds):
        declared |= dict.fromkeys(
            normalize_names(kind.names if isinstance(kind, ClassLabel) else ())
        )
    if declared:
        return (*declared, *sorted(found - set(declared)))
    if reader.num_places is not None:
        return tuple(map(str, range(reader.num_places)))
    return _sort_names(found, reader.names)


def _choose_reader(
    column: str,
    kind: Any,  # noqa: ANN401
    names: Mapping[int, str],
    *,
    is_numbered: bool = False,
) -> Callable[[Any], str]:
    """Return what turns one value into a class name, or raises UnusableError."""
    if isinstance(kind, ClassLabel):
        names_of_ids = normalize_names(kind.names)
        return lambda value: _read_class_id(value, names_of_ids)
    if isinstance(kind, Value) and (is_text(kind) or kind.dtype == "bool"):
        return _read_numbered if is_numbered else _read_text
    if isinstance(kind, Value) and (is_integer(kind) or kind.dtype.startswith("float")):
        return lambda value: _read_number(column, value, names)
    raise DatasetError(
        f"Column '{column}' ({kind}) cannot be a label: class labels, strings, whole numbers,"
        " booleans and lists of them can. Choose another by --label-column."
    )


def _read_parts(parts: list[Any], read_one: Callable[[Any], str]) -> tuple[Names, str]:
    """Name the values of one cell; a repeated name counts once, an unusable value is left out."""
    read, problem = [], "" if parts else EMPTY
    for part in parts:
        try:
            read.append(read_one(part))
        except UnusableLabelError as error:
            problem = str(error)
    return tuple(dict.fromkeys(read)), "" if read else problem


def _read_class_id(value: int | None, names: Names) -> str:
    if value is None:
        raise UnusableLabelError("null")
    if value == -1:
        raise UnusableLabelError("-1")
    if not 0 <= value < len(names):
        raise UnusableLabelError("out of range")
    return names[value]


def _read_text(value: str | bool | None) -> str:  # noqa: FBT001 (a cell, not an option)
    if value is None:
        raise UnusableLabelError("null")
    if str(value).strip() == "":
        raise UnusableLabelError(EMPTY)
    return normalize_name(str(value))


def _read_numbered(value: str | None) -> str:
    if value is not None and str(value).strip() == "-1":
        raise UnusableLabelError("-1")
    return _read_text(value)


def _read_number(column: str, value: float | None, names: Mapping[int, str]) -> str:
    if value is None or math.isnan(value):
        raise UnusableLabelError("null")
    if value != int(value):
        raise DatasetError(
            f"Column '{column}' holds {value}, which is no class but a measurement: whole numbers"
            " can be classes. Choose another by --label-column."
        )
    if value == -1:
        raise UnusableLabelError("-1")
    if names and int(value) not in names:
        raise UnusableLabelError("without a name")
    return normalize_name(names.get(int(value), str(int(value))))


def _sort_names(distinct: Iterable[str], beside: Mapping[int, str]) -> Names:
    """Order names: by their numbers where they have some or are some, else by spelling."""
    found = sorted(distinct)
    if beside:
        number = {name: key for key, name in beside.items()}
        return tuple(sorted(found, key=lambda name: number[name]))
    if are_whole_numbers(found):
        return tuple(sorted(found, key=lambda name: (int(name), name)))
    return tuple(found)
