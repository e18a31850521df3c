"""Audio files: suffixes, the files below a folder, headers, and WAV encoding."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from audio_cls.config import Hertz, Seconds
from audio_cls.errors import count_of, suggest_name
from audio_cls.run_warnings import warn

PLAIN_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf")
AUDIO_SUFFIXES = (*PLAIN_SUFFIXES, ".m4a", ".webm", ".wma", ".aac")  # these need `formats`

logger = logging.getLogger(__name__)


class SafeSeek(io.IOBase):
    """Mixin of binary files for libsndfile: a seek that is not possible changes nothing.

    A damaged header can name a place before the start. An error would be printed with a traceback
    by cffi, which called this function.
    """

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place, and return it; the current one where the given one is not possible."""
        try:
            return super().seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return self.tell()


class EncodedBytes(SafeSeek, io.BytesIO):
    """An encoded file in memory, for libsndfile."""


class AudioHeader(NamedTuple):
    """Length and rate, as the header of an audio file declares them."""

    num_frames: int  # samples of one channel; 2**63 - 1 where the header has no length
    sampling_rate: Hertz

    @property
    def seconds(self) -> Seconds:
        """Return the duration; 0 where the header has no length."""
        return self.num_frames / self.sampling_rate if 0 < self.num_frames < 2**40 else 0.0


def is_audio_path(text: object) -> bool:
    """Return whether a text ends like the path of an audio file.

    >>> is_audio_path("a/b.WAV "), is_audio_path("b"), is_audio_path(None)
    (True, False, False)
    """
    return isinstance(text, str) and text.strip().lower().endswith(AUDIO_SUFFIXES)


def walk_folder(folder: str | Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the folders below a folder with the names of their files, hidden ones included.

    Hidden folders are left out. Links to folders are followed, unless the target is listed already:
    the folder itself, a folder that contains it, or the target of another link. A warning names a
    folder that cannot be read.
    """
    root = Path(folder).resolve()
    seen = {root}
    for parent, folders, names in os.walk(folder, onerror=_warn_of_folder, followlinks=True):
        kept = []
        for name in sorted(folders):
            path = Path(parent, name)
            target = path.resolve() if path.is_symlink() else None
            if target is not None:
                is_listed = target.is_relative_to(root) or root.is_relative_to(target)
                if is_listed or target in seen:
                    continue
                seen.add(target)
            if not name.startswith("."):
                kept.append(name)
        folders[:] = kept
        yield parent, names


def suggest_path(path: Path) -> str:
    """Return " Did you mean X?" for the most similar name in the same folder, or ''."""
    folder = path.absolute().parent
    near = [one.name for one in folder.iterdir()] if folder.is_dir() else []
    return suggest_name(path.name, near)


def _warn_of_folder(error: OSError) -> None:
    """Warn of a folder that cannot be read."""
    warn(logger, f"A folder cannot be read: {error.strerror}.", names=[error.filename])


def list_files(folder: Path) -> list[Path]:
    """List the files below a folder in sorted order, without hidden ones, see `walk_folder`.

    A warning counts broken links to audio files.
    """
    files = [
        Path(parent, name)
        for parent, names in walk_folder(folder)
        for name in names
        if not name.startswith(".")
    ]
    links = [path for path in files if path.is_symlink() and is_audio_path(path.name)]
    broken = [path for path in links if not path.exists()]
    if broken:
        text = count_of(
            len(broken),
            "clip of the data set is a link to a file that does not exist, and is left out.",
            "clips of the data set are links to files that do not exist, and are left out.",
        )
        warn(logger, text, names=broken)
    return sorted(path for path in files if path.is_file())


def find_audio_files(folder: Path) -> list[Path]:
    """List the audio files below a folder, see `list_files`."""
    return [path for path in list_files(folder) if path.suffix.lower() in AUDIO_SUFFIXES]


def read_header(file: str | BinaryIO) -> AudioHeader | None:
    """Read the header of an audio file; None where libsndfile cannot."""
    try:
        info = soundfile.info(file)
    except (soundfile.SoundFileError, RuntimeError, TypeError, OSError):
        return None
    return AudioHeader(int(info.frames), int(info.samplerate))


def encode_wav(
    samples: NDArray[np.floating], sampling_rate: Hertz, subtype: str = "PCM_16"
) -> bytes:
    """Encode samples, (T,) or (T, C), as a WAV file.

    Args:
        samples: Nominally in [-1, 1]; PCM clips what is outside, "FLOAT" keeps every value.
        sampling_rate: In Hz.
        subtype: The encoding, by libsndfile's name.
    """
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sampling_rate, format="WAV", subtype=subtype)
    return buffer.getvalue()
