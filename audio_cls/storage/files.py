"""Files that are replaced as a whole, and errors of a full disk."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import stat
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TextIO

from safetensors import SafetensorError

from audio_cls.errors import RunFolderError, describe_error

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no space, quota or file size exceeded
FULL_WORDS = ("No space left", "Disk quota", "File too large", "inline_container.cc")


class Folder(Protocol):
    """Interface of a run folder, see `RunFolder`."""

    @property
    def path(self) -> Path:
        """Return the path of the folder."""

    def find_checkpoints(self) -> list[Path]:
        """List the complete checkpoints, oldest first."""


def apply_umask(folder: Path) -> None:
    """Give all files below a folder the mode of a new file there.

    safetensors writes to a temporary file of mode 0600, so that only its owner could read the
    weights.
    """
    probe = folder / ".new-file"
    probe.touch()
    mode = stat.S_IMODE(probe.stat().st_mode)
    probe.unlink()
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(mode)


def flush_to_disk(folder: Path) -> None:
    """Write a folder and its files from the system's cache to disk, to survive a power failure."""
    files = [entry for entry in folder.rglob("*") if entry.is_file()]
    is_windows = sys.platform == "win32"  # cannot open folders; flushes files opened for writing
    for path in files if is_windows else [*files, folder]:
        handle = os.open(path, os.O_RDWR if is_windows else os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`, whose file replaces `path` if the block succeeds.

    A reader sees the old or the new file, never a part; several processes may write at a time.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def open_replaced(path: Path) -> Iterator[TextIO]:
    """Open a text file for writing that replaces `path` if the block succeeds, see `replacing`.

    Line ends are not translated, as the module csv requires.
    """
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        yield file


def replace_file(path: Path, text: str) -> None:
    """Write a text file, see `replacing`."""
    with open_replaced(path) as file:
        file.write(text)


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON, see `replacing`.

    Raises:
        ValueError: A number is not finite.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    replace_file(path, text + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file, see `replacing`."""
    with open_replaced(path) as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def check_writable(folder: Path) -> None:
    """Make a folder, and a file in it, which is deleted again.

    Raises:
        OSError: The system refuses that.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable-"):
        pass


def write_whole(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary folder, then move its files into `folder`, replacing old ones.

    If the process is killed or the disk is full, the old files remain.
    """
    partial = folder / ".partial-model"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        write(partial)
        apply_umask(partial)
        flush_to_disk(partial)
        for file in sorted(partial.iterdir()):
            file.replace(folder / file.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def link_files(source: Path, target: Path) -> None:
    """Add the files of a folder to another folder, as hard links if possible, else as copies.

    Files of the same names are replaced. A later change of such a file must replace it, too: a
    write in place would change it in both folders.
    """
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(path for path in source.iterdir() if path.is_file()):
        partial = target / f".{file.name}.partial"
        partial.unlink(missing_ok=True)
        try:
            os.link(file, partial)
        except OSError:  # other disk, or a file system without hard links
            shutil.copy2(file, partial)
        partial.replace(target / file.name)
        partial.unlink(missing_ok=True)  # two links to one file: replacing has no effect


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error means that the disk is full.

    safetensors raises its own error, with the system's message in the text; torch's zip writer
    (inline_container.cc) fails for no other reason.
    """
    number = getattr(error, "errno", None)
    return number in FULL or any(word in str(error) for word in FULL_WORDS)


@contextmanager
def explain_disk(folder: Folder) -> Iterator[None]:
    """Turn a full-disk error into a message that names the last complete checkpoint.

    Raises:
        RunFolderError: The disk is full.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if not is_disk_full(error):
            raise
        found = folder.find_checkpoints()
        last = (
            f"checkpoints/{found[-1].name} is complete" if found else "there is no checkpoint yet"
        )
        where = str(getattr(error, "filename", None) or folder.path)
        raise RunFolderError(
            f"No space left on '{where}' ({describe_error(error)[:160]}); {last}. Free"
            " some space, then resume: the same command with --resume auto --output-dir"
            f" {folder.path}"
        ) from error


def describe_file(state: os.stat_result) -> tuple[int, int, int, int]:
    """Return the state of a file for a key: size, mtime and ctime in ns, inode.

    ctime and inode distinguish two files of equal size that are exchanged, with their mtime. Each
    number fits into a signed 64-bit integer.
    """
    inode = state.st_ino & (2**63 - 1)
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns, inode
