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
from audio_cls.errors import AudioError, list_names

AudioInput = str | Path | bytes | tuple[NDArray[Any], Hertz] | dict[str, Any]
ARRAY_KEYS = ("array", "raw")  # of datasets, and of transformers' pipeline
RATE_KEY = "sampling_rate"


def read_blocks(source: AudioInput, sampling_rate: Hertz) -> Iterator[Wave]:
    """Yield blocks of an input, mono at `sampling_rate`.

    Args:
        source: A path (or `FILE#START-END`), the bytes of an encoded file, or samples and their
            rate, see `split_samples`.
        sampling_rate: Of the blocks, in Hz.

    Yields:
        Blocks (T,), float32; at least one sample in all.

    Raises:
        AudioError: As `decode_file` does; some only after the last block, such as "truncated".
    """
    if isinstance(source, tuple | dict):
        array, given_rate = split_samples(source)
        samples, rate = to_samples(array), check_rate(given_rate)
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


def split_samples(source: tuple[Any, ...] | dict[str, Any]) -> tuple[Any, Any]:
    """Return the array and the sampling rate of an input that is no file; neither is checked.

    Args:
        source: `(samples, sampling_rate)`, see `to_samples`; or a dictionary with `sampling_rate`,
            and the samples in `array` (as in datasets) or `raw` (as in transformers' pipeline).

    Raises:
        AudioError: The rate comes first, or a key is missing.
    """
    if isinstance(source, dict):
        keys = [key for key in ARRAY_KEYS if source.get(key) is not None]
        if len(keys) != 1 or RATE_KEY not in source:
            raise AudioError(
                "not an input",
                f"a dictionary with the keys {list_names(map(repr, source)) or 'none'}; give"
                " {'array': samples, 'sampling_rate': rate} ('raw' is the same as 'array')",
            )
        return source[keys[0]], source[RATE_KEY]
    if len(source) != 2 or is_number(source[0]):
        found = f"of {len(source)}" if len(source) != 2 else "with the sampling rate first"
        raise AudioError(
            "not an input", f"a tuple {found}; give (samples, sampling_rate), in this order"
        )
    return source[0], source[1]


def is_number(value: object) -> bool:
    """Return whether a value is one number, such as a sampling rate."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def to_samples(array: Any) -> NDArray[np.float32]:  # noqa: ANN401 (what a caller gave)
    """Return samples of any numeric type as float32 in [-1, 1], shape (T, C).

    Args:
        array: Shape (T,) or (T, C); also a tensor of PyTorch on the CPU. Integers are divided by
            the largest magnitude of their type (int16: 32768); uint8 is centred at 128, as in WAV
            files.

    Raises:
        AudioError: It has another shape or type, or no samples.
    """
    try:
        samples = np.asarray(array)
    except (TypeError, ValueError, RuntimeError) as error:  # rows of several lengths; of a GPU
        reason = str(error).splitlines()[0].rstrip(".")
        raise AudioError("not an array of samples", reason) from error
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
    if not is_number(rate) or not np.isfinite(rate) or rate <= 0 or rate != int(rate):
        raise AudioError("wrong sampling rate", f"{rate!r}; give a positive integer in Hz")
    return int(rate)
