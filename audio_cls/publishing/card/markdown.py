r"""Untrusted text becomes Markdown: a label or a name can neither break a table nor run.

Comes in: any value. Goes out: text for one of three places (running text or a table cell, a code
span, a fenced block). The template sends every value through `escape` by itself (jinja's
`finalize`); what is already Markdown is a `Markdown`.
"""

from __future__ import annotations

import math
import re

from audio_cls.publishing.run_record import single_line

MAX_CELL = 80  # characters of one name in a table; a longer one ends in an ellipsis
MAX_TEXT = 4_000  # characters of a command line


class Markdown(str):
    """Text that is Markdown already, and is not escaped again."""

    __slots__ = ()


# What can open a Markdown construct, a tag, an entity, mathematics or an automatic link in a line.
# A character reference is never read as one of them (CommonMark 0.31, section 2.5).
_SPECIAL = re.compile(
    r"""[\\`*\[\]<>&|~!#$^{}"]|(?<![^\W_])_|_(?![^\W_])|:(?=\S)|@|(?<=www)\.""", re.I
)
_LINE_START = re.compile(r"^(?:[-+=](?=[-+=\s]|$)|\d{1,9}(?=[.)](?:\s|$)))")


def escape(value: object, max_length: int = MAX_CELL) -> str:
    r"""Return `value` as text for a sentence or a table cell: one line, nothing in it is markup.

    >>> escape("a | <b>")
    'a &#124; &#60;b&#62;'
    """
    if isinstance(value, Markdown):
        return value
    line = _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", single_line(value, max_length))
    return _LINE_START.sub(lambda found: _refer_last(found[0]), line)


def _refer_last(start: str) -> str:
    """Refer to the last character of a line's beginning: `- x` and `1. x` are no lists then."""
    return f"{start[:-1]}&#{ord(start[-1])};"


def to_sentence(pattern: str, *values: object) -> Markdown:
    """Fill values into a sentence of ours; each is escaped, the sentence is not.

    >>> to_sentence("**{}** clips of {}", 3, "a*b")
    '**3** clips of a&#42;b'
    """
    return Markdown(pattern.format(*(escape(value) for value in values)))


def to_code(value: object, max_length: int = MAX_CELL) -> Markdown:
    r"""Return a code span that may stand in a table.

    >>> to_code("a|b")
    '`a\\|b`'
    """
    line = single_line(value, max_length) or " "
    fence = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return Markdown(f"{fence}{pad}{line}{pad}{fence}".replace("|", r"\|"))


def to_block(text: str, language: str = "") -> Markdown:
    """Return a fenced block of code; the fence is longer than any run of backticks within."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return Markdown(f"{fence}{language}\n{text}\n{fence}")


def _longest_run(text: str) -> int:
    """Return the length of the longest run of backticks."""
    return max((len(run) for run in re.findall(r"`+", text)), default=0)


def to_number(value: object, digits: int = 3) -> str:
    """Return a number for a table, a dash for what is missing or not a number.

    >>> to_number(0.83333), to_number(None), to_number(12)
    ('0.833', '-', '12')
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def to_duration(seconds: object) -> str:
    """Return seconds in the unit a reader would choose.

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
