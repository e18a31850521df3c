"""Label column parser: the cells of a label column -> the class names of each clip.

A clip has a tuple of names: one, several (multi-label), or none, and then the reason is counted.
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
from audio_cls.errors import DatasetError, count_of
from audio_cls.storage.arrow import copy_columns

Names = tuple[str, ...]
NULL = "null"  # reason of a cell without a value
EMPTY = "empty"  # reason of a cell without a name
NO_COLUMN = "in a split without the column"

logger = logging.getLogger(__name__)


class UnusableLabelError(Exception):
    """The cell has no usable label; the message is the reason that is counted."""


@dataclass(frozen=True)
class LabelParser:
    """Parses the cells of a label column."""

    column: str
    kind: Any  # feature of one value
    names: Mapping[int, str]  # number -> name, where another column has the names
    separator: str | None  # between the labels in one text
    is_written_list: bool = False  # texts such as "['a', 'b']"
    num_places: int | None = None  # length of lists such as [0, 1, 1]; None for lists of labels
    is_numbered: bool = False  # all texts are whole numbers: "-1" is no class, as -1 is none

    def __call__(self, cell: Any) -> tuple[Names, str]:  # noqa: ANN401
        """Return the class names of a cell, and the reason where there are none."""
        return _parse_values(self.split(cell), self._parse_value)

    def split(self, cell: Any) -> list[Any]:  # noqa: ANN401
        """Return the values in a cell; texts are split and stripped where there is a separator."""
        if self.is_written_list and isinstance(cell, str):
            cell = parse_list(cell) if cell.strip() else None
        if isinstance(cell, list) and self.num_places is not None:
            return [place for place, value in enumerate(cell) if value]
        if self.separator and isinstance(cell, str):
            return [part.strip() for part in cell.split(self.separator) if part.strip()]
        return cell if isinstance(cell, list) else [cell]

    def adapt(self, kind: Any) -> LabelParser:  # noqa: ANN401
        """Return the parser of a split whose column has this feature: class labels may differ."""
        return self if is_null(kind) else replace(self, kind=get_value_kind(kind))

    @functools.cached_property
    def _parse_value(self) -> Callable[[Any], str]:
        return _make_value_parser(self.column, self.kind, self.names, is_numbered=self.is_numbered)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the function, which cannot be pickled."""
        return {name: value for name, value in self.__dict__.items() if name != "_parse_value"}


@dataclass(frozen=True)
class LabelColumn:
    """A parsed label column."""

    name: str  # of the column
    classes: Names  # every class, in the order of the label ids
    clips: dict[str, list[Names]]  # split -> class names of each clip
    unusable: Counter[str]  # reason -> number of clips without a class
    # Split -> (number of clips,), True where the cell is an empty list, or an empty text that is
    # split by the separator. Such a clip is unusable (`EMPTY`) unless clips may have no label.
    is_empty: dict[str, NDArray[np.bool_]]
    parser: LabelParser | None = None  # of its cells; None for a column that the program made


def parse_label_column(
    splits: Mapping[str, Dataset], column: str, separator: str | None
) -> LabelColumn:
    """Parse a label column of any type that can hold classes.

    Class labels keep their order; numbers are sorted by value, texts alphabetically. Each split is
    read by its own class labels; the splits are joined by the names. Numbers get names from another
    column that has exactly one text for each number (`target` and `category`).

    Args:
        splits: Tables; the clips of a split without the column have no label.
        column: The label column.
        separator: Separator of several labels in one text, or None.

    Raises:
        DatasetError: Cells of this type cannot be classes, or the splits differ in type.
    """
    cells = {
        split: copy_columns(table, [column])[column].to_pylist()
        for split, table in splits.items()
        if column in table.features
    }
    parser = _make_parser(splits, column, separator, cells)
    unusable: Counter[str] = Counter()
    known: dict[Names, Names] = {(): ()}  # so that equal tuples are one object
    clips: dict[str, list[Names]] = {}
    is_empty = {}
    for split, table in splits.items():
        if split not in cells:
            unusable[NO_COLUMN] += len(table)
            clips[split] = [()] * len(table)
            is_empty[split] = np.zeros(len(table), dtype=np.bool_)
            continue
        parse = parser.adapt(table.features[column])
        keys = [tuple(cell) if isinstance(cell, list) else cell for cell in cells[split]]
        parsed: dict[Any, tuple[Names, bool]] = {}  # each distinct cell is parsed once
        for key, count in Counter(keys).items():
            cell = list(key) if isinstance(key, tuple) else key
            names, reason = parse(cell)
            if reason:
                unusable[reason] += count
            parsed[key] = known.setdefault(names, names), not parse.split(cell)
        clips[split] = [parsed[key][0] for key in keys]
        is_empty[split] = np.array([parsed[key][1] for key in keys], dtype=np.bool_)
    every = itertools.chain.from_iterable(cells.values())
    warn_of_mixed_unicode_forms(column, (cell for cell in every if isinstance(cell, str)))
    classes = _order_classes(parser, read_kinds(splits, column).values(), known)
    return LabelColumn(column, classes, clips, unusable, is_empty, parser)


def _make_parser(
    splits: Mapping[str, Dataset], column: str, separator: str | None, values: dict[str, list[Any]]
) -> LabelParser:
    """Choose how the cells of a column, `values` by split, are parsed."""
    kind = choose_kind(read_kinds(splits, column))
    inner = get_value_kind(kind)
    names = read_number_names(splits, column, values) if is_integer(kind) else {}
    _make_value_parser(column, inner, names)  # refuses types that cannot be classes
    if isinstance(inner, ClassLabel) or (inner is kind and not is_text(kind)):
        return LabelParser(column, inner, names, separator)
    cells = list(itertools.chain.from_iterable(values.values()))
    is_written = is_text(kind) and separator is None and are_written_lists(cells)
    num_places = count_places(map(parse_list, filter(None, cells)) if is_written else cells)
    if is_written:
        logger.info("The texts of '%s' are read as lists of labels.", column)
    if num_places:
        number = count_of(num_places, "label")
        logger.info("The lists of '%s' have a 0 or 1 for each of %s.", column, number)
    parser = LabelParser(column, inner, names, separator, is_written, num_places)
    if not is_text(kind):
        return parser
    parts = (str(part) for cell in set(filter(None, cells)) for part in parser.split(cell))
    return replace(parser, is_numbered=are_whole_numbers(parts))


def _order_classes(parser: LabelParser, kinds: Iterable[Any], known: Iterable[Names]) -> Names:
    """List the classes in the order of their ids: the declared ones, else those that occur."""
    found = {name for names in known for name in names}
    declared: dict[str, None] = {}
    for kind in map(get_value_kind, kinds):
        declared |= dict.fromkeys(
            normalize_names(kind.names if isinstance(kind, ClassLabel) else ())
        )
    if declared:
        return (*declared, *sorted(found - set(declared)))
    if parser.num_places is not None:
        return tuple(map(str, range(parser.num_places)))
    return _sort_names(found, parser.names)


def _make_value_parser(
    column: str,
    kind: Any,  # noqa: ANN401
    names: Mapping[int, str],
    *,
    is_numbered: bool = False,
) -> Callable[[Any], str]:
    """Return the function from one value to a class name; it raises UnusableLabelError."""
    if isinstance(kind, ClassLabel):
        names_of_ids = normalize_names(kind.names)
        return lambda value: _parse_class_id(value, names_of_ids)
    if isinstance(kind, Value) and (is_text(kind) or kind.dtype == "bool"):
        return _parse_numbered_text if is_numbered else _parse_text
    if isinstance(kind, Value) and (is_integer(kind) or kind.dtype.startswith("float")):
        return lambda value: _parse_number(column, value, names)
    raise DatasetError(
        f"Column '{column}' ({kind}) cannot be a label: supported are class labels, strings,"
        " whole numbers, booleans and lists of these. Choose another column with"
        " --label-column."
    )


def _parse_values(values: list[Any], parse: Callable[[Any], str]) -> tuple[Names, str]:
    """Parse the values of one cell; repeated names count once, unusable values are left out."""
    names, reason = [], "" if values else EMPTY
    for value in values:
        try:
            names.append(parse(value))
        except UnusableLabelError as error:
            reason = str(error)
    return tuple(dict.fromkeys(names)), "" if names else reason


def _parse_class_id(value: int | None, names: Names) -> str:
    if value is None:
        raise UnusableLabelError(NULL)
    if value == -1:
        raise UnusableLabelError("-1")
    if not 0 <= value < len(names):
        raise UnusableLabelError("out of range")
    return names[value]


def _parse_text(value: str | bool | None) -> str:  # noqa: FBT001 (a cell, not an option)
    if value is None:
        raise UnusableLabelError(NULL)
    if str(value).strip() == "":
        raise UnusableLabelError(EMPTY)
    return normalize_name(str(value))


def _parse_numbered_text(value: str | None) -> str:
    if value is not None and str(value).strip() == "-1":
        raise UnusableLabelError("-1")
    return _parse_text(value)


def _parse_number(column: str, value: float | None, names: Mapping[int, str]) -> str:
    if value is None or math.isnan(value):
        raise UnusableLabelError(NULL)
    if value != int(value):
        raise DatasetError(
            f"Column '{column}' holds {value}, which is a measurement, not a class: numbers must"
            " be whole to be classes. Choose another column with --label-column."
        )
    if value == -1:
        raise UnusableLabelError("-1")
    if names and int(value) not in names:
        raise UnusableLabelError("without a name")
    return normalize_name(names.get(int(value), str(int(value))))


def _sort_names(distinct: Iterable[str], numbers: Mapping[int, str]) -> Names:
    """Sort names by their numbers, by value where all are numbers, else alphabetically."""
    found = sorted(distinct)
    if numbers:
        number_of = {name: number for number, name in numbers.items()}
        return tuple(sorted(found, key=lambda name: number_of[name]))
    if are_whole_numbers(found):
        return tuple(sorted(found, key=lambda name: (int(name), name)))
    return tuple(found)
