"""Lists of clip ids, one a line, that say which clip is in which split.

A run writes them to RUN/splits; others publish them, such as GTZAN's fault-filtered split. The same
clip may be called `blues/blues.00029.wav` in a list and `blues.00029` in the data set.
"""

from __future__ import annotations

import hashlib
import logging
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from audio_cls.audio.files import AUDIO_SUFFIXES
from audio_cls.data.sources.split_names import SPLIT_NAMES, SPLIT_OF_NAME
from audio_cls.data.splits.train_test_split import Rows
from audio_cls.errors import DatasetError, list_names
from audio_cls.run_warnings import warn

PLACEHOLDER = "{split}"  # in an address, where the split's name goes
TIMEOUT = 30  # seconds to wait for a list

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitLists:
    """The lists of one folder or address."""

    place: str
    ids: dict[str, list[str]]  # role -> ids as they are written
    sha256: str  # of the ids, a line each, train, validation and test in this order


def load_split_files(place: str, sha256: str | None) -> SplitLists:
    """Read train, validation and test lists of a folder, a run or an address. Downloads.

    Args:
        place: A name of `PUBLISHED_SPLITS`, a folder with train.txt, validation.txt, test.txt (or
            train_filtered.txt, valid.txt ...), a run folder, or an address: `https://host/path`
            (then `/train.txt` is added) or one with `{split}` in it.
        sha256: What the lists' own sha256 must be, or None.

    Raises:
        DatasetError: There is no list for train, two for one split, or the hash is another.
    """
    known = PUBLISHED_SPLITS.get(place)
    if known is not None:
        lists = load_split_files(known.address, sha256 or known.sha256)
        ids = {role: [known.to_id(line) for line in lines] for role, lines in lists.ids.items()}
        return SplitLists(place, ids, lists.sha256)
    texts = _fetch_lists(place) if is_address(place) else _read_lists(Path(place).expanduser())
    ids = {role: [line.strip() for line in text.splitlines()] for role, text in texts.items()}
    ids = {role: [name for name in lines if name] for role, lines in ids.items()}
    if not ids.get("train"):
        raise DatasetError(
            f"--split-files: there is no train.txt with clip ids at '{place}'. Give a folder or"
            f" an address of train.txt, validation.txt and test.txt; {PLACEHOLDER} in an address"
            " stands for the name."
        )
    lines = [name for role in SPLIT_NAMES for name in ids.get(role, [])]
    found = hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
    if sha256 is not None and sha256.lower() != found:
        raise DatasetError(
            f"--split-files: the lists at '{place}' have the sha256 {found}, not {sha256}: they"
            " are not the ones you meant. Check them, then give their hash or none."
        )
    return SplitLists(place, ids, found)


def is_address(place: str) -> bool:
    """Tell whether lists are fetched from the web, and not read from this disk."""
    return place.startswith(("https://", "http://"))


def match_ids(listed: Mapping[str, list[str]], ids: NDArray[np.str_]) -> dict[str, Rows]:
    """Find the rows of listed clips: by whole id, without suffix, by base name, by both.

    The strictest of these ways that finds the most clips is used for all of them.

    Args:
        listed: Role -> ids as they are written.
        ids: The data set's own ids, shape (number of clips,).

    Returns:
        Role -> rows, in the order of the list. Ids that are not there are left out and counted in
        one line.

    Raises:
        DatasetError: A clip is listed twice, or not one listed clip is there.
    """
    wanted = [name for names in listed.values() for name in names]
    ways = [_index_ids(ids, strip_suffix=s, strip_folders=f) for f in (False, True) for s in (0, 1)]
    found = max(ways, key=lambda way: sum(way.find(name) is not None for name in wanted))
    missing = [name for name in wanted if found.find(name) is None]
    if len(missing) == len(wanted):
        raise DatasetError(
            f"--split-files: none of the {len(wanted)} listed clips is in the data set: the lists"
            f" say {list_names(wanted[:3])}, the data set {list_names(ids[:3])}."
        )
    if missing:
        logger.warning(
            "--split-files: %d of %d listed clips are not in the data set: %s.",
            *(len(missing), len(wanted), list_names(missing)),
        )
    return _take_rows(listed, found, ids)


def _take_rows(
    listed: Mapping[str, list[str]], found: _IdIndex, ids: NDArray[np.str_]
) -> dict[str, Rows]:
    """Look the rows up, each once."""
    rows: dict[str, Rows] = {}
    seen: dict[int, str] = {}
    for role, names in listed.items():
        own = []
        for name in names:
            row = found.find(name)
            if row is None:
                continue
            if row in seen:
                raise DatasetError(
                    f"--split-files: the clip '{ids[row]}' is listed twice, in {seen[row]} and in"
                    f" {role}. Take it out of one list."
                )
            seen[row] = role
            own.append(row)
        rows[role] = np.array(own, dtype=np.int64)
    return rows


@dataclass(frozen=True)
class _IdIndex:
    """Rows by clip id, spelled in one way."""

    rows: dict[str, int | None]  # None where two clips share the spelling
    strip_suffix: bool
    strip_folders: bool

    def spell(self, name: str) -> str:
        """Spell an id in this way."""
        name = PurePosixPath(name.replace("\\", "/")).as_posix()
        if self.strip_folders:
            name = name.rpartition("/")[2]
        if self.strip_suffix and name.lower().endswith(AUDIO_SUFFIXES):
            name = name.rpartition(".")[0]
        return name

    def find(self, name: str) -> int | None:
        """Return the clip's row, or None when there is none or more than one."""
        return self.rows.get(self.spell(name))


def _index_ids(ids: NDArray[np.str_], *, strip_suffix: int, strip_folders: bool) -> _IdIndex:
    index = _IdIndex({}, bool(strip_suffix), strip_folders)
    for row, name in enumerate(ids):
        spelled = index.spell(str(name))
        index.rows[spelled] = None if spelled in index.rows else row
    return index


def _read_lists(folder: Path) -> dict[str, str]:
    """Read the lists of a folder, or of the run it is; the first split in a name's words counts."""
    if (folder / "splits").is_dir():
        folder = folder / "splits"
    texts: dict[str, str] = {}
    unused = []
    for file in sorted(folder.glob("*.txt")):
        words = re.split(r"[^a-z]+", file.stem.lower())
        role = next((SPLIT_OF_NAME[word] for word in words if word in SPLIT_OF_NAME), None)
        if role in texts:
            raise DatasetError(
                f"--split-files: '{folder}' has two lists for {role}, one of them {file.name}."
                " Leave one."
            )
        if role is not None:
            texts[role] = file.read_text("utf-8")
        else:
            unused.append(file)
    if unused:
        text = f"--split-files: {len(unused)} .txt files whose names say no split are not used."
        warn(logger, text, names=unused)
    return texts


def _fetch_lists(address: str) -> dict[str, str]:
    """Fetch the lists of an address, trying the usual names of each split."""
    template = address if PLACEHOLDER in address else f"{address.rstrip('/')}/{PLACEHOLDER}.txt"
    texts = {}
    for role, aliases in SPLIT_NAMES.items():
        for alias in aliases:
            url = template.replace(PLACEHOLDER, alias)
            try:
                with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
                    texts[role] = answer.read().decode("utf-8")
                break
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise DatasetError(
                        f"--split-files: {url} answers {error}. Try later."
                    ) from error
            except (OSError, ValueError) as error:
                raise DatasetError(
                    f"--split-files: {url} cannot be fetched ({error}). Check the address."
                ) from error
    return texts


GTZAN_GENRES = (
    *("blues", "classical", "country", "disco", "hiphop"),
    *("jazz", "metal", "pop", "reggae", "rock"),
)


CLIPS_PER_GENRE = 100


@dataclass(frozen=True)
class PublishedSplit:
    """Lists at an address that cannot change, and their sha256 (see `SplitLists`)."""

    address: str
    sha256: str
    to_id: Callable[[str], str]  # from a line of a list to a clip's id


def name_gtzan_clip(line: str) -> str:
    """Turn the number of a GTZAN clip, counted from 1 genre by genre, into its file's name.

    >>> name_gtzan_clip("30"), name_gtzan_clip("1000")
    ('blues.00029', 'rock.00099')
    """
    genre, clip = divmod(int(line) - 1, CLIPS_PER_GENRE)
    return f"{GTZAN_GENRES[genre]}.{clip:05d}"


PUBLISHED_SPLITS = {
    # 443, 197 and 290 clips: no artist in two parts, no repeated, distorted or wrongly labelled
    # clip. By the authors of https://arxiv.org/abs/1507.04761, at a fixed commit.
    "gtzan-fault-filtered": PublishedSplit(
        "https://raw.githubusercontent.com/coreyker/dnn-mgr"
        "/f245676f76255b88b576ffa9939eaee930f88d57/{split}_filtered.txt",
        "404c6ae0693d41d84d98e7251054eb0f2283b198f468a06361be8013d4718bed",
        name_gtzan_clip,
    ),
}
