"""Files to classify: from paths, folders, patterns and lists of paths."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from audio_cls.audio.files import is_audio_path, walk_folder
from audio_cls.errors import AudioClsError, list_names

STDIN = "-"  # path of sound on standard input
APPLE_DOUBLE = "._"  # prefix of the files in which macOS keeps attributes of other files


@dataclass
class FoundFiles:
    """Files to classify, in order."""

    paths: list[str] = field(default_factory=list)
    num_hidden: int = 0  # audio files that were skipped: their names start with a dot
    without_audio: list[str] = field(default_factory=list)  # folders; patterns with the reason

    def add(self, other: FoundFiles) -> None:
        """Add other files after these."""
        self.paths += other.paths
        self.num_hidden += other.num_hidden
        self.without_audio += other.without_audio

    def check(self) -> None:
        """Check that there is a file.

        Raises:
            AudioClsError: There is none.
        """
        if not self.paths:
            hidden = f" ({self.num_hidden} hidden, skipped)" if self.num_hidden else ""
            where = list_names(self.without_audio) if self.without_audio else "the list of files"
            raise AudioClsError(
                f"There is no audio file in {where}{hidden}. Give audio files, or a folder."
            )


def find_files(paths: Iterable[str]) -> FoundFiles:
    """Find the files that a command line names.

    Args:
        paths: Files, `-`, folders that are searched for audio files, and patterns such as
            `clips/**/*.wav`, whose matches are audio files and folders. A file that has the name of
            a pattern is a file. A path that does not exist is kept: reading it gives the reason.

    Returns:
        The files in the order of `paths`, those of a folder or pattern sorted. Hidden files in
        folders are counted, not listed.
    """
    found = FoundFiles()
    for path in paths:
        if os.path.isdir(path):
            found.add(_search_folder(path))
        elif glob.has_magic(path) and not os.path.lexists(path):
            found.add(_expand_pattern(path))
        else:
            found.paths.append(path)
    return found


def read_file_list(file: BinaryIO) -> FoundFiles:
    """Read a list of paths, one per line, or ended by zero bytes as by `find -print0`.

    Files of attributes that macOS writes, `._NAME`, are counted, not listed.
    """
    content = file.read()
    is_ended = b"\0" in content
    parts = content.split(b"\0") if is_ended else (p.rstrip(b"\r") for p in content.split(b"\n"))
    paths = [os.fsdecode(part) for part in parts if part.strip()]
    kept = [path for path in paths if not os.path.basename(path).startswith(APPLE_DOUBLE)]
    return FoundFiles(kept, len(paths) - len(kept))


def _search_folder(folder: str) -> FoundFiles:
    """Find the audio files below a folder; links to missing files are among them."""
    paths, num_hidden = [], 0
    for parent, names in walk_folder(folder):
        for name in filter(is_audio_path, names):
            if name.startswith("."):
                num_hidden += 1
            else:
                paths.append(os.path.join(parent, name))
    return FoundFiles(_sort_paths(paths), num_hidden, [] if paths else [folder])


def _expand_pattern(pattern: str) -> FoundFiles:
    """Find the audio files and folders that match a pattern."""
    found = FoundFiles()
    for path in _sort_paths(glob.glob(pattern, recursive=True)):
        if not os.path.isdir(path):
            found.paths += [path] if is_audio_path(path) else []
        elif "**" not in pattern:  # else the pattern matches the files of the folder, too
            found.add(_search_folder(path))
    if not found.paths:
        found.without_audio = [
            f"{pattern} (there is no file of this name, and no audio file matches it as a pattern)"
        ]
    return found


def _sort_paths(paths: Sequence[str]) -> list[str]:
    """Sort paths by their parts, so that the files of a folder are next to each other."""
    return sorted(paths, key=lambda path: path.split(os.sep))
