"""Sounds made on the spot."""

from __future__ import annotations

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

Wave = NDArray[np.float32]


def make_tone(hz: float, seconds: float, sampling_rate: int = 16_000, seed: int = 0) -> Wave:
    """Return a sine of amplitude 0.5 with a little noise, shape (T,)."""
    time = np.arange(round(seconds * sampling_rate)) / sampling_rate
    noise = np.random.default_rng(seed).normal(0, 0.01, len(time))
    return (0.5 * np.sin(2 * np.pi * hz * time) + noise).astype(np.float32)


def encode_sound(wave: NDArray[np.float32], sampling_rate: int, **options: str) -> bytes:
    """Return an audio file's bytes, wav unless `format` says otherwise."""
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, sampling_rate, **{"format": "WAV", **options})
    return buffer.getvalue()
