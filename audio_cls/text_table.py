"""Plain-text tables for terminals and log files."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

TERMINAL_WIDTH = 80  # columns of a terminal that every table and wrapped text fits
GAP = "  "


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
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - width
    while excess > 0 and max(widths) > 1:
        widest = widths.index(max(widths))
        widths[widest] -= 1
        excess -= 1
    lines = []
    for row in rows:
        cells = [shorten(cell, size) for cell, size in zip(row, widths, strict=True)]
        padded = [
            cell.rjust(size) if side == "r" else cell.ljust(size)
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
    return textwrap.wrap(
        text,
        TERMINAL_WIDTH,
        initial_indent=indent if label is None else label,
        subsequent_indent=indent or "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def shorten(text: str, size: int) -> str:
    """Return a text of at most `size` characters, with an ellipsis where it was cut.

    >>> shorten("drums", 8), shorten("a very long name", 8)
    ('drums', 'a very …')
    """
    return text if len(text) <= size else text[: size - 1] + "…"
