"""Sounds made on the spot."""

from __future__ import annotations

import io
from pathlib import Path

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


def write_split_tones(root: Path, num_train: int, seconds: float) -> Path:
    """Write tones of two classes as SPLIT/CLASS/N.wav, N times 0.02 s longer than `seconds`."""
    for split, count in (("train", num_train), ("validation", 4), ("test", 4)):
        for number in range(count):
            path = root / split / ("low", "high")[number % 2] / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            tone = make_tone(300 + 900 * (number % 2), seconds + 0.02 * number, seed=number)
            soundfile.write(path, tone, 16_000)
    return root
