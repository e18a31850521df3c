"""Plain-text tables for terminals and log files.

Names of classes and files come from data sets: they may have line breaks, escape sequences that
change a terminal, and characters that are two columns wide.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence

TERMINAL_WIDTH = 80  # columns of a terminal that every table and wrapped text fits
GAP = "  "
NO_BREAK = "\0"  # a blank in a text for `wrap_text` at which no line ends
JOINERS = "\u200c\u200d"  # not printable for Python; Persian words and emoji need them

_FILL = "\1"  # after a character of two columns while a text is wrapped by its length
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def format_table(
    rows: Sequence[Sequence[str]], align: str = "", width: int = TERMINAL_WIDTH
) -> list[str]:
    """Return aligned lines, one per row; cells of the widest text columns are shortened to fit.

    Args:
        rows: Cells; the first row is usually the header. All rows have the same length.
        align: One letter per column, "l" or "r"; missing letters are "l".
        width: Columns that a line may have.

    >>> format_table([["class", "recall"], ["rock", "0.61"]], "lr")
    ['class  recall', 'rock     0.61']
    >>> format_table([["a" * 12, "0.5"]], "lr", width=12)
    ['aaaaaa…  0.5']
    """
    if not rows:
        return []
    align = align.ljust(len(rows[0]), "l")
    rows = [[to_line(cell) for cell in row] for row in rows]
    widths = [max(map(count_columns, column)) for column in zip(*rows, strict=True)]
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - width
    while excess > 0 and max(widths) > 1:
        widest = widths.index(max(widths))
        widths[widest] -= 1
        excess -= 1
    lines = []
    for row in rows:
        cells = [shorten(cell, size) for cell, size in zip(row, widths, strict=True)]
        padded = [
            pad_text(cell, size, is_right=side == "r")
            for cell, size, side in zip(cells, widths, align, strict=True)
        ]
        lines.append(GAP.join(padded).rstrip())
    return lines


def wrap_text(text: str, indent: str = "", label: str | None = None) -> list[str]:
    """Return a text as lines of the terminal's width; long names are not broken.

    Args:
        text: The text.
        indent: Before every line; if empty, two spaces before all lines but the first.
        label: Before the first line, instead of the indent.
    """
    filled = _NOT_ASCII.sub(
        lambda found: found[0] + _FILL * (count_columns(found[0]) - 1), drop_controls(text)
    )
    lines = textwrap.wrap(
        filled,
        TERMINAL_WIDTH,
        initial_indent=indent if label is None else label,
        subsequent_indent=indent or "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_FILL, "").replace(NO_BREAK, " ") for line in lines]


def shorten(text: str, size: int) -> str:
    """Return a text of at most `size` columns, with an ellipsis where it was cut.

    >>> shorten("drums", 8), shorten("a very long name", 8), shorten("日本語", 5)
    ('drums', 'a very …', '日本…')
    """
    if count_columns(text) <= size:
        return text
    while text and count_columns(text) > size - 1:
        text = text[: min(len(text) - 1, size - 1)]
    return text + "…"


def pad_text(text: str, size: int, *, is_right: bool = False) -> str:
    """Return a text with blanks before or after it, `size` columns wide."""
    blanks = " " * (size - count_columns(text))
    return blanks + text if is_right else text + blanks


def count_columns(text: str) -> int:
    """Return the columns of a terminal that a text takes; accents on a letter take none.

    >>> count_columns("rock"), count_columns("日本")
    (4, 4)
    """
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(one) or one in JOINERS
        else 1 + (unicodedata.east_asian_width(one) in "WF")
        for one in text
    )


def drop_controls(text: str) -> str:
    r"""Return a text without characters that control a terminal; line breaks stay.

    >>> drop_controls("a" + chr(27) + "[2Jb" + chr(9) + "c")
    'a[2Jb c'
    """
    if text.isprintable():
        return text
    kept = f"\n{NO_BREAK}{JOINERS}"
    return "".join(
        one if one.isprintable() or one in kept else " " if one.isspace() else "" for one in text
    )


def to_line(text: str) -> str:
    r"""Return a text on one line: white space collapsed, control characters dropped.

    >>> to_line("a" + chr(10) + "  b" + chr(0))
    'a b'
    """
    return " ".join(drop_controls(text).replace(NO_BREAK, "").split())
