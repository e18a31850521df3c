"""Spectral fingerprint of a clip, for near-duplicate search: energy of mel bands every 16 ms."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import Hertz, Seconds

Fingerprint = NDArray[np.uint8]  # (F, BANDS)

BANDS = 16
MIN_HZ, MAX_HZ = 150.0, 3400.0  # the range that a telephone, and any codec, transmits
LOW_RATE: Hertz = 8_000  # the wave is averaged over neighbouring samples to about this rate
FRAME = 512  # samples at that rate: 64 ms
HOP = 128
MAX_SECONDS: Seconds = 3.0  # taken from the middle of a clip
DYNAMIC_RANGE = 5.0  # decades of power: 50 dB


def make_fingerprint(wave: NDArray[np.float32], sampling_rate: Hertz) -> Fingerprint:
    """Compute the fingerprint of a wave (T,): (F, BANDS), or (0, BANDS) if too short or silent."""
    middle, rate = _take_middle(wave, sampling_rate)
    if len(middle) < FRAME:
        return np.zeros((0, BANDS), np.uint8)
    frames = np.lib.stride_tricks.sliding_window_view(middle, FRAME)[::HOP]
    spectrum = np.fft.rfft(frames * _make_window(), axis=1)
    power = (spectrum.real**2 + spectrum.imag**2) @ make_mel_filters(
        rate, FRAME, BANDS, MIN_HZ, MAX_HZ
    )
    max_power = float(power.max())
    if max_power <= 0:
        return np.zeros((0, BANDS), np.uint8)
    levels = np.log10(np.maximum(power / max_power, 10**-DYNAMIC_RANGE)) / DYNAMIC_RANGE + 1
    return np.asarray((255 * levels).round(), dtype=np.uint8)


def _take_middle(
    wave: NDArray[np.float32], sampling_rate: Hertz
) -> tuple[NDArray[np.float32], Hertz]:
    """Return the middle of a wave, averaged to about LOW_RATE, without its mean; and its rate."""
    factor = max(1, sampling_rate // LOW_RATE)
    max_samples = round(MAX_SECONDS * sampling_rate)
    start = max(0, (len(wave) - max_samples) // 2)
    middle = wave[start : start + max_samples]
    stop = len(middle) // factor * factor
    parts = [middle[n:stop:factor] for n in range(factor)]
    middle = functools.reduce(np.add, parts) / np.float32(factor)
    return middle - middle.mean() if len(middle) else middle, sampling_rate // factor


@functools.cache
def _make_window() -> NDArray[np.float32]:
    return np.hanning(FRAME).astype(np.float32)


@functools.cache
def make_mel_filters(
    rate: Hertz, num_fft: int, num_bands: int, min_hz: float, max_hz: float
) -> NDArray[np.float32]:
    """Return a mel filter bank of overlapping triangles, (num_fft // 2 + 1, num_bands).

    The mel scale is 2595 log10(1 + f / 700), as in HTK; the peak of each triangle is 1 (between
    two frequencies of the transform: less).

    Args:
        rate: Sampling rate in Hz.
        num_fft: Samples of the Fourier transform.
        num_bands: Number of triangles.
        min_hz: Lower end of the first triangle, in Hz.
        max_hz: Upper end of the last one, in Hz.
    """
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (min_hz, max_hz))
    edges = 700 * (10 ** (np.linspace(low, high, num_bands + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(num_fft, 1 / rate)[:, None]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.asarray(np.clip(np.minimum(rise, fall), 0, None), dtype=np.float32)
