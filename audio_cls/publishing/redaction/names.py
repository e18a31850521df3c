"""Redaction of the names of clips and groups, as given by `--publish-ids`.

`NameMasker` replaces the name of a clip. Groups, such as speakers, become `group 1`, `group 2` ...
in the order of the table by group; clips become `clip 1`, `clip 2` ..., with the same number in all
files. Clips are also numbered where the names of any clips (of training, validation and test, or
unusable ones) contain those of their groups.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from audio_cls.config import HubConfig
from audio_cls.publishing.redaction.settings import PLAIN_FOLD
from audio_cls.publishing.redaction.text import redact_paths
from audio_cls.publishing.run_record import RunRecord, Tree
from audio_cls.runs.run_files import EXAMPLES_FIGURE

CLIP_COLUMNS = ("id", "same_as", "like")  # of the tables of clips
LISTS = ("splits/train.txt", "splits/validation.txt", "splits/test.txt")
GROUPS_FILE = "splits/groups.csv"  # id, group and fold of every clip; never published
TABLES = ("predictions.csv", "bad_audio.csv", "duplicates.csv", "near_duplicates.csv")


@dataclass(frozen=True)
class NameMasker:
    """Replacement of the names that are not published."""

    with_groups: bool = False
    groups: tuple[str, ...] = ()  # group names in the settings, which are not published
    numbers: Mapping[str, str] | None = None  # clip id -> number; None to publish the ids
    with_examples: bool = True  # the figure of training examples is published

    def show_clip(self, name: str) -> str:
        """Return the published name of a clip; a path is cut to its file name."""
        return redact_paths(name) if self.numbers is None else self.numbers.get(name, "clip")

    def publishes(self, path: str) -> bool:
        """Return whether a file is published; its path is that in the run folder.

        >>> NameMasker(with_examples=False).publishes("figures/training_examples.png")
        False
        """
        return self.with_examples or path != EXAMPLES_FIGURE


def choose_names(run: Path, publish_ids: str, settings: Mapping[str, Tree]) -> NameMasker:
    """Return which names are numbered, from the files of a run folder.

    Args:
        run: The run folder.
        publish_ids: The setting: "clips", "all" or "none".
        settings: run_config.yaml by section.
    """
    if publish_ids == "all":
        return NameMasker(with_groups=True)
    groups = read_groups(settings)
    if publish_ids == "none":
        return NameMasker(groups=groups, numbers=_number_clips(run), with_examples=False)
    if not _may_ids_name_groups(run, settings.get("data", {})):
        return NameMasker(groups=groups)
    return NameMasker(groups=groups, numbers=_number_clips(run))


def read_groups(settings: Mapping[str, Tree]) -> tuple[str, ...]:
    """Return the group names in the settings --test-groups, --validation-groups and --fold."""
    data = settings.get("data", {})
    named = [*(data.get("test_groups") or []), *(data.get("validation_groups") or [])]
    fold = data.get("fold")
    named += [fold] if fold is not None and not PLAIN_FOLD.fullmatch(str(fold)) else []
    return tuple(map(str, named))


def read_publish_ids(settings: Mapping[str, Tree]) -> str:
    """Return the run's setting `--publish-ids`, or its default."""
    return str(settings.get("hub", {}).get("publish_ids") or HubConfig().publish_ids)


def choose_names_by_settings(record: RunRecord) -> NameMasker:
    """Return which names are numbered by the run's settings."""
    return choose_names(record.folder, read_publish_ids(record.settings), record.settings)


def _may_ids_name_groups(run: Path, data: Tree) -> bool:
    """Return whether clip ids contain group names, or whether that is unknown.

    It is known from --group-pattern without --group-column, which reads the group from the id, from
    `GROUPS_FILE` for all splits, and from clips.csv for the test clips of an evaluation. It is
    unknown for a run of an earlier version, without `GROUPS_FILE`, that has a column of groups or
    folds. A group name that is a number of up to three digits counts only if every clip's id
    contains its group.
    """
    if data.get("group_pattern") and not data.get("group_column"):
        return True
    is_grouped = any(data.get(name) for name in ("group_column", "group_pattern", "fold_column"))
    if is_grouped and not (run / GROUPS_FILE).is_file():
        return True
    pairs = _read_groups_of_clips(run)
    found = [_is_in_id(name, group) for name, group in pairs]
    is_name = [not re.fullmatch(r"\d{0,3}", _keep_letters(group)) for _, group in pairs]
    is_any = any(f and n for f, n in zip(found, is_name, strict=True))
    return is_any or (len(found) > 0 and all(found))


def _read_groups_of_clips(run: Path) -> list[tuple[str, str]]:
    """Return (clip id, group) of all clips with a group; folds count unless they are numbers."""
    rows = list(_read_rows(run / GROUPS_FILE))
    folds = [(row["id"], row["fold"]) for row in rows if row.get("fold")]
    pairs = [pair for pair in folds if not PLAIN_FOLD.fullmatch(pair[1])]
    rows += _read_rows(run / "clips.csv")
    return pairs + [(row["id"], row["group"]) for row in rows if row.get("group")]


def _is_in_id(clip: str, group: str) -> bool:
    """Return whether a clip id contains a group name; up to three bytes must be a whole word.

    The limit is in bytes of UTF-8, since a name of two or three Chinese characters is a whole name.

    >>> _is_in_id("AnnSmith0.wav", "Ann Smith"), _is_in_id("p880412_0.wav", "880412")
    (True, True)
    """
    name = _keep_letters(group)
    return name in _keep_letters(clip) if len(name.encode()) > 3 else names_group(clip, group)


def names_group(text: str, group: str) -> bool:
    """Return whether a text contains a group name as a whole word.

    Case, accents, punctuation between letters and leading zeros of numbers are ignored. A word also
    ends between a letter and a digit.

    >>> names_group("calls/Ann-2.wav", "ann"), names_group("annual.wav", "ann")
    (True, False)
    >>> names_group("al_b0.wav", "Al B"), names_group("s07.wav", "7"), names_group("s17.wav", "7")
    (True, True, False)
    """
    name = _keep_letters(group)
    if not name:
        return False
    digit, letter = r"\d", r"[^\W\d_]"
    before, after = (digit if sign.isdecimal() else letter for sign in (name[0], name[-1]))
    zeros = "0*" if name.isdecimal() else ""
    word = r"[\W_]*".join(map(re.escape, name))
    pattern = rf"(?<!{before}){zeros}{word}(?!{after})"
    return re.search(pattern, _fold_case(text)) is not None


def _fold_case(text: str) -> str:
    """Return a text in lower case, with accents as separate characters."""
    return unicodedata.normalize("NFKD", text).casefold()


def _keep_letters(text: str) -> str:
    """Return the letters and digits of a text, in lower case and without accents.

    >>> _keep_letters("José-Luis_2")
    'joseluis2'
    """
    return "".join(filter(str.isalnum, _fold_case(text)))


def _number_clips(run: Path) -> dict[str, str]:
    """Return a number for every clip id in the files of the run."""
    ids: dict[str, str] = {}
    for file in LISTS:
        for name in _read_lines(run / file):
            ids.setdefault(name, f"clip {len(ids) + 1}")
    for file in TABLES:
        for row in _read_rows(run / file):
            for name in filter(None, (row.get(column) for column in CLIP_COLUMNS)):
                ids.setdefault(name, f"clip {len(ids) + 1}")
    return ids


def _read_lines(path: Path) -> list[str]:
    """Return the lines of a file; none where it does not exist."""
    return path.read_text("utf-8", errors="replace").splitlines() if path.is_file() else []


def _read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file; none where it does not exist."""
    if path.is_file():
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            yield from csv.DictReader(file, restval="")
