"""What stays at home: this machine's folders and tokens are taken out of what is published.

Comes in: one value, or one text file of the run folder. Goes out: the same with `/home/ann/music`
shortened to `music` and a token replaced. Labels are never touched: AudioSet's `/m/04rlf` looks
like a path and is a name.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import yaml

from audio_cls.errors import hide_tokens
from audio_cls.publishing.record import read_base_name

LABEL_KEYS = frozenset({"labels", "per_class", "id2label", "label2id"})
ID_COLUMNS = ("id", "file", "path", "reason", "same_as")  # of tables of clips

_ABSOLUTE = re.compile(r"(?:/(?!/)|~[\\/]|[A-Za-z]:[\\/]|\\\\|file:)")
# In the middle of a sentence: only roots under which people keep files, so that "/" as "or" stays.
_ROOTS = (
    r"home|Users|root|tmp|mnt|media|scratch|data|workspace|work|content|var|opt|srv|private|usr"
)
_EMBEDDED = re.compile(
    rf"(?<![\w./~-])(?:/(?:{_ROOTS})/|~/|[A-Za-z]:[\\/](?!/))[^\s\"'`,;:()<>|=]+"
)


def hide_paths(text: str) -> str:
    """Shorten a path of this machine, and any within a sentence, to its last part.

    >>> hide_paths("/home/ann/My Music"), hide_paths("read from /tmp/a/b.wav today")
    ('My Music', 'read from b.wav today')
    """
    if _ABSOLUTE.match(text) and "\n" not in text and not text.startswith("/ "):
        return read_base_name(text)
    return _EMBEDDED.sub(lambda found: read_base_name(found[0]), text)


def hide_in_command(command: str) -> str:
    """Shorten every path of a launch line.

    >>> hide_in_command("train.py --dataset /home/ann/music --epochs=3")
    'train.py --dataset music --epochs=3'
    """
    try:
        words = shlex.split(command)
    except ValueError:  # an open quote
        words = command.split()
    return shlex.join(_hide_in_word(word) for word in words)


def _hide_in_word(word: str) -> str:
    """Shorten the path in `WORD` or `--flag=WORD`."""
    flag, equals, value = word.partition("=")
    return f"{flag}={hide_paths(value)}" if equals and flag.startswith("-") else hide_paths(word)


def hide_in_tree(value: Any, secrets: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 (any JSON value)
    """Clean every text of a JSON or YAML value; labels lose tokens only."""
    if isinstance(value, Mapping):
        return {
            key: _hide_tokens_only(part, secrets)
            if key in LABEL_KEYS
            else hide_tokens(hide_in_command(str(part)), secrets)
            if key == "command"
            else hide_in_tree(part, secrets)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [hide_in_tree(part, secrets) for part in value]
    return hide_tokens(hide_paths(value), secrets) if isinstance(value, str) else value


def _hide_tokens_only(value: Any, secrets: tuple[str, ...]) -> Any:  # noqa: ANN401 (any JSON value)
    """Clean the tokens out of a value, keys included, through its JSON text."""
    return json.loads(hide_tokens(json.dumps(value, ensure_ascii=False), secrets))


def hide_in_file(path: str, text: str, secrets: tuple[str, ...] = ()) -> str:
    """Clean one text file of the run folder; one with nothing to hide comes back as it was.

    Args:
        path: Its place in the run folder: the suffix says how it is read; splits/ has an id a line.
        text: Its content.
        secrets: Tokens in use on this machine.
    """
    place = PurePosixPath(path)
    if place.suffix in (".json", ".yaml"):
        is_json = place.suffix == ".json"
        tree = json.loads(text) if is_json else yaml.safe_load(text)
        clean = hide_in_tree(tree, secrets)
        if clean == tree:
            return text
        if is_json:
            return json.dumps(clean, indent=2, ensure_ascii=False) + "\n"
        return str(yaml.safe_dump(clean, sort_keys=False, allow_unicode=True))
    if place.suffix == ".csv":
        text = _hide_in_csv(text)
    elif place.parts[0] == "splits":
        text = "".join(map(_hide_in_line, text.splitlines(keepends=True)))
    return hide_tokens(text, secrets)


def _hide_in_line(line: str) -> str:
    """Shorten the id on one line and keep the line's end."""
    content = line.rstrip("\r\n")
    return hide_paths(content) + line[len(content) :]


def _hide_in_csv(text: str) -> str:
    """Shorten the paths in the columns that name files; other columns hold labels and numbers."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    places = [i for i, name in enumerate(rows[0] if rows else []) if name in ID_COLUMNS]
    clean = [
        [hide_paths(cell) if i in places else cell for i, cell in enumerate(row)] for row in rows
    ]
    if clean == rows:
        return text
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(clean)
    return out.getvalue()
