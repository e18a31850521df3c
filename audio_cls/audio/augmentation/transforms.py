"""Waveform transforms: one class per effect, each called with a wave and a random generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from audio_cls.audio.augmentation.masking import mask_frequency, mask_time
from audio_cls.audio.augmentation.waveform import add_noise, apply_gain, make_noise, time_shift
from audio_cls.audio.waveform import Wave
from audio_cls.audio.windows import cut_wave
from audio_cls.config import Hertz, Range

NoiseSource = Callable[[int, np.random.Generator], Wave]  # number of samples T -> noise (T,)


class Transform(Protocol):
    """Changes one training clip: a float32 wave (T,) to a float32 wave (T,) at the same rate.

    The sampling rate, where it matters, is given at construction. All random numbers come from the
    generator and no state is kept between calls, so that the result depends on seed, epoch and clip
    alone. A transform may change the wave in place.

    >>> def make_soft_clip(sampling_rate: Hertz) -> Transform:
    ...     def soft_clip(wave: Wave, rng: np.random.Generator) -> Wave:
    ...         return np.tanh(rng.uniform(2, 5) * wave)
    ...     return soft_clip
    >>> transform = make_soft_clip(16_000)
    >>> transform(np.array([0, 0.1, 1], np.float32), np.random.default_rng(0)).round(3).tolist()
    [0.0, 0.3720000088214874, 0.9990000128746033]
    """

    def __call__(self, wave: Wave, rng: np.random.Generator, /) -> Wave:
        """Return the changed wave (T,)."""


class Recordings(Protocol):
    """A sequence of waves (T_i,), each of which may be decoded only when it is asked for."""

    def __len__(self) -> int:
        """Count the recordings."""

    def __getitem__(self, number: int, /) -> Wave:
        """Return one recording, whole."""


def is_applied(p: float, rng: np.random.Generator) -> bool:
    """Decide whether an effect of probability `p` is applied; nothing is drawn where `p` is 1."""
    return p >= 1 or rng.random() < p


@dataclass(frozen=True)
class RandomApply:
    """Apply a transform with probability `p`."""

    transform: Transform
    p: float

    def __call__(self, wave: Wave, rng: np.random.Generator) -> Wave:
        """Return the transformed wave, or the wave as it is."""
        return self.transform(wave, rng) if is_applied(self.p, rng) else wave


@dataclass(frozen=True)
class TimeShift:
    """Shift by up to `max_samples`, later or earlier."""

    max_samples: int

    def __call__(self, wave: Wave, rng: np.random.Generator) -> Wave:
        """See `time_shift`."""
        return time_shift(wave, int(rng.integers(-self.max_samples, self.max_samples + 1)))


@dataclass(frozen=True)
class PolarityInversion:
    """Change the sign of the samples with probability `p`.

    One number is drawn for any `p`: the numbers that later transforms draw do not depend on it.
    """

    p: float

    def __call__(self, wave: Wave, rng: np.random.Generator) -> Wave:
        """Return the inverted wave, or the wave as it is."""
        return np.negative(wave) if rng.random() < self.p else wave


@dataclass(frozen=True)
class Gain:
    """Change the level by up to `max_db` decibels, up or down."""

    max_db: float

    def __call__(self, wave: Wave, rng: np.random.Generator) -> Wave:
        """See `apply_gain`."""
        return apply_gain(wave, rng.uniform(-self.max_db, self.max_db))


@dataclass(frozen=True)
class ColoredNoise:
    """Generates noise; see `make_probe_noise`."""

    color: str
    sampling_rate: Hertz

    def __call__(self, num_samples: int, rng: np.random.Generator) -> Wave:
        """Return noise (T,)."""
        return make_noise(num_samples, self.color, self.sampling_rate, rng)


@dataclass(frozen=True)
class RecordedNoise:
    """Cuts noise from recordings, at a random place of a random one; a shorter one is repeated."""

    recordings: Recordings

    def __call__(self, num_samples: int, rng: np.random.Generator) -> Wave:
        """Return noise (T,)."""
        recording = self.recordings[int(rng.integers(len(self.recordings)))]
        start = int(rng.integers(max(1, len(recording) - num_samples + 1)))
        return cut_wave(recording, start, start + num_samples)


@dataclass(frozen=True)
class AddNoise:
    """Add noise at a signal-to-noise ratio drawn from `snr_db`, in dB."""

    snr_db: Range
    noise: NoiseSource

    def __call__(self, wave: Wave, rng: np.random.Generator) -> Wave:
        """See `add_noise`."""
        noise = self.noise(len(wave), rng)
        return add_noise(wave, noise, rng.uniform(*self.snr_db))


@dataclass(frozen=True)
class FrequencyMask:
    """Remove `count` bands, each of up to `max_share` of the mel scale."""

    count: int
    max_share: float
    sampling_rate: Hertz

    def __call__(self, wave: Wave, rng: np.random.Generator) -> Wave:
        """See `mask_frequency`."""
        return mask_frequency(wave, self.count, self.max_share, self.sampling_rate, rng)


@dataclass(frozen=True)
class TimeMask:
    """Set `count` spans of up to `max_samples` to zero."""

    count: int
    max_samples: int

    def __call__(self, wave: Wave, rng: np.random.Generator) -> Wave:
        """See `mask_time`."""
        return mask_time(wave, self.count, self.max_samples, rng)
