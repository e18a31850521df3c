"""Blocks: a file, bytes or an array -> blocks of a mono waveform at one rate, in constant memory.

The blocks joined are bit for bit the waveform of `decode_wave`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from audio_cls.audio.decode import BLOCK_FRAMES, decode_blocks
from audio_cls.audio.waveform import Wave, mix_channels
from audio_cls.config import Hertz
from audio_cls.errors import AudioError

AudioInput = str | Path | bytes | tuple[NDArray[Any], Hertz]


def read_blocks(source: AudioInput, sampling_rate: Hertz) -> Iterator[Wave]:
    """Yield blocks of an input, mono at `sampling_rate`.

    Args:
        source: A path (or `FILE#START-END`), the bytes of an encoded file, or samples and their
            rate, see `to_samples`.
        sampling_rate: Of the blocks, in Hz.

    Yields:
        Blocks (T,), float32; at least one sample in all.

    Raises:
        AudioError: As `decode_file` does; some only after the last block, such as "truncated".
    """
    if isinstance(source, tuple):
        samples, rate = to_samples(source[0]), check_rate(source[1])
        starts = range(0, len(samples), BLOCK_FRAMES)
        blocks = (mix_channels(samples[start : start + BLOCK_FRAMES]) for start in starts)
    elif isinstance(source, str | Path | bytes):
        is_bytes = isinstance(source, bytes)
        decoded = decode_blocks(*((source, None) if is_bytes else (None, str(source))))
        first = next(decoded)
        rate = first.sampling_rate
        blocks = (mix_channels(one.samples) for one in itertools.chain([first], decoded))
    else:
        raise AudioError(
            "not an input",
            f"{type(source).__name__}; give a path, bytes, or (samples, sampling_rate)",
        )
    yield from resample_blocks(blocks, rate, sampling_rate)


def resample_blocks(
    blocks: Iterable[Wave], source_rate: Hertz, sampling_rate: Hertz
) -> Iterator[Wave]:
    """Resample blocks (T,) with soxr: joined, they equal `resample` of the joined blocks.

    Raises:
        AudioError: There is no sample, or one that is not finite.
    """
    stream = None
    if source_rate != sampling_rate:
        stream = soxr.ResampleStream(source_rate, sampling_rate, 1, dtype="float32")
    is_empty = True
    for block in blocks:
        if not np.isfinite(block).all():
            raise AudioError("not finite")
        wave = np.ascontiguousarray(block) if stream is None else stream.resample_chunk(block)
        if len(wave):
            is_empty = False
            yield wave
    rest = np.zeros(0, np.float32)
    if stream is not None:
        rest = stream.resample_chunk(rest, last=True)
    if len(rest):
        yield rest
    elif is_empty:
        raise AudioError("empty")


def to_samples(array: Any) -> NDArray[np.float32]:  # noqa: ANN401 (what a caller gave)
    """Return samples of any numeric type as float32 in [-1, 1], shape (T, C).

    Args:
        array: Shape (T,) or (T, C). Integers are divided by the largest magnitude of their type
            (int16: 32768); uint8 is centred at 128, as in WAV files.

    Raises:
        AudioError: It has another shape or type, or no samples.
    """
    samples = np.asarray(array)
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "fiu" or samples.dtype == np.int64:
        raise AudioError(
            "not an array of samples",
            f"{samples.dtype} of shape {samples.shape}; give float, int16, int32 or uint8 samples"
            " of shape (samples,) or (samples, channels)",
        )
    if samples.size == 0:
        raise AudioError("empty")
    if samples.ndim == 2 and samples.shape[1] > samples.shape[0]:
        raise AudioError(
            "not an array of samples",
            f"shape {samples.shape} has more channels than samples; give (samples, channels)",
        )
    if samples.dtype.kind == "f":
        scaled = samples.astype(np.float32, copy=False)
    else:
        half = 2.0 ** (8 * samples.dtype.itemsize - 1)
        centre = half if samples.dtype.kind == "u" else 0.0
        scaled = ((samples.astype(np.float64) - centre) / half).astype(np.float32)
    return scaled.reshape(len(scaled), -1)


def check_rate(rate: Any) -> Hertz:  # noqa: ANN401 (what a caller gave)
    """Return a sampling rate as an integer.

    Raises:
        AudioError: It is not a positive integer.
    """
    is_number = isinstance(rate, int | float | np.number) and not isinstance(rate, bool)
    if not is_number or not np.isfinite(rate) or rate <= 0 or rate != int(rate):
        raise AudioError("wrong sampling rate", f"{rate!r}; give a positive integer in Hz")
    return int(rate)
