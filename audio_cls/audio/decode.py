"""Decoding of one audio file: all channels at the file's sampling rate, or the reason of failure.

soundfile decodes WAV, FLAC, Ogg, Opus, MP3, AIFF, AU and CAF without FFmpeg. PyAV, an optional
extra, decodes the formats that libsndfile does not read. A path may name a segment of a file, see
segments.py.
"""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from audio_cls.audio.containers import count_missing_bytes, detect_pyav_container
from audio_cls.audio.files import EncodedBytes, SafeSeek, read_header
from audio_cls.audio.mp3 import add_xing_header
from audio_cls.audio.pyav import decode_with_pyav
from audio_cls.audio.segments import Segment, split_segment
from audio_cls.config import Hertz, Seconds
from audio_cls.errors import AudioError, describe_error
from audio_cls.storage.files import describe_file

LARGE_BYTES = 2**26  # size from which a file's header is checked before the file is read: 64 MB
BLOCK_FRAMES = 2**17  # samples of each channel that are read at once: 3 s at 44.1 kHz
# libsndfile 1.2.2 seeks exactly in these; in mp3 and Ogg it may land elsewhere (measured).
EXACT_SEEK = ("WAV", "WAVEX", "FLAC", "AIFF", "AU", "CAF", "W64", "RF64")
MAX_CACHED_SAMPLES = 2**26  # of a recording that is cached for its other segments: 256 MB
MP3_TOLERANCE = 1152  # samples of the longest MP3 frame: a header may be wrong by one frame
MISSING = "missing file"
NOT_ACCESSIBLE = "not accessible"  # permissions or a network disk; the system's message follows


@dataclass(frozen=True)
class DecodedAudio:
    """A decoded file, not mixed and not resampled."""

    samples: NDArray[np.float32]  # (T, C), nominally in [-1, 1]
    sampling_rate: Hertz
    encoding: str  # such as "WAV PCM_16"


def decode_file(
    bytes_: bytes | None, path: str | None, max_seconds: Seconds | None = None
) -> DecodedAudio:
    """Decode a file, or a segment of it.

    Args:
        bytes_: The encoded file; None to read `path` instead.
        path: The file's path, or `FILE#START-END` for a segment of it (segments.py); used only
            without bytes.
        max_seconds: Refuse a longer clip, before decoding if the header has the length.

    Raises:
        AudioError: The clip is missing, not accessible, unreadable, empty, truncated, not finite or
            too long, or the segment is not inside the file.
    """
    segment = None
    if bytes_ is None:
        path, segment = _find_file(path)
    try:
        if segment is not None:
            audio = _read_segment(str(path), segment)
        else:
            content = _read_bytes(str(path), max_seconds) if bytes_ is None else bytes_
            audio = _join(list(_decode_stream(EncodedBytes(content), max_seconds, None)))
    except OSError as error:
        raise AudioError(NOT_ACCESSIBLE, describe_error(error)) from error
    if len(audio.samples) == 0:
        raise AudioError("empty")
    _check_length(len(audio.samples), audio.sampling_rate, max_seconds)
    if not np.isfinite(audio.samples).all():
        raise AudioError("not finite")
    return audio


def decode_blocks(bytes_: bytes | None, path: str | None) -> Iterator[DecodedAudio]:
    """Decode a file in blocks; their samples joined are those of `decode_file`.

    Memory does not grow with the length of the file; a segment is one block.

    Args:
        bytes_: See `decode_file`.
        path: See `decode_file`.

    Raises:
        AudioError: See `decode_file`; where data is missing at the end, after the last block.
    """
    segment = None
    if bytes_ is None:
        path, segment = _find_file(path)
    if segment is not None:
        yield decode_file(None, f"{path}#{segment}")
        return
    is_empty = True
    try:
        with _CheckedFile(str(path)) if bytes_ is None else EncodedBytes(bytes_) as file:
            for block in _decode_stream(file, None, BLOCK_FRAMES):
                if isinstance(file, _CheckedFile) and file.error is not None:
                    raise file.error
                if not np.isfinite(block.samples).all():
                    raise AudioError("not finite")
                is_empty = is_empty and len(block.samples) == 0
                yield block
    except OSError as error:
        raise AudioError(NOT_ACCESSIBLE, describe_error(error)) from error
    if is_empty:
        raise AudioError("empty")


class _CheckedFile(SafeSeek, io.FileIO):
    """A file that keeps the error of a failed read, which libsndfile treats as the file's end."""

    error: OSError | None = None

    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401 (anything with writable bytes)
        """Fill a buffer; 0 after an error."""
        try:
            return super().readinto(buffer)
        except OSError as error:
            self.error = error
            return 0


def _find_file(path: str | None) -> tuple[str, Segment | None]:
    """Split a path into that of a file and the segment.

    Raises:
        AudioError: There is no such file.
    """
    file, segment = split_segment(path or "")
    if not os.path.isfile(file):
        raise AudioError(MISSING, f"{file} is a folder" if os.path.isdir(file) else file)
    return file, segment


def _join(blocks: list[DecodedAudio]) -> DecodedAudio:
    """Join the blocks of a file.

    Raises:
        AudioError: There is none.
    """
    if not blocks:
        raise AudioError("empty")
    if len(blocks) == 1:
        return blocks[0]
    samples = np.concatenate([block.samples for block in blocks])
    return replace(blocks[0], samples=samples)


def _read_bytes(path: str, max_seconds: Seconds | None) -> bytes:
    """Read a whole file, so that disk errors are raised as such.

    libsndfile treats a read error as the end of the file. A large file is refused before it is read
    if its header declares more than `max_seconds`.
    """
    with open(path, "rb") as file:
        if max_seconds is not None and os.fstat(file.fileno()).st_size > LARGE_BYTES:
            header = read_header(file)
            if header is not None:
                _check_length(*header, max_seconds)
            file.seek(0)
        return file.read()


def _decode_stream(
    file: BinaryIO, max_seconds: Seconds | None, block_frames: int | None
) -> Iterator[DecodedAudio]:
    """Decode a file with libsndfile, or with PyAV where the container needs it.

    Args:
        file: Open for reading.
        max_seconds: See `decode_file`.
        block_frames: Samples per block; None: one block where the header has the length.
    """
    head = file.read(12)
    if not head:
        raise AudioError("empty")
    container = detect_pyav_container(head)
    if container:
        file.seek(0)
        yield from (DecodedAudio(*one) for one in decode_with_pyav(file, container, block_frames))
        return
    missing = count_missing_bytes(file)
    if missing > 1:  # one byte may be the padding of an odd chunk
        raise AudioError("truncated", f"{missing} bytes are missing")
    file.seek(0)
    if head[:1] == b"\xff" or head[:3] == b"ID3":
        file = add_xing_header(file)
    try:
        with _ForwardFile(file) as sound:
            _check_length(sound.frames, sound.samplerate, max_seconds)
            encoding = f"{sound.format} {sound.subtype}"
            for samples in _read_samples(sound, block_frames):
                yield DecodedAudio(samples, sound.samplerate, encoding)
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError) as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError("unreadable", _describe(error)) from error


def _describe(error: Exception) -> str:
    """Return the reason of an error; libsndfile's without the address of the object it opened."""
    return str(getattr(error, "error_string", error)).rstrip(".")


def _read_segment(path: str, segment: Segment) -> DecodedAudio:
    """Read a segment of a file; a format with exact seeking is decoded only there."""
    try:
        with soundfile.SoundFile(path) as file:
            if file.format in EXACT_SEEK and file.seekable() and file.frames < 2**40:
                first, last = segment.to_samples(file.frames, file.samplerate)
                file.seek(first)
                samples = file.read(last - first, dtype="float32", always_2d=True)
                if len(samples) == last - first:
                    encoding = f"{file.format} {file.subtype}"
                    return DecodedAudio(samples, file.samplerate, encoding)
            is_short = file.frames * file.channels <= MAX_CACHED_SAMPLES
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError) as error:
        if isinstance(error, AudioError):
            raise
        is_short = True  # perhaps a format for PyAV
    read = _read_recording if is_short else _read_recording.__wrapped__
    whole = read(path, describe_file(os.stat(path)))
    first, last = segment.to_samples(len(whole.samples), whole.sampling_rate)
    return DecodedAudio(whole.samples[first:last], whole.sampling_rate, whole.encoding)


@functools.lru_cache(maxsize=1)
def _read_recording(path: str, state: tuple[int, int, int, int]) -> DecodedAudio:
    """Decode a whole recording; the last one is cached while `state` is the same."""
    return decode_file(None, path)


def measure_seconds(bytes_: bytes | None, path: str | None) -> Seconds:
    """Return a clip's duration by its header or its segment; 0 if the header is not readable."""
    segment = None
    if bytes_ is None and path is not None:
        path, segment = split_segment(path)
    if segment is not None and segment.end is not None:
        return max(0.0, segment.end - segment.start)
    header = read_header(EncodedBytes(bytes_) if bytes_ is not None else str(path))
    if header is None:
        return 0.0
    return header.seconds if segment is None else max(0.0, header.seconds - segment.start)


class _ForwardFile(soundfile.SoundFile):  # type: ignore[misc] # the library has no types
    """A file that is read from its start to its end.

    soundfile seeks after each read of a file that can, which changes samples of MP3 and fails for a
    file of unknown length.
    """

    def seekable(self) -> bool:
        """Return False."""
        return False


def _read_samples(
    file: soundfile.SoundFile, block_frames: int | None
) -> Iterator[NDArray[np.float32]]:
    """Read all samples in blocks (T, C), and compare their number with the header."""
    # Not of a FLAC from a pipe, nor of GSM.
    is_known = soundfile.SoundFile.seekable(file) and file.frames < 2**40
    wanted = block_frames or (file.frames if is_known else BLOCK_FRAMES)
    num_read, is_over = 0, False
    while not is_over:
        samples: NDArray[np.float32] = file.read(wanted, dtype="float32", always_2d=True)
        num_read += len(samples)
        is_over = len(samples) < max(1, wanted) or (is_known and num_read >= file.frames)
        yield samples
    tolerance = MP3_TOLERANCE if file.format in ("MP3", "MPEG") else 0
    if is_known and num_read + tolerance < file.frames:
        raise AudioError("truncated", f"{num_read} of {file.frames} frames")


def _check_length(num_frames: int, sampling_rate: Hertz, max_seconds: Seconds | None) -> None:
    """Refuse a clip longer than `max_seconds`; 2**40 frames or more mean an unknown length."""
    if max_seconds is not None and max_seconds * sampling_rate < num_frames < 2**40:
        raise AudioError("too long", f"{num_frames / sampling_rate:.1f} s")
