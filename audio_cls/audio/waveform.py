"""Mono waveforms: mixing, resampling, peak and hash; all are float32, shape (T,)."""

from __future__ import annotations

import numpy as np
import soxr
import xxhash
from numpy.typing import NDArray

from audio_cls.audio.decode import DecodedAudio, decode_file
from audio_cls.config import Hertz, Seconds
from audio_cls.errors import AudioError

Wave = NDArray[np.float32]
SILENT_PEAK = 1e-4  # -80 dB of full scale: below the dither of 16-bit audio


def decode_wave(
    bytes_: bytes | None,
    path: str | None,
    sampling_rate: Hertz,
    max_seconds: Seconds | None = None,
) -> Wave:
    """Decode a clip to mono at `sampling_rate`.

    Args:
        bytes_: The encoded file; None to read `path` instead.
        path: The file's path; used only without bytes.
        sampling_rate: Of the result, in Hz.
        max_seconds: Refuse a longer clip.

    Returns:
        Shape (T,), float32, nominally in [-1, 1]; may be silent.

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


def resample(wave: Wave, source_rate: Hertz, sampling_rate: Hertz) -> Wave:
    """Resample a wave (T,) with soxr in high quality; nothing is done at equal rates.

    Raises:
        AudioError: The wave is so short that no sample is left.
    """
    if source_rate != sampling_rate:
        wave = soxr.resample(wave, source_rate, sampling_rate)
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
    """Return the hash of the samples, 32 hexadecimal digits; '' for an empty wave."""
    return str(xxhash.xxh3_128_hexdigest(np.ascontiguousarray(wave).data)) if len(wave) else ""
