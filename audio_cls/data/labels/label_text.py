"""Text of labels: Unicode normalisation, lists written as text, several names in one cell."""

from __future__ import annotations

import ast
import logging
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from audio_cls.errors import count_of
from audio_cls.run_warnings import warn

logger = logging.getLogger(__name__)


def normalize_name(name: str) -> str:
    r"""Return a class name in Unicode's composed form (NFC).

    Folders of macOS, and archives of them, write "é" as two characters.

    >>> normalize_name("e\u0301") == "\u00e9"
    True
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def warn_of_mixed_unicode_forms(column: str, texts: Iterable[str]) -> None:
    """Warn where the texts of a column have one name in two Unicode forms."""
    distinct = set(texts)
    twice = [t for t in distinct if normalize_name(t) != t and normalize_name(t) in distinct]
    if twice:
        number, first = count_of(len(twice), "name"), normalize_name(min(twice))
        warn(
            logger,
            f"Column '{column}' has {number} spelled in two Unicode forms, such as '{first}': each"
            " counts as one class.",
        )


def normalize_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return class names in composed form; unchanged where two of them would become equal."""
    texts = tuple(map(str, names))
    normalized = tuple(map(normalize_name, texts))
    return normalized if len(set(normalized)) == len(set(texts)) else texts


def are_written_lists(cells: Sequence[Any]) -> bool:
    """Return whether every text that is not empty is a list in brackets, such as "['a', 'b']"."""
    texts = {cell.strip() for cell in set(cells) if cell is not None} - {""}
    return bool(texts) and all(text[0] == "[" and text[-1] == "]" for text in texts)


def are_whole_numbers(texts: Iterable[str]) -> bool:
    """Return whether every text that is not empty is a whole number, such as "10" or "-1".

    >>> are_whole_numbers(["10", "-1", ""]), are_whole_numbers(["1", "1.5"])
    (True, False)
    """
    numbers = (text.strip().removeprefix("-") for text in texts if text.strip())
    return all(number.isascii() and number.isdigit() for number in numbers)


def parse_list(text: str) -> list[Any]:
    """Parse a list that is written as text by Python, JSON or NumPy, or without quotes.

    >>> parse_list("['a', 'b']"), parse_list("['a' 'b c']"), parse_list("[a, b]"), parse_list("[]")
    (['a', 'b'], ['a', 'b c'], ['a', 'b'], [])
    >>> parse_list("[0 1 0]"), parse_list("[0., 1.]")
    ([0, 1, 0], [0.0, 1.0])
    """
    blanks = r"(?<=['\"])\s+(?=['\"])" if re.search("['\"]", text) else r"(?<=[\d.])\s+(?=\d)"
    text = re.sub(blanks, ", ", text.strip())
    try:
        values = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        values = [part.strip(" \t\r\n'\"") for part in text[1:-1].split(",")]
    return [value for value in values if value != ""] if isinstance(values, list) else [text]


def count_places(cells: Iterable[Any]) -> int | None:
    """Return the length of lists with a 0 or 1 for each label; None for lists of labels.

    All lists must have one length, two or more, and no other values than 0 and 1 (False and True).

    >>> count_places([[0, 1, 0], None, [1, 1, 0]]), count_places([[0, 1], [1]])
    (3, None)
    """
    length = None
    for cell in cells:
        if cell is None:
            continue
        if not isinstance(cell, list) or length not in (None, len(cell)):
            return None
        if any(value not in (0, 1) for value in cell):
            return None
        length = len(cell)
    return length if length is not None and length > 1 else None


def join_names(names: Iterable[str]) -> str:
    r"""Join the labels of a clip into one cell with `;`; a `;` in a name is escaped by `\`.

    >>> join_names(["a;b", "d"])
    'a\\;b;d'
    """
    return ";".join(name.replace("\\", "\\\\").replace(";", "\\;") for name in names)


def split_names(cell: str) -> list[str]:
    r"""Split a cell of `join_names` into the labels.

    >>> split_names("a\\;b;d"), split_names("")
    (['a;b', 'd'], [])
    """
    parts = re.findall(r"(?:[^;\\]|\\.)+", cell, flags=re.DOTALL)
    return [re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in parts]
