"""One sound file -> its samples as they are: all channels, at its own rate; or why that fails.

A path may name a segment of a file (segments.py); then its samples alone are returned. soundfile
decodes wav, flac, ogg, opus, mp3, aiff, au and caf without FFmpeg; PyAV, an optional extra, what
libsndfile does not know.
"""

from __future__ import annotations

import functools
import io
import os
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from audio_cls.audio.containers import count_missing_bytes, detect_pyav_container
from audio_cls.audio.files import read_header
from audio_cls.audio.mp3 import add_xing_header
from audio_cls.audio.pyav import decode_with_pyav
from audio_cls.audio.segments import Segment, split_segment
from audio_cls.config import Hertz, Seconds
from audio_cls.errors import AudioError
from audio_cls.storage.keys import describe_file

LARGE_BYTES = 2**26  # of a file whose header is looked at before it is read: 64 MB
BLOCK_FRAMES = 2**16  # read at once from a file that does not know its length
# libsndfile 1.2.2 seeks exactly in these; in mp3 and Ogg it may land elsewhere (measured).
EXACT_SEEK = ("WAV", "WAVEX", "FLAC", "AIFF", "AU", "CAF", "W64", "RF64")
KEPT_SAMPLES = 2**26  # of a recording that is kept decoded for its other segments: 256 MB
MP3_SLACK = 1152  # samples of an mp3's longest frame; its header may be wrong by one frame
MISSING = "missing file"
NOT_ACCESSIBLE = "not accessible"  # permissions, a network disk: what the system said follows


@dataclass(frozen=True)
class DecodedAudio:
    """One file, decoded and otherwise as it was."""

    samples: NDArray[np.float32]  # (T, C), nominally in [-1, 1]
    sampling_rate: Hertz
    encoding: str  # such as "WAV PCM_16"


def decode_file(
    bytes_: bytes | None, path: str | None, max_seconds: Seconds | None = None
) -> DecodedAudio:
    """Decode one file, whole or a segment of it: all channels, at its own rate.

    Args:
        bytes_: The encoded file; None to read `path` instead.
        path: Where the file lies, or `FILE#START-END` for a segment of it (segments.py); only read
            when there are no bytes.
        max_seconds: Refuse a longer clip, before it is decoded where its header tells.

    Raises:
        AudioError: The clip is missing, not accessible, unreadable, empty, truncated, not finite or
            too long, or the segment is not inside the file.
    """
    segment = None
    if bytes_ is None and path is not None:
        path, segment = split_segment(path)
    if bytes_ is None and not (path and os.path.isfile(path)):
        raise AudioError(MISSING, str(path))
    try:
        if segment is not None:
            sound = _read_segment(str(path), segment)
        else:
            held = _read_bytes(str(path), max_seconds) if bytes_ is None else bytes_
            sound = _decode_bytes(held, max_seconds)
    except OSError as error:
        raise AudioError(NOT_ACCESSIBLE, str(error)) from error
    if len(sound.samples) == 0:
        raise AudioError("empty")
    _check_length(len(sound.samples), sound.sampling_rate, max_seconds)
    if not np.isfinite(sound.samples).all():
        raise AudioError("not finite")
    return sound


def _read_bytes(path: str, max_seconds: Seconds | None) -> bytes:
    """Read a file whole, so that an error of the disk is not taken for one of its content.

    libsndfile takes what it cannot read for the end of the file. A large file that is longer than
    `max_seconds` by its header is refused before it is read.
    """
    with open(path, "rb") as file:
        if max_seconds is not None and os.fstat(file.fileno()).st_size > LARGE_BYTES:
            header = read_header(file)
            if header is not None:
                _check_length(*header, max_seconds)
            file.seek(0)
        return file.read()


def _decode_bytes(bytes_: bytes, max_seconds: Seconds | None) -> DecodedAudio:
    """Decode a file's bytes, by PyAV where libsndfile does not know the format."""
    if not bytes_:
        raise AudioError("empty")
    container = detect_pyav_container(bytes_[:12])
    if container:
        return DecodedAudio(*decode_with_pyav(bytes_, container))
    missing = count_missing_bytes(io.BytesIO(bytes_))
    if missing > 1:  # one byte may be the padding of an odd chunk
        raise AudioError("truncated", f"{missing} bytes are missing")
    if bytes_[:1] == b"\xff" or bytes_[:3] == b"ID3":
        bytes_ = add_xing_header(bytes_)
    try:
        with soundfile.SoundFile(io.BytesIO(bytes_)) as sound:
            _check_length(sound.frames, sound.samplerate, max_seconds)
            return DecodedAudio(
                _read_samples(sound), sound.samplerate, f"{sound.format} {sound.subtype}"
            )
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError) as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError("unreadable", str(error)) from error


def _read_segment(path: str, segment: Segment) -> DecodedAudio:
    """Read a segment of a file; of the formats with exact seeking nothing else is decoded."""
    try:
        with soundfile.SoundFile(path) as sound:
            if sound.format in EXACT_SEEK and sound.seekable() and sound.frames < 2**40:
                first, last = segment.to_samples(sound.frames, sound.samplerate)
                sound.seek(first)
                samples = sound.read(last - first, dtype="float32", always_2d=True)
                if len(samples) == last - first:
                    encoding = f"{sound.format} {sound.subtype}"
                    return DecodedAudio(samples, sound.samplerate, encoding)
            is_short = sound.frames * sound.channels <= KEPT_SAMPLES
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError) as error:
        if isinstance(error, AudioError):
            raise
        is_short = True  # perhaps a format of PyAV's
    read = _read_recording if is_short else _read_recording.__wrapped__
    whole = read(path, describe_file(os.stat(path)))
    first, last = segment.to_samples(len(whole.samples), whole.sampling_rate)
    return DecodedAudio(whole.samples[first:last], whole.sampling_rate, whole.encoding)


@functools.lru_cache(maxsize=1)
def _read_recording(path: str, state: tuple[int, int, int, int]) -> DecodedAudio:
    """Decode a recording whole; the last one is kept while its state stays the same."""
    return decode_file(None, path)


def measure_seconds(bytes_: bytes | None, path: str | None) -> Seconds:
    """Return how long a clip is by its header, or by its segment; 0 where that cannot be read."""
    segment = None
    if bytes_ is None and path is not None:
        path, segment = split_segment(path)
    if segment is not None and segment.end is not None:
        return max(0.0, segment.end - segment.start)
    header = read_header(io.BytesIO(bytes_) if bytes_ is not None else str(path))
    if header is None:
        return 0.0
    is_known = 0 < header.num_frames < 2**40
    seconds = header.num_frames / header.sampling_rate if is_known else 0.0
    return seconds if segment is None else max(0.0, seconds - segment.start)


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
