"""Masking of waveforms: spans of time, and bands of frequency on the mel scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audio_cls.audio.waveform import Wave
from audio_cls.config import Hertz


def mask_time(wave: Wave, count: int, max_samples: int, rng: np.random.Generator) -> Wave:
    """Set `count` spans to zero, each of 0 to `max_samples` and at most half of the wave."""
    masked = wave.copy()
    for start, stop in draw_spans(len(wave), count, max_samples, rng):
        masked[start:stop] = 0
    return masked


def mask_frequency(
    wave: Wave, count: int, max_share: float, rate: Hertz, rng: np.random.Generator
) -> Wave:
    """Remove `count` bands, each up to `max_share` of the mel scale from 0 Hz to half the rate."""
    spectrum = np.fft.rfft(wave)
    mels = _hz_to_mel(np.fft.rfftfreq(len(wave), 1 / rate))
    top = _hz_to_mel(np.array(rate / 2))
    for _ in range(count):
        width = rng.uniform(0, max_share)
        start = rng.uniform(0, 1 - width)
        spectrum[(mels >= start * top) & (mels < (start + width) * top)] = 0
    return np.asarray(np.fft.irfft(spectrum, len(wave)), dtype=np.float32)


def draw_spans(
    length: int, count: int, max_width: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Draw `count` spans: width from 0 to `max_width` and at most half of `length`, any start."""
    spans = []
    for _ in range(count):
        width = int(rng.integers(min(max_width, length // 2) + 1))
        start = int(rng.integers(length - width + 1))
        spans.append((start, start + width))
    return spans


def _hz_to_mel(hz: NDArray[np.floating]) -> NDArray[np.float64]:
    """Convert frequency to the mel scale (O'Shaughnessy 1987)."""
    return np.asarray(2595 * np.log10(1 + hz / 700))
