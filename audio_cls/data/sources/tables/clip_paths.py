"""Where the clips that a table lists are on this disk.

All clips of a table are looked for in one way: below the first folder in which some of them are,
or, for names without a folder, by name. So a missing file stays missing; it is never replaced by
another file of the same name.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from audio_cls.audio.files import AUDIO_SUFFIXES, find_audio_files, is_audio_path
from audio_cls.storage.keys import describe_file

FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")  # of accents: macOS has its own
SAMPLE_SIZE = 100  # cells of a column, taken evenly, by which the way to look for clips is chosen
_DRIVE = re.compile(r"[A-Za-z]:/")
Find: TypeAlias = Callable[[str], Path | None]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipPaths:
    """The clips of one column, a path and a name for each cell."""

    paths: list[Path | None]  # where a clip is; for a missing one, where it should be
    names: list[str]  # as listed, with forward slashes; "" for an empty cell
    num_found: int


class ClipIndex:
    """The audio files below a folder, and a key of the state of those that are used."""

    def __init__(self, root: Path, *, is_table_alone: bool = False) -> None:
        """Remember the folder; nothing is listed before it is needed.

        Args:
            root: The data set's folder.
            is_table_alone: The data set was given as one table, and its folder may hold no clips:
                folders beside it are looked at as well.
        """
        self.root = root
        self.is_table_alone = is_table_alone
        self._digest = hashlib.sha256()

    @property
    def key(self) -> str:
        """Return what changes when one of the files noted so far does."""
        return self._digest.hexdigest()

    def note(self, paths: Iterable[Path | None]) -> None:
        """Add the state of these files to the key; those that are not there are passed over."""
        for path in dict.fromkeys(paths):
            if path is not None and path.is_file():
                self._digest.update(f"{path}\0{describe_file(path.stat())}\0".encode())

    def holds(self, cell: str) -> bool:
        """Tell whether a cell is the name of a clip without its suffix, with a digit in it."""
        return any(map(str.isdigit, cell)) and PurePosixPath(cell).name in self._by_stem

    def find_named(self, folder: Path, stem: str) -> Path | None:
        """Return the clip of this name without suffix in a folder, else the only one of it."""
        paths = self._by_stem.get(stem, [])
        own = [path for path in paths if path.parent == folder] or paths
        return own[0] if len(own) == 1 else None

    def count_files(self) -> int:
        """Count the audio files below the root."""
        return sum(map(len, self._by_name.values()))

    def locate(self, cells: Sequence[object], file: Path, audio_root: Path | None) -> ClipPaths:
        """Find the clips that a column of a table names.

        Args:
            cells: Paths, absolute or relative, with forward or backward slashes, or names of clips
                without a suffix.
            file: The table.
            audio_root: The folder that the paths are relative to; None to find it: the table's own
                folder, one that is named like the table (`train.csv`, `train/`), those above it up
                to `root`, or the only folder with all these paths. Names without a folder that are
                in none of them are looked up among all files, and count where they are unique.
        """
        names = [_normalize(cell) for cell in cells]
        find, base, names = self._choose_way(names, file, audio_root)
        found = [find(name) if name else None for name in names]
        pairs = zip(found, names, strict=True)
        paths = [path or (base / name if name else None) for path, name in pairs]
        return ClipPaths(paths, names, sum(path is not None for path in found))

    def _choose_way(
        self, names: list[str], file: Path, audio_root: Path | None
    ) -> tuple[Find, Path, list[str]]:
        """Return how to find a clip, the folder that missing ones are said to be in, and names."""
        for shortened in _shorten(names, is_sure=audio_root is not None):
            sample = _take_sample(shortened)
            for base in [audio_root] if audio_root else self._list_bases(file, sample):
                find = functools.partial(self._find_below, base)
                if any(map(find, sample)):
                    return find, base, shortened
            shared = self._vote(sample)
            if shared is not None:
                return functools.partial(self._find_below, shared), shared, shortened
        base = audio_root or file.parent
        if not any("/" in name for name in names):
            for scope in dict.fromkeys([base, self.root]):
                find = functools.partial(self._find_by_name, scope)
                if any(map(find, _take_sample(names))):
                    return find, base, names
        return functools.partial(self._find_below, base), base, names

    def _list_bases(self, file: Path, sample: Sequence[str]) -> list[Path]:
        """List the folders that the paths of a table may be relative to, likeliest first."""
        above = [folder for folder in file.parents if folder.is_relative_to(self.root)]
        bases = [file.parent, file.parent / file.stem, *above]
        root = Path(os.path.abspath(self.root))
        if self.is_table_alone:  # such as meta/esc50.csv, whose clips are in audio/
            bases += [root.parent, *self._find_sibling(root, sample)]
        elif any(name.startswith(f"{root.name}/") for name in sample):
            bases.append(root.parent)
        return [base for base in dict.fromkeys(bases) if base.is_dir()]

    def _find_sibling(self, root: Path, sample: Sequence[str]) -> list[Path]:
        """Return the only folder beside the root in which clips of the sample are, if it is one."""
        try:
            beside = [path for path in root.parent.iterdir() if path.is_dir() and path != root]
        except OSError:
            return []
        found = [path for path in beside if any(self._find_below(path, name) for name in sample)]
        return found if len(found) == 1 else []

    def _find_below(self, base: Path, name: str) -> Path | None:
        """Return `base / name` where that is a file; a name without a suffix may lack it."""
        suffixes = ("",) if is_audio_path(name) else AUDIO_SUFFIXES
        spellings = dict.fromkeys(
            [name] if name.isascii() else [name, *(unicodedata.normalize(f, name) for f in FORMS)]
        )
        for spelling in spellings:
            for suffix in suffixes:
                path = base / f"{spelling}{suffix}"
                if path.is_file():
                    return path
        return None

    def _find_by_name(self, scope: Path, name: str) -> Path | None:
        """Return the only clip of this name below a folder."""
        table = self._by_name if is_audio_path(name) else self._by_stem
        paths = [path for path in table.get(name, []) if path.is_relative_to(scope)]
        return paths[0] if len(paths) == 1 else None

    def _vote(self, sample: Sequence[str]) -> Path | None:
        """Return the folder below which most of the paths are, if these have folders of their own.

        None when two folders have equally many.
        """
        votes: Counter[Path] = Counter()
        for name in sample:
            parts = PurePosixPath(name).parts
            if len(parts) > 1:
                table = self._by_name if is_audio_path(name) else self._by_stem
                for path in table.get(parts[-1], []):
                    if path.parts[-len(parts) : -1] == parts[:-1]:
                        votes[Path(*path.parts[: -len(parts)])] += 1
        best = votes.most_common(2)
        is_clear = len(best) == 1 or (len(best) == 2 and best[0][1] > best[1][1])
        return best[0][0] if is_clear else None

    @functools.cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        """Map base names below the root to the paths that have them."""
        paths: dict[str, list[Path]] = {}
        for path in find_audio_files(self.root):
            paths.setdefault(path.name, []).append(path)
        return paths

    @functools.cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        """Map base names without their suffix to paths."""
        paths: dict[str, list[Path]] = {}
        for own in self._by_name.values():
            for path in own:
                paths.setdefault(path.stem, []).append(path)
        return paths


def _take_sample(names: Sequence[str]) -> list[str]:
    """Take `SAMPLE_SIZE` names evenly, empty ones left out."""
    given = [name for name in names if name]
    return given[:: max(1, len(given) // SAMPLE_SIZE)]


def _normalize(cell: object) -> str:
    r"""Write a listed path with forward slashes, without blanks around it and `./`.

    >>> _normalize(" part0\\c0.wav"), _normalize("./a.wav"), _normalize(None)
    ('part0/c0.wav', 'a.wav', '')
    """
    if cell is None or not str(cell).strip():
        return ""
    return PurePosixPath(str(cell).strip().replace("\\", "/")).as_posix()


def is_absolute(name: str) -> bool:
    r"""Tell whether a path with forward slashes begins at the root of a disk, here or on Windows.

    >>> is_absolute("/data/a.wav"), is_absolute("C:/data/a.wav"), is_absolute("data/a.wav")
    (True, True, False)
    """
    return name.startswith("/") or _DRIVE.match(name) is not None


def _shorten(names: list[str], *, is_sure: bool) -> list[list[str]]:
    """Return the names, and where all are absolute, the names with fewer and fewer folders.

    Of the folders that all absolute paths share, which may be those of another computer, the last
    one stays where a bare name would be left, unless the folder of the clips is known (`is_sure`).
    """
    given = [name for name in names if name]
    if not given or not all(map(is_absolute, given)) or len({n[0] == "/" for n in given}) > 1:
        return [names]
    try:
        shared = os.path.commonpath([name.rpartition("/")[0] for name in given]).replace("\\", "/")
    except ValueError:  # of several drives
        return [names]
    num_shared = len(PurePosixPath(shared).parts)
    shortened = []
    for first in range(1, num_shared + 1):
        parts = [PurePosixPath(name).parts[first:] if name else () for name in names]
        if is_sure or first < num_shared or all(len(own) != 1 for own in parts):
            shortened.append(["/".join(own) for own in parts])
    return [names, *shortened]
