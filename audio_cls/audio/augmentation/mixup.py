"""Mixup and cutmix of two waveforms."""

from __future__ import annotations

import numpy as np

from audio_cls.audio.waveform import Wave


def mixup(wave: Wave, other: Wave, share: float) -> Wave:
    """Return share * wave + (1 - share) * other, with `other` cut or padded to the same length.

    mixup: Zhang et al. 2018, https://arxiv.org/abs/1710.09412.
    """
    return np.float32(share) * wave + np.float32(1 - share) * _fit_length(other, len(wave))


def cutmix(wave: Wave, other: Wave, share: float, rng: np.random.Generator) -> tuple[Wave, float]:
    """Replace a span of 1 - share of a wave by the same span of another one.

    cutmix (Yun et al. 2019, https://arxiv.org/abs/1905.04899) along time.

    Returns:
        The wave and the share that was kept, which is more than `share` if `other` is too short.
    """
    available = min(len(wave), len(other))
    width = min(round((1 - share) * len(wave)), available)
    start = int(rng.integers(available - width + 1))
    mixed = wave.copy()
    mixed[start : start + width] = other[start : start + width]
    return mixed, 1 - width / max(1, len(wave))


def _fit_length(wave: Wave, num_samples: int) -> Wave:
    """Cut a wave to `num_samples`, or pad it with zeros."""
    return np.pad(wave[:num_samples], (0, max(0, num_samples - len(wave))))
