r"""Escaping of untrusted text for Markdown: running text, table cells, code spans, code blocks.

A label or a name can neither break a table nor add markup. The template escapes every value that is
not a `Markdown` already (jinja's `finalize`). Only characters that start markup at their place are
escaped, so that the raw text stays readable.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from audio_cls.errors import count_of, quote_comma
from audio_cls.publishing.run_record import single_line

MAX_CELL = 80  # characters of a name in a table; a longer one ends in an ellipsis
MAX_TEXT = 4_000  # characters of a command line


class Markdown(str):
    """Text that is Markdown already and is not escaped again."""

    __slots__ = ()


# Where markup can start: escapes, emphasis, tables, mathematics, tags, entities, addresses.
_SPECIAL = re.compile(
    r"""[\\`*\[|~$]|(?<![^\W_])_|_(?![^\W_])|<(?=[a-z/!?])|&(?=\#?\w+;)"""
    r"""|(?<=[a-z]):(?=//)|(?<=\bwww)\.|(?<=\S)@(?=\S)|(?<=\s)\#+$""",
    re.IGNORECASE,
)
# Lists, quotes, headings and underlines of headings, which start a line only.
_LINE_START = re.compile(r"^(?:\d{1,9}(?=[.)](?:\s|$))|(?=[-+=>#]))")


def escape(value: object, max_length: int = MAX_CELL) -> str:
    r"""Return `value` as text within a line: one line, with a backslash before markup.

    >>> print(escape("a | <b> _silence_ 1 < 2 & a_b"))
    a \| \<b> \_silence\_ 1 < 2 & a_b
    """
    if isinstance(value, Markdown):
        return value
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", single_line(value, max_length))


def escape_line(value: object, max_length: int = MAX_CELL) -> str:
    r"""Return `value` as text that starts a line or a list item.

    >>> print(escape_line("1. a"), escape_line("- b"), escape_line("2 dB"))
    1\. a \- b 2 dB
    """
    line = escape(value, max_length)
    return line if isinstance(value, Markdown) else _LINE_START.sub(r"\g<0>\\", line)


def to_sentence(pattern: str, *values: object) -> Markdown:
    r"""Fill values into a Markdown pattern; the values are escaped.

    Names are cut to `MAX_CELL` characters; pass a longer text by `to_text`.

    >>> print(to_sentence("**{}** clips of {}", 3, "a*b"))
    **3** clips of a\*b
    """
    is_start = re.match(r"(?:- )?\{\}", pattern) is not None
    shown = [escape_line(v) if is_start and i == 0 else escape(v) for i, v in enumerate(values)]
    return Markdown(pattern.format(*shown))


def join_names(names: Sequence[object], most: int) -> Markdown:
    """Join the first names; one with a comma is in quotation marks, so that the list is clear.

    >>> join_names(["bass", "drums, percussion", "voice"], 2)
    "bass, 'drums, percussion' and 1 more"
    """
    shown = ", ".join(quote_comma(escape(name)) for name in names[:most])
    return Markdown(shown + (f" and {len(names) - most} more" if len(names) > most else ""))


def to_text(value: object, max_length: int = MAX_TEXT) -> Markdown:
    """Return a sentence or several that are not cut within a line of the card."""
    return Markdown(escape_line(value, max_length))


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


def to_number(value: object, digits: int = 3, missing: str = "") -> str:
    """Return a number as text, `missing` for another value.

    >>> to_number(0.83333), to_number(None), to_number(None, missing="-"), to_number(12)
    ('0.833', '', '-', '12')
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return missing
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def to_duration(seconds: object) -> str:
    """Return seconds as text in s, min or h; empty for another value.

    >>> to_duration(0.4), to_duration(42.0), to_duration(150.2), to_duration(9000)
    ('less than 1 s', '42 s', '2.5 min', '2.5 h')
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return ""
    if not math.isfinite(seconds):
        return ""
    if 0 < seconds < 1:
        return "less than 1 s"
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min")):
        if seconds < limit:
            return f"{seconds / unit:.{0 if unit == 1 else 1}f} {name}"
    return f"{seconds / 3600:.1f} h"


def count(number: object, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is 1.

    >>> count(1, "clip"), count(1200, "clip"), count(None, "process")
    ('1 clip', '1,200 clips', '? processes')
    """
    return count_of(number, noun) if isinstance(number, int) else f"? {count_of(2, noun)[2:]}"
