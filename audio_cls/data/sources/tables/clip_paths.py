"""Clip paths: the files that a column of a table names.

One rule is used for all clips of a table: below the first folder in which some of them are, or by
name, for names without a folder. So a missing file is missing; it is never replaced by another file
of the same name.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
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
from audio_cls.storage.files import describe_file

FORMS: tuple[Literal["NFC", "NFD"], ...] = (
    "NFC",
    "NFD",
)  # Unicode forms; macOS uses NFD
SAMPLE_SIZE = 100  # evenly spaced cells of a column, by which the rule is chosen
_DRIVE = re.compile(r"[A-Za-z]:/")
Find: TypeAlias = Callable[[str], Path | None]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipPaths:
    """The clips of one column: one path and one name per cell."""

    paths: list[Path | None]  # of a missing clip: where it is expected
    names: list[str]  # as listed, with forward slashes; "" for an empty cell
    num_found: int


class ClipIndex:
    """The audio files below a folder, and a content key of those that are used."""

    def __init__(self, root: Path, *, is_table_alone: bool = False) -> None:
        """Store the folder; its files are listed when they are needed.

        Args:
            root: The folder of the data set.
            is_table_alone: The data set is one table, and its folder may have no clips: the folders
                next to it are searched, too.
        """
        self.root = root
        self.is_table_alone = is_table_alone
        self._digest = hashlib.sha256()

    @property
    def key(self) -> str:
        """Return the content key of the files noted so far."""
        return self._digest.hexdigest()

    def note(self, paths: Iterable[Path | None]) -> None:
        """Add the state of these files to the key; missing files are skipped."""
        for path in dict.fromkeys(paths):
            if path is not None and path.is_file():
                self._digest.update(f"{path}\0{describe_file(path.stat())}\0".encode())

    def holds(self, cell: str) -> bool:
        """Return whether a cell is the name of a clip without suffix, and has a digit."""
        return any(map(str.isdigit, cell)) and PurePosixPath(cell).name in self._by_stem

    def find_named(self, folder: Path, stem: str) -> Path | None:
        """Return the clip of this name without suffix in a folder, else the only one anywhere."""
        paths = self._by_stem.get(stem, [])
        paths = [path for path in paths if path.parent == folder] or paths
        return paths[0] if len(paths) == 1 else None

    def count_files(self) -> int:
        """Count the audio files below the root."""
        return sum(map(len, self._by_name.values()))

    def locate(self, cells: Sequence[object], file: Path, audio_root: Path | None) -> ClipPaths:
        """Find the clips that a column of a table names.

        Args:
            cells: Paths, absolute or relative, with forward or backward slashes, or names of clips
                without a suffix.
            file: The table.
            audio_root: The folder that the paths are relative to; None to find it: the folder of
                the table, one with the name of the table (`train.csv`, `train/`), those above it up
                to `root`, or the only folder with all these paths. Names without a folder that are
                in none of them are searched in all files, and used where they are unique.
        """
        names = [_normalize(cell) for cell in cells]
        find, base, names = self._choose_rule(names, file, audio_root)
        found = [find(name) if name else None for name in names]
        pairs = zip(found, names, strict=True)
        paths = [path or (base / name if name else None) for path, name in pairs]
        return ClipPaths(paths, names, sum(path is not None for path in found))

    def _choose_rule(
        self, names: list[str], file: Path, audio_root: Path | None
    ) -> tuple[Find, Path, list[str]]:
        """Return the function that finds a clip, the folder of missing clips, and the names."""
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
        parents = [folder for folder in file.parents if folder.is_relative_to(self.root)]
        bases = [file.parent, file.parent / file.stem, *parents]
        root = Path(os.path.abspath(self.root))
        if self.is_table_alone:  # such as meta/esc50.csv, whose clips are in audio/
            bases += [root.parent, *self._find_sibling(root, sample)]
        elif any(name.startswith(f"{root.name}/") for name in sample):
            bases.append(root.parent)
        return [base for base in dict.fromkeys(bases) if base.is_dir()]

    def _find_sibling(self, root: Path, sample: Sequence[str]) -> list[Path]:
        """Return the folder next to the root with clips of the sample, if there is exactly one."""
        try:
            siblings = [path for path in root.parent.iterdir() if path.is_dir() and path != root]
        except OSError:
            return []
        found = [path for path in siblings if any(self._find_below(path, name) for name in sample)]
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
        """Return the folder below which most of the paths are, if the paths have folders.

        None if two folders have equal numbers.
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
        for path in itertools.chain.from_iterable(self._by_name.values()):
            paths.setdefault(path.stem, []).append(path)
        return paths


def _take_sample(names: Sequence[str]) -> list[str]:
    """Return about `SAMPLE_SIZE` evenly spaced names, without empty ones."""
    filled = [name for name in names if name]
    return filled[:: max(1, len(filled) // SAMPLE_SIZE)]


def _normalize(cell: object) -> str:
    r"""Return a listed path with forward slashes, without surrounding blanks and `./`.

    >>> _normalize(" part0\\c0.wav"), _normalize("./a.wav"), _normalize(None)
    ('part0/c0.wav', 'a.wav', '')
    """
    if cell is None or not str(cell).strip():
        return ""
    return PurePosixPath(str(cell).strip().replace("\\", "/")).as_posix()


def is_absolute(name: str) -> bool:
    r"""Return whether a path with forward slashes is absolute, on this system or on Windows.

    >>> is_absolute("/data/a.wav"), is_absolute("C:/data/a.wav"), is_absolute("data/a.wav")
    (True, True, False)
    """
    return name.startswith("/") or _DRIVE.match(name) is not None


def _shorten(names: list[str], *, is_sure: bool) -> list[list[str]]:
    """Return the names; if all are absolute, also without more and more of their first folders.

    The folders that all absolute paths share may be those of another computer. The last of them is
    kept where only the file name would remain, unless the folder of the clips is known (`is_sure`).
    """
    filled = [name for name in names if name]
    if not filled or not all(map(is_absolute, filled)) or len({n[0] == "/" for n in filled}) > 1:
        return [names]
    try:
        shared = os.path.commonpath([name.rpartition("/")[0] for name in filled])
    except ValueError:  # of several drives
        return [names]
    num_shared = len(PurePosixPath(shared.replace("\\", "/")).parts)
    shortened = []
    for first in range(1, num_shared + 1):
        parts = [PurePosixPath(name).parts[first:] if name else () for name in names]
        if is_sure or first < num_shared or all(len(folders) != 1 for folders in parts):
            shortened.append(["/".join(folders) for folders in parts])
    return [names, *shortened]
