"""Cutting: segments of a recording as WAV files, with its samples, rate and channels."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from audio_cls.audio.containers import detect_pyav_container
from audio_cls.audio.decode import EXACT_SEEK, decode_file
from audio_cls.audio.segments import Segment
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
SKIPPED_FRAMES = 2**16  # read at once on the way to a segment
Samples = NDArray[Any]  # (T, C)


def cut_segments(path: str, segments: Sequence[Segment]) -> Iterator[bytes]:
    """Cut segments out of a recording.

    Args:
        path: The recording; it is read forward once, and is never in memory as a whole, unless
            PyAV decodes it.
        segments: In order of their starts; they may overlap. Their samples are those of
            `Segment.to_samples`.

    Yields:
        A WAV file for each segment: PCM_16, PCM_24, PCM_32, FLOAT or DOUBLE as in the recording,
        else PCM_16.

    Raises:
        AudioError: The recording cannot be read, or a segment is not inside it.
    """
    with open(path, "rb") as head:
        container = detect_pyav_container(head.read(12))
    if container:
        audio = decode_file(None, path)
        for one in segments:
            first, last = one.to_samples(len(audio.samples), audio.sampling_rate)
            yield _encode(audio.samples[first:last], audio.sampling_rate, "PCM_16")
        return
    try:
        with soundfile.SoundFile(path) as file:
            subtype = file.subtype if file.subtype in COPIED else "PCM_16"
            spans = [one.to_samples(file.frames, file.samplerate) for one in segments]
            for samples in _read_spans(file, spans):
                yield _encode(samples, file.samplerate, subtype)
    except soundfile.SoundFileError as error:
        raise AudioError("unreadable", str(error)) from error


def _read_spans(file: soundfile.SoundFile, spans: Sequence[tuple[int, int]]) -> Iterator[Samples]:
    """Yield the frames from start to stop of each span, (T, C); spans are in order of start."""
    kind = COPIED.get(file.subtype, "float32")
    can_seek = file.format in EXACT_SEEK and file.seekable()
    kept: Samples = np.zeros((0, file.channels), kind)
    start = 0  # of the kept frames
    for first, last in spans:
        kept, start = kept[max(0, first - start) :], max(start, min(first, start + len(kept)))
        if can_seek and first > start:
            start = file.seek(first)
        while start < first:
            start += len(file.read(min(SKIPPED_FRAMES, first - start), dtype=kind)) or first
        missing = last - start - len(kept)
        if missing > 0:
            new = file.read(missing, dtype=kind, always_2d=True)
            kept = np.concatenate([kept, new])
        if len(kept) < last - first:
            raise AudioError("truncated", f"{start + len(kept)} of {file.frames} frames")
        yield kept[: last - first]


def _encode(samples: Samples, sampling_rate: Hertz, subtype: str) -> bytes:
    """Encode samples, (T, C), as WAV; floats that become PCM_16 are rounded and clipped."""
    if subtype == "PCM_16" and samples.dtype != np.int16:
        samples = np.clip(np.rint(samples * 2.0**15), -(2**15), 2**15 - 1).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sampling_rate, format="WAV", subtype=subtype)
    return buffer.getvalue()
