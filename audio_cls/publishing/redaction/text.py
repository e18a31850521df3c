"""Redaction of texts and names: paths, logins and tokens are removed.

A path or a URL is cut to its last part. Allow-lists in settings.py, results.py and tables.py decide
which values are published at all.
"""

from __future__ import annotations

import re

from audio_cls.errors import redact_tokens
from audio_cls.publishing.run_record import path_basename

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_ABSOLUTE = re.compile(r"/|~|[A-Za-z]:[\\/]|\\\\|file:")
# Within a sentence: a URL, or anything that starts like an absolute path.
_IN_TEXT = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'`<>()]+"
    r"|(?<![\w./~\\-])(?:~?/(?=[^\s\"'`,;:()<>|=/]+/)|~/|[A-Za-z]:[\\/]|\\\\)"
    r"[^\s\"'`,;:()<>|=]+"
)


def cut_address(address: str) -> str:
    """Return a URL without login, query and fragment.

    >>> cut_address("https://ann:pw@host.org/a/b.csv?signature=1#c")
    'https://host.org/a/b.csv'
    """
    scheme, _, rest = address.partition("://")
    place = re.split(r"[?#]", rest, maxsplit=1)[0]
    host, slash, path = place.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def to_base_name(place: str) -> str:
    """Return the last part of a path or a URL, without query; any other text unchanged.

    >>> to_base_name("https://ann:pw@host.org/a/b.csv?signature=1"), to_base_name("data/clips/")
    ('b.csv', 'clips')
    """
    if _ADDRESS.match(place):
        _, _, path = cut_address(place).partition("://")[2].partition("/")
        return path_basename(path) if path.strip("/") else "unnamed"
    return path_basename(place)


def redact_paths(text: str) -> str:
    """Cut an absolute path or a URL to its last part; any other name is unchanged.

    >>> redact_paths("/gpfs/ann/a.wav"), redact_paths("blues/a.wav")
    ('a.wav', 'blues/a.wav')
    """
    is_place = _ADDRESS.match(text) or _ABSOLUTE.match(text)
    return to_base_name(text.removeprefix("file:")) if is_place else text


def redact_text(text: str) -> str:
    """Return a sentence without tokens, absolute paths cut to names, URLs without login.

    >>> redact_text("read from /gpfs/ann/b.wav and https://u:p@host/c?d=1 and/or elsewhere")
    'read from b.wav and https://host/c and/or elsewhere'
    """
    return redact_tokens(_IN_TEXT.sub(lambda found: _cut(found[0]), text))


def _cut(place: str) -> str:
    """Shorten one path or URL within a sentence; punctuation after it is kept."""
    bare = place.rstrip(".,;:!?")
    is_page = bare.startswith(("https://", "http://", "hf://"))
    return (cut_address(bare) if is_page else to_base_name(bare)) + place[len(bare) :]
