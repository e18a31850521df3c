"""One sound file -> its samples as they are: all channels, at its own rate; or why that fails.

soundfile decodes wav, flac, ogg, opus, mp3, aiff, au and caf without FFmpeg; PyAV, an optional
extra, what libsndfile does not know.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from audio_cls.config import Hertz, Seconds
from audio_cls.data.formats import decode_foreign
from audio_cls.data.headers import count_missing_bytes, name_foreign_format
from audio_cls.data.mpeg import tell_length
from audio_cls.errors import AudioError

BLOCK_FRAMES = 2**16  # read at once from a file that does not know its length
MP3_SLACK = 1152  # samples of an mp3's longest frame; its header may be wrong by one frame


@dataclass(frozen=True)
class Sound:
    """One file, decoded and otherwise as it was."""

    samples: NDArray[np.float32]  # (T, C), nominally in [-1, 1]
    sampling_rate: Hertz
    encoding: str  # such as "WAV PCM_16"


def read_sound(bytes_: bytes | None, path: str | None, max_seconds: Seconds | None = None) -> Sound:
    """Decode one file whole: all channels, at its own rate.

    Args:
        bytes_: The encoded file; None to read `path` instead.
        path: Where the file lies; only read when there are no bytes.
        max_seconds: Refuse a longer clip, before it is decoded where its header tells.

    Raises:
        AudioError: The clip is missing, unreadable, empty, truncated, not finite or too long.
    """
    if bytes_ is None and not (path and Path(path).is_file()):
        raise AudioError("missing file", str(path))
    try:
        with io.BytesIO(bytes_) if bytes_ is not None else open(str(path), "rb") as file:
            sound = _read_file(file, bytes_, path, max_seconds)
    except OSError as error:
        raise AudioError("unreadable", str(error)) from error
    if len(sound.samples) == 0:
        raise AudioError("empty")
    _check_length(len(sound.samples), sound.sampling_rate, max_seconds)
    if not np.isfinite(sound.samples).all():
        raise AudioError("not finite")
    return sound


def _read_file(
    file: BinaryIO, bytes_: bytes | None, path: str | None, max_seconds: Seconds | None
) -> Sound:
    """Decode an open file, by PyAV where libsndfile does not know the format."""
    head = file.read(12)
    if not head:
        raise AudioError("empty")
    container = name_foreign_format(head)
    if container:
        return Sound(*decode_foreign(bytes_, path, container))
    missing = count_missing_bytes(file)
    if missing > 1:  # one byte may be the padding of an odd chunk
        raise AudioError("truncated", f"{missing} bytes are missing")
    file.seek(0)
    if head[:1] == b"\xff" or head[:3] == b"ID3":
        file = io.BytesIO(tell_length(file.read()))
    try:
        with soundfile.SoundFile(file) as sound:
            _check_length(sound.frames, sound.samplerate, max_seconds)
            return Sound(_read_samples(sound), sound.samplerate, f"{sound.format} {sound.subtype}")
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError) as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError("unreadable", str(error)) from error


def _read_samples(sound: soundfile.SoundFile) -> NDArray[np.float32]:
    """Read all samples, (T, C), and compare their number with what the file promises."""
    if sound.seekable() and sound.frames < 2**40:
        samples: NDArray[np.float32] = sound.read(dtype="float32", always_2d=True)
        slack = MP3_SLACK if sound.format in ("MP3", "MPEG") else 0
        if len(samples) + slack < sound.frames:
            raise AudioError("truncated", f"{len(samples)} of {sound.frames} frames")
        return samples
    return _read_to_the_end(sound)


def _read_to_the_end(sound: soundfile.SoundFile) -> NDArray[np.float32]:
    """Read a file that cannot seek (GSM), or that does not know its length (a flac from a pipe)."""
    blocks = []
    while True:
        block = np.full((BLOCK_FRAMES, sound.channels), np.nan, np.float32)
        try:
            num_read = len(sound.read(BLOCK_FRAMES, out=block))
        except soundfile.SoundFileError:  # it reads to the end, then fails to seek there
            num_read = int(np.isfinite(block).all(axis=1).sum())
        blocks.append(block[:num_read])
        if num_read < BLOCK_FRAMES:
            return np.concatenate(blocks)


def _check_length(num_frames: int, sampling_rate: Hertz, max_seconds: Seconds | None) -> None:
    """Refuse what is longer than `max_seconds`; a length of 2**40 or more is not known yet."""
    if max_seconds is not None and max_seconds * sampling_rate < num_frames < 2**40:
        raise AudioError("too long", f"{num_frames / sampling_rate:.1f} s")
