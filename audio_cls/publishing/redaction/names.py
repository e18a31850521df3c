"""Which names of the data are published: of clips, of groups such as speakers, or none.

Comes in: a run folder and `--publish-ids`. Goes out: `NameMasker`, which says what takes the
place of a clip's name. Groups become `group 1`, `group 2` ... in the order of the table by group;
clips that are not named become `clip 1`, `clip 2` ..., one number a clip in all files. Clips are
numbered too where their names hold those of groups: of train, validation and test, and of what was
set aside.
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

CLIP_COLUMNS = ("id", "same_as", "like")  # of the tables of clips
LISTS = ("splits/train.txt", "splits/validation.txt", "splits/test.txt")
GROUPS_FILE = "splits/groups.csv"  # id, group and fold of every clip; never published
TABLES = ("predictions.csv", "bad_audio.csv", "duplicates.csv", "near_duplicates.csv")


@dataclass(frozen=True)
class NameMasker:
    """What takes the place of the names that are not published."""

    with_groups: bool = False
    groups: tuple[str, ...] = ()  # that the settings name, and that may not be published
    numbers: Mapping[str, str] | None = None  # clip id -> number; None to publish the ids

    def show_clip(self, name: str) -> str:
        """Return what a clip is called where it is published; a path is cut to its file's name."""
        return redact_paths(name) if self.numbers is None else self.numbers.get(name, "clip")


def choose_names(run: Path, publish_ids: str, settings: Mapping[str, Tree]) -> NameMasker:
    """Read from a run folder what is to be numbered.

    Args:
        run: The run folder.
        publish_ids: The setting: "clips", "all" or "none".
        settings: run_config.yaml by section.
    """
    if publish_ids == "all":
        return NameMasker(with_groups=True)
    groups = read_groups(settings)
    if publish_ids == "none":
        return NameMasker(groups=groups, numbers=_number_clips(run))
    if not _do_clips_name_groups(run, settings.get("data", {})):
        return NameMasker(groups=groups)
    return NameMasker(groups=groups, numbers=_number_clips(run))


def read_groups(settings: Mapping[str, Tree]) -> tuple[str, ...]:
    """Return the groups that the settings name: of --test-groups, --validation-groups, --fold."""
    data = settings.get("data", {})
    named = [*(data.get("test_groups") or []), *(data.get("validation_groups") or [])]
    fold = data.get("fold")
    named += [fold] if fold is not None and not PLAIN_FOLD.fullmatch(str(fold)) else []
    return tuple(map(str, named))


def read_publish_ids(settings: Mapping[str, Tree]) -> str:
    """Return `--publish-ids` as the run was started with; the default where it says nothing."""
    return str(settings.get("hub", {}).get("publish_ids") or HubConfig().publish_ids)


def choose_own_names(record: RunRecord) -> NameMasker:
    """Return what is to be numbered by the run's own settings."""
    return choose_names(record.folder, read_publish_ids(record.settings), record.settings)


def _do_clips_name_groups(run: Path, data: Tree) -> bool:
    """Return whether a group can be read from the name of a clip, or this is not known.

    Known from --group-pattern without --group-column, which reads it there, from `GROUPS_FILE` for
    all splits, and from clips.csv for an evaluation's test. Not known where a run of an earlier
    version, which wrote no `GROUPS_FILE`, has a column of groups or folds. A group whose name is a
    number of up to three digits counts only when every clip's name holds its own group.
    """
    if data.get("group_pattern") and not data.get("group_column"):
        return True
    is_grouped = any(data.get(name) for name in ("group_column", "group_pattern", "fold_column"))
    if is_grouped and not (run / GROUPS_FILE).is_file():
        return True
    pairs = _read_groups_of_clips(run)
    found = [_is_in_id(name, group) for name, group in pairs]
    is_name = [not re.fullmatch(r"\d{0,3}", _keep_signs(group)) for _, group in pairs]
    is_any = any(f and n for f, n in zip(found, is_name, strict=True))
    return is_any or (len(found) > 0 and all(found))


def _read_groups_of_clips(run: Path) -> list[tuple[str, str]]:
    """Return (clip id, group) of all clips with a group; a fold counts if its name is no number."""
    rows = list(_read_rows(run / GROUPS_FILE))
    folds = [(row["id"], row["fold"]) for row in rows if row.get("fold")]
    pairs = [pair for pair in folds if not PLAIN_FOLD.fullmatch(pair[1])]
    rows += _read_rows(run / "clips.csv")
    return pairs + [(row["id"], row["group"]) for row in rows if row.get("group")]


def _is_in_id(clip: str, group: str) -> bool:
    """Return whether a clip's id holds a group's name; one of up to three bytes as a word only.

    Bytes of UTF-8, since a name of two or three Chinese characters is a whole name.

    >>> _is_in_id("AnnSmith0.wav", "Ann Smith"), _is_in_id("p880412_0.wav", "880412")
    (True, True)
    """
    name = _keep_signs(group)
    return name in _keep_signs(clip) if len(name.encode()) > 3 else names_group(clip, group)


def names_group(text: str, group: str) -> bool:
    """Return whether a text has a group's name as a word of its own.

    Case, accents and the signs between letters make no difference, nor do zeros before a number. A
    word ends where letters and digits meet.

    >>> names_group("calls/Ann-2.wav", "ann"), names_group("annual.wav", "ann")
    (True, False)
    >>> names_group("al_b0.wav", "Al B"), names_group("s07.wav", "7"), names_group("s17.wav", "7")
    (True, True, False)
    """
    name = _keep_signs(group)
    if not name:
        return False
    digit, letter = r"\d", r"[^\W\d_]"
    before, after = (digit if sign.isdecimal() else letter for sign in (name[0], name[-1]))
    zeros = "0*" if name.isdecimal() else ""
    word = r"[\W_]*".join(map(re.escape, name))
    pattern = rf"(?<!{before}){zeros}{word}(?!{after})"
    return re.search(pattern, _fold_case(text)) is not None


def _fold_case(text: str) -> str:
    """Return a text in lower case; accents become signs of their own."""
    return unicodedata.normalize("NFKD", text).casefold()


def _keep_signs(text: str) -> str:
    """Return the letters and digits of a text, in lower case and without accents.

    >>> _keep_signs("José-Luis_2")
    'joseluis2'
    """
    return "".join(filter(str.isalnum, _fold_case(text)))


def _number_clips(run: Path) -> dict[str, str]:
    """Give every clip that the files of the run name a number."""
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
    """Return the lines of a list; none where there is no such file."""
    return path.read_text("utf-8", errors="replace").splitlines() if path.is_file() else []


def _read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a table; none where there is no such file."""
    if path.is_file():
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            yield from csv.DictReader(file, restval="")
