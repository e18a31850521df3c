"""Which names of the data are published: of clips, of groups such as speakers, or none.

Comes in: a run folder and `--publish-names`. Goes out: `Names`, which says what takes the place of
a clip's name. Groups become `group 1`, `group 2` ... in the order of the table by group; clips that
are not named become `clip 1`, `clip 2` ..., one number a clip in all files. Clips are numbered too
where their names hold those of groups.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from audio_cls.config import HubConfig
from audio_cls.publishing.privacy import hide_place
from audio_cls.publishing.public_settings import PLAIN_FOLD
from audio_cls.publishing.record import RunRecord, Tree

CLIP_COLUMNS = ("id", "same_as", "like")  # of the tables of clips
LISTS = ("splits/train.txt", "splits/validation.txt", "splits/test.txt")
TABLES = ("predictions.csv", "bad_audio.csv", "duplicates.csv", "near_duplicates.csv")


@dataclass(frozen=True)
class Names:
    """What takes the place of the names that are not published."""

    with_groups: bool = False
    groups: tuple[str, ...] = ()  # that the settings name, and that may not be published
    numbers: Mapping[str, str] | None = None  # clip id -> number; None to publish the ids

    def show_clip(self, name: str) -> str:
        """Return what a clip is called where it is published; a path is cut to its file's name."""
        return hide_place(name) if self.numbers is None else self.numbers.get(name, "clip")


def choose_names(run: Path, publish_names: str, settings: Mapping[str, Tree]) -> Names:
    """Read from a run folder what is to be numbered.

    Args:
        run: The run folder.
        publish_names: The setting: "clips", "all" or "none".
        settings: run_config.yaml by section.
    """
    if publish_names == "all":
        return Names(with_groups=True)
    groups = read_groups(settings)
    if publish_names == "none":
        return Names(groups=groups, numbers=_number_clips(run))
    if not _do_clips_name_groups(run, settings.get("data", {}), groups):
        return Names(groups=groups)
    return Names(groups=groups, numbers=_number_clips(run))


def read_groups(settings: Mapping[str, Tree]) -> tuple[str, ...]:
    """Return the groups that the settings name: of --test-groups, --validation-groups, --fold."""
    data = settings.get("data", {})
    named = [*(data.get("test_groups") or []), *(data.get("validation_groups") or [])]
    fold = data.get("fold")
    named += [fold] if fold is not None and not PLAIN_FOLD.fullmatch(str(fold)) else []
    return tuple(map(str, named))


def read_publish_names(settings: Mapping[str, Tree]) -> str:
    """Return `--publish-names` as the run was started with; the default where it says nothing."""
    return str(settings.get("hub", {}).get("publish_names") or HubConfig().publish_names)


def choose_own_names(record: RunRecord) -> Names:
    """Return what is to be numbered by the run's own settings."""
    return choose_names(record.run, read_publish_names(record.settings), record.settings)


def _do_clips_name_groups(run: Path, data: Tree, groups: tuple[str, ...]) -> bool:
    """Return whether a group can be read from the name of a clip.

    Known from --group-pattern without --group-column, which reads it there, and from clips.csv. A
    group whose name is a number counts only when every clip's name holds its own group.
    """
    if data.get("group_pattern") and not data.get("group_column"):
        return True
    pairs = [(row["id"], row["group"]) for row in _read_rows(run / "clips.csv") if row.get("group")]
    if not pairs:  # written by an earlier version, or never: the groups that were asked for
        ids = [name for file in LISTS[1:] for name in _read_lines(run / file)]
        return any(names_group(name, group) for name in ids for group in groups)
    found = [names_group(name, group) for name, group in pairs]
    is_word = [re.search(r"[^\W\d_]", group) is not None for _, group in pairs]
    return all(found) or any(f and w for f, w in zip(found, is_word, strict=True))


def names_group(text: str, group: str) -> bool:
    """Return whether a text, such as a clip's name, has a group's name as a word of its own.

    >>> names_group("calls/Ann-2.wav", "ann"), names_group("annual.wav", "ann")
    (True, False)
    """
    sign = r"[^\W_]"
    return re.search(rf"(?<!{sign}){re.escape(group)}(?!{sign})", text, re.IGNORECASE) is not None


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
