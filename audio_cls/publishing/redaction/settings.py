"""Redaction of settings and of the command line by an allow-list.

Numbers, booleans and fixed choices are published as they are. A setting that takes any text is
published only if one of the lists below has it; a new setting is withheld until then. The command
line is rebuilt from the same lists.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from audio_cls.config import (
    RENAMED_SETTINGS,
    CountOrAuto,
    Range,
    Setting,
    flag_name,
    iterate_settings,
)
from audio_cls.demo_data import BUILTIN
from audio_cls.errors import redact_tokens
from audio_cls.publishing.redaction.text import cut_address, redact_paths, redact_text, to_base_name
from audio_cls.publishing.run_record import COMMIT_SHA, Tree, is_repo_id

TEXTS = frozenset(
    {
        "dataset_config", "dataset_revision", "model_revision", "audio_column", "label_column",
        "label_columns", "label_separator", "keep_labels", "drop_labels", "merge_rare_into",
        "keywords", "unknown_from", "group_column", "fold_column", "train_split",
        "validation_split", "test_split", "split_files_sha256", "pos_weight", "energy_country",
        "start_column", "end_column", "duration_column", "report_to", "license",
        "task_id", "eval_notes", "limitations", "augment", "augment_p", "language",
    }
)  # fmt: skip
# Markdown and BibTeX, which the user writes for the card: published without change except for
# tokens, and left out of the published command, since the card has them as text.
CARD_TEXTS = frozenset({"model_description", "intended_use", "citation"})
# regular expressions, in which a slash does not start a path
PATTERNS = frozenset({"label_pattern"})
BASE_NAMES = frozenset(
    {"audio_root", "noise_dir", "split_files", "silence_from", "class_weights", "metric"}
)  # paths, addresses or words
SOURCES = {"dataset": "dataset_revision", "model": "model_revision"}  # Hub ids, or paths as above
GROUPS = frozenset({"test_groups", "validation_groups", "group_pattern"})  # may contain group names
# What stands for any name in a regular expression: escapes, sets, the start of a group
PATTERN_SYNTAX = re.compile(
    r"\\.|\[(?:\\.|[^\]\\])*\]|\(\?(?:P<\w+>|[a-zA-Z]+|[:=!<]+)|\{\d*,?\d*\}"
)
LETTERS = re.compile(r"[^\W_]")
WITHHELD = frozenset({"output_dir", "resume", "sweep", "hub_repo_id"})
PLAIN_FOLD = re.compile(
    r"(?:fold|split|f)?[-_ ]?\d{1,4}(?: more)?", re.IGNORECASE
)  # not a group name
NUMBERS = re.compile(r"auto|[\d.,eE+-]*")  # the text of a numeric setting
EVALUATION_FLAGS = {  # of `audio-cls evaluate`: whether a value follows
    "split": True, "calibrate": False, "update-card": False, "trust-remote-code": False,
}  # fmt: skip
DROPPED_FLAGS = {  # whether a value follows
    "label-map": True, "compare": True, "predictions": True, "aggregate": True,
}  # fmt: skip


def publish_settings(
    settings: Mapping[str, Tree], hub_ids: Sequence[str | None], *, with_groups: bool
) -> dict[str, dict[str, Any]]:
    """Return the published settings by section.

    Args:
        settings: run_config.yaml by section.
        hub_ids: Ids of the data set and the base model, where they are on the Hub.
        with_groups: Group names are published too.
    """
    known = {(one.section, one.name): one for one in iterate_settings()}
    public: dict[str, dict[str, Any]] = {}
    for section, values in settings.items():
        for name, value in values.items():
            one = known.get((section, name))
            if one is None:
                continue
            if name in SOURCES and isinstance(value, str):
                shown: Any = _publish_source(value, values.get(SOURCES[name]), hub_ids)
            else:
                shown = publish_value(one, value, with_groups=with_groups)
            if shown is not None or value is None:
                public.setdefault(section, {})[name] = shown
    return public


def publish_value(one: Setting, value: Any, *, with_groups: bool) -> Any:  # noqa: ANN401
    """Return the published value of a setting; None if it is withheld.

    Args:
        one: The setting; not one of `SOURCES`.
        value: Its value: of the setting's type, or a text of the command line.
        with_groups: Group names are published too.
    """
    if isinstance(value, list):
        shown = [publish_value(one, part, with_groups=with_groups) for part in value]
        return shown if None not in shown else None
    if not isinstance(value, str):
        return value if isinstance(value, int | float) else None
    value = redact_tokens(value)
    if value in one.choices:
        return value
    if one.type in (int, float, Range, CountOrAuto, tuple[int, ...]):
        return value if NUMBERS.fullmatch(value) else None
    if one.name in TEXTS:
        return redact_text(value)
    if one.name in CARD_TEXTS:
        return value
    if one.name in BASE_NAMES:
        return to_base_name(value) if re.search(r"[\\/]", value) else value
    if one.name == "group_pattern" and not LETTERS.search(PATTERN_SYNTAX.sub("", value)):
        return value
    if one.name in GROUPS or (one.name == "fold" and not PLAIN_FOLD.fullmatch(value)):
        return value if with_groups else None
    return value if one.name in PATTERNS or one.name == "fold" else None


def _publish_source(name: str, revision: object, hub_ids: Sequence[str | None]) -> str:
    """Return the published id of a data set or model: a Hub id, else the last part of the path.

    Before there are results, an id counts as one of the Hub if its commit is known.
    """
    name = redact_tokens(name)
    is_pinned = COMMIT_SHA.fullmatch(str(revision)) is not None
    if name in hub_ids or name.startswith(BUILTIN) or (is_pinned and is_repo_id(name)):
        return name
    if "://" in name and any(one and f"/{one}" in cut_address(name) for one in hub_ids):
        return cut_address(name)  # a folder of a repository
    return to_base_name(name)


def split_command(command: str) -> list[str]:
    r"""Split a command line into words.

    A command that was not quoted, as earlier versions wrote it, keeps its backslashes.

    >>> split_command("train.py --group-pattern '(ann\\d+)_'")
    ['train.py', '--group-pattern', '(ann\\d+)_']
    """
    try:
        words = shlex.split(command)
    except ValueError:  # an open quote
        return command.split()
    if shlex.join(words) == command:
        return words
    reader = shlex.shlex(command, posix=True)
    reader.whitespace_split, reader.commenters, reader.escape = True, "", ""
    return list(reader)


def publish_command(command: str, settings: Mapping[str, Tree], *, with_groups: bool) -> str:
    """Return the command line with the flags and values that are published.

    Args:
        command: As `describe_command` wrote it.
        settings: The run's published settings, for the names of its data set and model.
        with_groups: Group names are published too.

    >>> publish_command("accelerate launch scripts/train.py --epochs 3 --seed=1 x", {},
    ...                 with_groups=False)
    'accelerate launch scripts/train.py --epochs 3 --seed=1'
    """
    shown, arguments = _split_program(split_command(command))
    if not shown:
        return ""
    sources = {n: s.get(n) for s in settings.values() for n in SOURCES if n in s}
    for flag, value, is_joined in _iterate_flags(arguments):
        public = _publish_flag(flag, value, sources, with_groups=with_groups)
        if value is None and public is not None:
            shown.append(f"--{flag}")
        elif public is not None:
            shown += [f"--{flag}={public}"] if is_joined else [f"--{flag}", public]
    return shlex.join(shown)


def _split_program(words: Sequence[str]) -> tuple[list[str], Sequence[str]]:
    """Split a command line into the published program and its arguments.

    >>> _split_program(["audio-cls", "train", "--epochs", "3"])
    (['audio-cls', 'train'], ['--epochs', '3'])
    """
    if words and to_base_name(words[0]) == "audio-cls":
        return ["audio-cls", *words[1:2]], words[2:]
    for place, word in enumerate(words):
        if word.endswith(".py"):
            return ["accelerate", "launch", f"scripts/{to_base_name(word)}"], words[place + 1 :]
        if word == "-m" and words[place + 1 : place + 2]:
            module = words[place + 1]
            if module == "audio_cls":
                return ["python", "-m", module, *words[place + 2 : place + 3]], words[place + 3 :]
            if module.startswith("audio_cls.cli."):
                return ["accelerate", "launch", "-m", module], words[place + 2 :]
    return [], words


def _iterate_flags(words: Sequence[str]) -> Iterator[tuple[str, str | None, bool]]:
    """Yield (flag, value or None for a switch, whether both are one word); skip other words."""
    switches = {
        f for f, has_value in {**EVALUATION_FLAGS, **DROPPED_FLAGS}.items() if not has_value
    }
    for one in iterate_settings():
        if one.type is bool:
            switches |= {flag_name(one.name)[2:], f"no-{flag_name(one.name)[2:]}"}
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.removeprefix("--").partition("=")
        flag = flag_name(RENAMED_SETTINGS.get(flag.replace("-", "_"), flag))[2:]
        if not word.startswith("--"):
            continue
        if flag in switches:
            yield flag, None, False
        else:
            yield flag, value if equals else next(rest, ""), bool(equals)


def _publish_flag(
    flag: str, value: str | None, sources: Mapping[str, Any], *, with_groups: bool
) -> str | None:
    """Return the published value of a flag, "" for a switch; None if the flag is withheld."""
    name = flag.replace("-", "_")
    known = {one.name: one for one in iterate_settings()}
    if value is None:
        is_known = name in known or name.removeprefix("no_") in known or flag in EVALUATION_FLAGS
        return "" if is_known else None
    if name == "preset":
        return to_base_name(value)
    if name in SOURCES:
        source = sources.get(name)
        is_same = isinstance(source, str) and to_base_name(source) == to_base_name(value)
        return str(source) if is_same else _publish_source(value, None, ())
    if flag in EVALUATION_FLAGS:
        return redact_paths(value)
    one = known.get(name) if name not in CARD_TEXTS else None
    public = publish_value(one, value, with_groups=with_groups) if one is not None else None
    return None if public is None else str(public)
