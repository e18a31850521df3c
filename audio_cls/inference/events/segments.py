"""Segments: events cut out of their recordings into folders per label, ready as training data."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

import xxhash

from audio_cls.audio.cut import cut_segments as cut_recording
from audio_cls.audio.segments import Segment
from audio_cls.errors import AudioClsError
from audio_cls.inference.events.event import Event
from audio_cls.storage.files import replacing

GROUP_PATTERN = "([^/]+)_[0-9.]+-[0-9.]+[.]wav$"  # --group-pattern: the recording of a segment
_NOT_SAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f]')  # in names of files on Windows and elsewhere
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # of Windows


def name_recordings(recordings: Iterable[str]) -> dict[str, str]:
    """Return path -> name in the names of segments: without suffix; a code where two are equal."""
    paths = list(dict.fromkeys(recordings))
    counts = Counter(Path(path).stem for path in {os.path.abspath(path) for path in paths})
    return {path: _name_recording(path, counts) for path in paths}


def _name_recording(path: str, counts: Counter[str]) -> str:
    """Return the name of a recording."""
    stem = Path(path).stem
    code = xxhash.xxh32_hexdigest(os.path.abspath(path).encode("utf-8", "surrogateescape"))
    return f"{stem}-{code}" if counts[stem] > 1 else stem


def cut_segments(
    events: Iterable[Event], folder: Path, names: Mapping[str, str] | None = None
) -> list[Path]:
    """Cut events out of their recordings: `folder/LABEL/RECORDING_START-END.wav`.

    Samples, rate and channels are those of the recording. Train on them by `--dataset folder
    --group-pattern GROUP_PATTERN`, so that the segments of a recording stay in one split. The
    recordings of this call that have the same name without suffix get a code after their names.

    Args:
        events: Those of one recording follow each other.
        folder: Made if needed. A file that is there already and has the same content is kept, so
            that an interrupted call can be repeated.
        names: Names of the recordings, for recordings of several calls, see `name_recordings`.

    Returns:
        The files, in the order of the events of a recording by start.

    Raises:
        AudioClsError: A file of that name with another content is there.
        AudioError: A recording cannot be read, or an event is not inside it.
    """
    by_file = [(file, list(group)) for file, group in groupby(events, key=lambda one: one.file)]
    if names is None:
        names = name_recordings(file for file, _ in by_file)
    written = []
    for file, group in by_file:
        stem = names[file]
        ordered = sorted(group, key=lambda one: (one.start, one.end))
        parts = [Segment(one.start, one.end) for one in ordered]
        for one, part, data in zip(ordered, parts, cut_recording(file, parts), strict=True):
            path = folder / name_folder(one.label) / f"{name_folder(stem)}_{part}.wav"
            _write_once(path, data)
            written.append(path)
    return written


def name_folder(label: str) -> str:
    """Return a label as the name of a folder on any system.

    >>> name_folder("Hip-Hop/Rap"), name_folder(".."), name_folder("aux"), name_folder("dog ")
    ('Hip-Hop_Rap', '__', '_aux', 'dog')
    """
    name = _NOT_SAFE.sub("_", label).rstrip(" ") or "_"
    name = re.sub(r"^\.+|\.+$", lambda dots: "_" * len(dots[0]), name)
    return f"_{name}" if _DEVICES.fullmatch(name) else name


def _write_once(path: Path, data: bytes) -> None:
    """Write a file; one that is there must have the same content."""
    if path.exists():
        if path.read_bytes() == data:
            return
        raise AudioClsError(
            f"The file '{path}' exists with another content, and segments are not written over it:"
            " give an empty folder, or remove the file."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_bytes(data)
