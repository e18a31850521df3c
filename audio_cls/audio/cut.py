"""Cutting: segments of a recording as WAV files, with its samples, rate and channels."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from audio_cls.audio.decode import EXACT_SEEK, decode_blocks
from audio_cls.audio.segments import Segment, to_sample
from audio_cls.config import Hertz
from audio_cls.errors import AudioError

# Encodings of a WAV file, and the type in which their samples are copied without a change. Others,
# such as MP3, become PCM_16.
COPIED = {
    "PCM_16": "int16",
    "PCM_24": "int32",
    "PCM_32": "int32",
    "FLOAT": "float32",
    "DOUBLE": "float64",
}
Samples = NDArray[Any]  # (T, C)


def cut_segments(path: str, segments: Sequence[Segment]) -> Iterator[bytes]:
    """Cut segments out of a recording, which is never in memory as a whole.

    Args:
        path: The recording. Formats without exact seeking are decoded once, from the start.
        segments: In order of their starts; they may overlap. Their samples are those of
            `Segment.to_samples`.

    Yields:
        A WAV file for each segment: PCM_16, PCM_24, PCM_32, FLOAT or DOUBLE as in the recording,
        else PCM_16.

    Raises:
        AudioError: The recording cannot be read, or a segment is not inside it.
    """
    try:
        with soundfile.SoundFile(path) as file:
            is_exact = file.format in EXACT_SEEK and file.seekable() and file.frames < 2**40
            if is_exact and file.subtype in COPIED:
                for samples in _copy(file, segments):
                    yield _encode(samples, file.samplerate, file.subtype)
                return
    except soundfile.SoundFileError:  # no audio, or a format for PyAV
        pass
    for samples, rate in _read_forward(path, segments):
        yield _encode(samples, rate, "PCM_16")


def _copy(file: soundfile.SoundFile, segments: Sequence[Segment]) -> Iterator[Samples]:
    """Yield the samples of segments, (T, C), in the type of the file."""
    for one in segments:
        first, last = one.to_samples(file.frames, file.samplerate)
        file.seek(first)
        samples = file.read(last - first, dtype=COPIED[file.subtype], always_2d=True)
        if len(samples) < last - first:
            raise AudioError("truncated", f"{first + len(samples)} of {file.frames} frames")
        yield samples


def _read_forward(path: str, segments: Sequence[Segment]) -> Iterator[tuple[Samples, Hertz]]:
    """Decode a file block by block, and yield the samples of segments, (T, C), and their rate."""
    blocks = decode_blocks(None, path)
    block = next(blocks)
    kept, start, rate = block.samples, 0, block.sampling_rate  # `start`: of the kept samples
    for one in segments:
        first = to_sample(one.start, rate)
        last = math.inf if one.end is None else to_sample(one.end, rate)
        while True:
            dropped = min(max(0, first - start), len(kept))
            kept, start = kept[dropped:], start + dropped
            following = next(blocks, None) if start + len(kept) < last else None
            if following is None:
                break
            kept = np.concatenate([kept, following.samples])
        first, stop = one.to_samples(start + len(kept), rate)  # of all samples, or of enough
        yield kept[first - start : stop - start], rate


def _encode(samples: Samples, sampling_rate: Hertz, subtype: str) -> bytes:
    """Encode samples, (T, C), as WAV; floats that become PCM_16 are rounded and clipped."""
    if subtype == "PCM_16" and samples.dtype != np.int16:
        samples = np.clip(np.rint(samples * 2.0**15), -(2**15), 2**15 - 1).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sampling_rate, format="WAV", subtype=subtype)
    return buffer.getvalue()
