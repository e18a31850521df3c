"""Split files: lists of clip ids, one id per line, one file per split.

A run writes them to RUN/splits; others are published, such as GTZAN's fault-filtered split. The
same clip may be `blues/blues.00029.wav` in a list and `blues.00029` in the data set.
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
from audio_cls.errors import DatasetError, count_of, describe_error, list_names
from audio_cls.run_warnings import warn

PLACEHOLDER = "{split}"  # in a URL, replaced by the name of the split
TIMEOUT = 30  # seconds

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitLists:
    """The lists of one folder or URL."""

    location: str
    ids: dict[str, list[str]]  # role -> ids as written in the list
    sha256: str  # of the ids, one per line, of train, validation and test in this order


def load_split_files(location: str, sha256: str | None) -> SplitLists:
    """Read the lists of train, validation and test. Downloads.

    Args:
        location: A name of `PUBLISHED_SPLITS`, a folder with train.txt, validation.txt, test.txt
            (or train_filtered.txt, valid.txt ...), a run folder, or a URL: `https://host/path`
            (then `/train.txt` is added) or one that contains `{split}`.
        sha256: Expected sha256 of the lists, or None.

    Raises:
        DatasetError: There is no list for train, two for one split, or the sha256 differs.
    """
    known = PUBLISHED_SPLITS.get(location)
    if known is not None:
        lists = load_split_files(known.address, sha256 or known.sha256)
        ids = {role: [known.to_id(line) for line in lines] for role, lines in lists.ids.items()}
        return SplitLists(location, ids, lists.sha256)
    is_remote = is_address(location)
    texts = _fetch_lists(location) if is_remote else _read_lists(Path(location).expanduser())
    ids = {role: [line.strip() for line in text.splitlines()] for role, text in texts.items()}
    ids = {role: [name for name in lines if name] for role, lines in ids.items()}
    if not ids.get("train"):
        raise DatasetError(
            f"--split-files: there is no train.txt with clip ids at '{location}'. Give a folder"
            f" or an address of train.txt, validation.txt and test.txt; {PLACEHOLDER} in an"
            " address is replaced by the split's name."
        )
    lines = [name for role in SPLIT_NAMES for name in ids.get(role, [])]
    found = hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
    if sha256 is not None and sha256.lower() != found:
        raise DatasetError(
            f"--split-files: the lists at '{location}' have the sha256 {found}, not {sha256}."
            " Use the lists of that hash, or correct or remove --split-files-sha256."
        )
    return SplitLists(location, ids, found)


def is_address(location: str) -> bool:
    """Return whether lists are downloaded, and not read from a folder."""
    return location.startswith(("https://", "http://"))


def match_ids(listed: Mapping[str, list[str]], ids: NDArray[np.str_]) -> dict[str, Rows]:
    """Find the rows of listed clips: by whole id, without suffix, by base name, or by both.

    One of these rules is used for all clips: the strictest of those that find the most clips.

    Args:
        listed: Role -> ids as written in the list.
        ids: Ids of the data set, shape (number of clips,).

    Returns:
        Role -> rows, in the order of the list. Ids that the data set does not have are left out,
        and a warning counts them.

    Raises:
        DatasetError: A clip is listed twice, or no listed clip is in the data set.
    """
    wanted = [name for names in listed.values() for name in names]
    flags = (False, True)
    rules = [_index_ids(ids, strip_suffix=s, strip_folders=f) for f in flags for s in flags]
    best = max(rules, key=lambda rule: sum(rule.find(name) is not None for name in wanted))
    missing = [name for name in wanted if best.find(name) is None]
    if len(missing) == len(wanted):
        raise DatasetError(
            f"--split-files: none of the {count_of(len(wanted), 'listed clip')} is in the data"
            f" set: the lists have {list_names(wanted[:3])}, the data set {list_names(ids[:3])}."
            " Write the ids as the data set has them."
        )
    if missing:
        clips = count_of(len(wanted), "listed clip")
        logger.warning(
            "--split-files: %s not in the data set: %s.",
            *(count_of(len(missing), f"of {clips} is", f"of {clips} are"), list_names(missing)),
        )
    return _find_rows(listed, best, ids)


def _find_rows(
    listed: Mapping[str, list[str]], rule: _IdIndex, ids: NDArray[np.str_]
) -> dict[str, Rows]:
    """Return the rows of each list; a row may occur once in all lists."""
    rows: dict[str, Rows] = {}
    seen: dict[int, str] = {}
    for role, names in listed.items():
        found = []
        for name in names:
            row = rule.find(name)
            if row is None:
                continue
            if row in seen:
                raise DatasetError(
                    f"--split-files: the clip '{ids[row]}' is listed twice, in {seen[row]} and"
                    f" in {role}. Remove it from one list."
                )
            seen[row] = role
            found.append(row)
        rows[role] = np.array(found, dtype=np.int64)
    return rows


@dataclass(frozen=True)
class _IdIndex:
    """Rows by clip id, after one rule of normalisation."""

    rows: dict[str, int | None]  # normalised id -> row; None where two clips have the same
    strip_suffix: bool
    strip_folders: bool

    def normalize(self, name: str) -> str:
        """Return an id without its folders or suffix, by this rule."""
        name = PurePosixPath(name.replace("\\", "/")).as_posix()
        if self.strip_folders:
            name = name.rpartition("/")[2]
        if self.strip_suffix and name.lower().endswith(AUDIO_SUFFIXES):
            name = name.rpartition(".")[0]
        return name

    def find(self, name: str) -> int | None:
        """Return the row of a clip; None where no clip or more than one has this id."""
        return self.rows.get(self.normalize(name))


def _index_ids(ids: NDArray[np.str_], *, strip_suffix: bool, strip_folders: bool) -> _IdIndex:
    index = _IdIndex({}, strip_suffix, strip_folders)
    for row, name in enumerate(ids):
        normalized = index.normalize(str(name))
        index.rows[normalized] = None if normalized in index.rows else row
    return index


def _read_lists(folder: Path) -> dict[str, str]:
    """Read the lists of a folder, or of a run folder, by the split in each file's name."""
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
                " Remove one."
            )
        if role is not None:
            try:
                texts[role] = file.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise DatasetError(
                    f"--split-files: '{file}' cannot be read ({describe_error(error)}). Give text"
                    " files in UTF-8 with one clip per line."
                ) from error
        else:
            unused.append(file)
    if unused:
        text = (
            f"--split-files: not used: {count_of(len(unused), '.txt file')} whose name is not"
            " a split's."
        )
        warn(logger, text, names=unused)
    return texts


def _fetch_lists(address: str) -> dict[str, str]:
    """Download the lists of a URL, trying the usual names of each split."""
    template = address if PLACEHOLDER in address else f"{address.rstrip('/')}/{PLACEHOLDER}.txt"
    texts = {}
    for role, aliases in SPLIT_NAMES.items():
        for alias in aliases:
            url = template.replace(PLACEHOLDER, alias)
            try:
                # The user's own address; is_address accepts http and https only.
                with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:  # nosec B310
                    texts[role] = answer.read().decode("utf-8")
                break
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise DatasetError(
                        f"--split-files: {url} responds with {error}. Try again later."
                    ) from error
            except (OSError, ValueError) as error:
                raise DatasetError(
                    f"--split-files: {url} cannot be fetched ({describe_error(error)}). Check the"
                    " address."
                ) from error
    return texts


GTZAN_GENRES = (
    *("blues", "classical", "country", "disco", "hiphop"),
    *("jazz", "metal", "pop", "reggae", "rock"),
)


CLIPS_PER_GENRE = 100


@dataclass(frozen=True)
class PublishedSplit:
    """Lists at a URL with a fixed commit, and their sha256 (see `SplitLists`)."""

    address: str
    sha256: str
    to_id: Callable[[str], str]  # from a line of a list to a clip id


def name_gtzan_clip(line: str) -> str:
    """Return the file name of a GTZAN clip from its number, counted from 1 genre by genre.

    >>> name_gtzan_clip("30"), name_gtzan_clip("1000")
    ('blues.00029', 'rock.00099')
    """
    genre, clip = divmod(int(line) - 1, CLIPS_PER_GENRE)
    return f"{GTZAN_GENRES[genre]}.{clip:05d}"


PUBLISHED_SPLITS = {
    # 443, 197 and 290 clips, without repeated, distorted or wrongly labelled ones; no artist is in
    # two splits. By the authors of https://arxiv.org/abs/1507.04761, at a fixed commit.
    "gtzan-fault-filtered": PublishedSplit(
        "https://raw.githubusercontent.com/coreyker/dnn-mgr"
        "/f245676f76255b88b576ffa9939eaee930f88d57/{split}_filtered.txt",
        "404c6ae0693d41d84d98e7251054eb0f2283b198f468a06361be8013d4718bed",
        name_gtzan_clip,
    ),
}
