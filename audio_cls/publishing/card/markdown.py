r"""Escaping of untrusted text for Markdown: running text, table cells, code spans, code blocks.

A label or a name can neither break a table nor add markup. The template escapes every value that is
not a `Markdown` already (jinja's `finalize`).
"""

from __future__ import annotations

import math
import re

from audio_cls.publishing.run_record import single_line

MAX_CELL = 80  # characters of a name in a table; a longer one ends in an ellipsis
MAX_TEXT = 4_000  # characters of a command line


class Markdown(str):
    """Text that is Markdown already and is not escaped again."""

    __slots__ = ()


# Characters that can start Markdown markup, a tag, an entity, mathematics or an automatic link. As
# character references they cannot (CommonMark 0.31, section 2.5).
_SPECIAL = re.compile(
    r"""[\\`*\[\]<>&|~!#$^{}"]|(?<![^\W_])_|_(?![^\W_])|:(?=\S)|@|(?<=www)\.""", re.I
)
_LINE_START = re.compile(r"^(?:[-+=](?=[-+=\s]|$)|\d{1,9}(?=[.)](?:\s|$)))")


def escape(value: object, max_length: int = MAX_CELL) -> str:
    r"""Return `value` as text for a sentence or a table cell: one line without markup.

    >>> escape("a | <b>")
    'a &#124; &#60;b&#62;'
    """
    if isinstance(value, Markdown):
        return value
    line = _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", single_line(value, max_length))
    return _LINE_START.sub(lambda found: _escape_last(found[0]), line)


def _escape_last(start: str) -> str:
    """Escape the last character of a line start: `- x` and `1. x` are not lists then."""
    return f"{start[:-1]}&#{ord(start[-1])};"


def to_sentence(pattern: str, *values: object) -> Markdown:
    """Fill values into a Markdown pattern; the values are escaped.

    >>> to_sentence("**{}** clips of {}", 3, "a*b")
    '**3** clips of a&#42;b'
    """
    return Markdown(pattern.format(*(escape(value) for value in values)))


def to_code(value: object, max_length: int = MAX_CELL) -> Markdown:
    r"""Return a code span that is valid in a table.

    >>> to_code("a|b")
    '`a\\|b`'
    """
    line = single_line(value, max_length) or " "
    fence = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return Markdown(f"{fence}{pad}{line}{pad}{fence}".replace("|", r"\|"))


def to_block(text: str, language: str = "") -> Markdown:
    """Return a fenced code block; the fence is longer than any run of backticks in the text."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return Markdown(f"{fence}{language}\n{text}\n{fence}")


def _longest_run(text: str) -> int:
    """Return the length of the longest run of backticks."""
    return max((len(run) for run in re.findall(r"`+", text)), default=0)


def to_number(value: object, digits: int = 3) -> str:
    """Return a number as text, a dash for a missing or other value.

    >>> to_number(0.83333), to_number(None), to_number(12)
    ('0.833', '-', '12')
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def to_duration(seconds: object) -> str:
    """Return seconds as text in s, min or h.

    >>> to_duration(42.0), to_duration(150.2), to_duration(9000)
    ('42 s', '2.5 min', '2.5 h')
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return "-"
    if not math.isfinite(seconds):
        return "-"
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min")):
        if seconds < limit:
            return f"{seconds / unit:.{0 if unit == 1 else 1}f} {name}"
    return f"{seconds / 3600:.1f} h"
