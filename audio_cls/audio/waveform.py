"""Bytes or a path -> mono float32 wave at the model's rate; which clips are bad, and why.

soundfile decodes (wav, flac, ogg, opus, mp3, aiff, au, caf: no FFmpeg), the mean over channels
makes it mono, soxr resamples. The decoded waves are cached in Arrow files, see decode_cache.py.
"""

from __future__ import annotations

import numpy as np
import soxr
import xxhash
from numpy.typing import NDArray

from audio_cls.audio.decode import DecodedAudio, decode_file
from audio_cls.config import Hertz, Seconds
from audio_cls.errors import AudioError

Wave = NDArray[np.float32]


def decode_wave(
    bytes_: bytes | None,
    path: str | None,
    sampling_rate: Hertz,
    max_seconds: Seconds | None = None,
) -> Wave:
    """Decode one clip to mono at `sampling_rate`.

    Args:
        bytes_: The encoded file; None to read `path` instead.
        path: Where the file lies; only read when there are no bytes.
        sampling_rate: Wanted rate in Hz.
        max_seconds: Refuse a longer clip.

    Returns:
        Shape (T,), float32, nominally in [-1, 1]. All-zero sound is returned as it is.

    Raises:
        AudioError: See `decode_file`.
    """
    return to_wave(decode_file(bytes_, path, max_seconds), sampling_rate)


def to_wave(audio: DecodedAudio, sampling_rate: Hertz) -> Wave:
    """Convert a decoded file to mono at `sampling_rate`: (T, C) -> (T',).

    Raises:
        AudioError: The file is so short that no sample is left.
    """
    return resample(mix_channels(audio.samples), audio.sampling_rate, sampling_rate)


def mix_channels(samples: NDArray[np.float32]) -> Wave:
    """Return the mean over the channels: (T, C) -> (T,)."""
    if samples.shape[1] == 1:
        return samples[:, 0]
    return np.asarray(samples.mean(axis=1), dtype=np.float32)


def resample(wave: Wave, own_rate: Hertz, sampling_rate: Hertz) -> Wave:
    """Bring a wave (T,) to another rate by soxr's high quality; at its own rate it stays as it is.

    Raises:
        AudioError: The wave is so short that nothing is left of it.
    """
    if own_rate != sampling_rate:
        wave = soxr.resample(wave, own_rate, sampling_rate)
    if len(wave) == 0:
        raise AudioError("empty")
    return np.ascontiguousarray(wave, dtype=np.float32)


def peak(samples: NDArray[np.float32]) -> float:
    """Return the largest absolute value of samples of any shape; 0 if there are none.

    >>> peak(np.array([0.5, -0.75], np.float32)), peak(np.zeros(0, np.float32))
    (0.75, 0.0)
    """
    return max(float(samples.max()), -float(samples.min())) if samples.size else 0.0


def hash_wave(wave: Wave) -> str:
    """Return 32 hex letters that equal sounds share; '' for no sound."""
    return str(xxhash.xxh3_128_hexdigest(np.ascontiguousarray(wave).data)) if len(wave) else ""
