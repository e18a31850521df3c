"""Pure functions that vary a clip: gain, shift, speed, noise, masks and mixtures.

A wave (T,) and numbers in, a wave (T,) out, float32 at the same rate. Nothing is clipped or scaled
back that leaves [-1, 1]. What happens to which clip is drawn in variety.py.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from audio_cls.audio.waveform import Wave
from audio_cls.config import Hertz

SPECTRAL_SLOPE = {"white": 0.0, "pink": -0.5, "brown": -1.0}  # of the amplitude over frequency
LOWEST_HZ = 20.0  # coloured noise is flat below: what cannot be heard must not take all the power


def apply_gain(wave: Wave, gain_db: float) -> Wave:
    """Make a wave louder (above 0 dB) or softer."""
    return wave * np.float32(10 ** (gain_db / 20))


def shift_sound(wave: Wave, num_samples: int) -> Wave:
    """Move the sound later (above 0) or earlier; silence fills the gap, the length stays.

    >>> shift_sound(np.array([1, 2, 3], np.float32), 1).tolist()
    [0.0, 1.0, 2.0]
    """
    shifted = np.zeros_like(wave)
    count = len(wave) - min(abs(num_samples), len(wave))
    if num_samples >= 0:
        shifted[len(wave) - count :] = wave[:count]
    else:
        shifted[:count] = wave[len(wave) - count :]
    return shifted


def change_speed(wave: Wave, speed: float) -> Wave:
    """Play a wave `speed` times as fast, pitch included: (T,) -> (about T / speed,)."""
    if speed == 1.0 or len(wave) == 0:
        return wave
    return np.asarray(soxr.resample(wave, speed, 1.0), dtype=np.float32)


def make_noise(num_samples: int, color: str, rate: Hertz, rng: np.random.Generator) -> Wave:
    """Make noise of RMS 1: its power falls by 0 (white), 3 (pink) or 6 dB (brown) per octave."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples, dtype=np.float32))
    hz = np.maximum(np.fft.rfftfreq(num_samples, 1 / rate), LOWEST_HZ)
    noise = np.fft.irfft(spectrum * hz ** SPECTRAL_SLOPE[color], num_samples)
    return np.asarray(noise / max(_measure_rms(noise), 1e-12), dtype=np.float32)


def add_noise(wave: Wave, noise: Wave, snr_db: float) -> Wave:
    """Add noise (T,) so that the power of the wave is `snr_db` above it; silence stays silence."""
    loudness = _measure_rms(noise)
    if loudness == 0:
        return wave
    scale = _measure_rms(wave) / loudness * 10 ** (-snr_db / 20)
    return wave + np.float32(scale) * noise


def blank_spans(wave: Wave, count: int, longest: int, rng: np.random.Generator) -> Wave:
    """Set `count` spans to zero, each of 0 to `longest` samples, and at most half the wave."""
    blanked = wave.copy()
    for start, stop in draw_spans(len(wave), count, longest, rng):
        blanked[start:stop] = 0
    return blanked


def stop_bands(
    wave: Wave, count: int, widest: float, rate: Hertz, rng: np.random.Generator
) -> Wave:
    """Take `count` bands out, each up to `widest` of the mel scale from 0 Hz to half the rate."""
    spectrum = np.fft.rfft(wave)
    mels = _hz_to_mel(np.fft.rfftfreq(len(wave), 1 / rate))
    top = _hz_to_mel(np.array(rate / 2))
    for _ in range(count):
        width = rng.uniform(0, widest)
        start = rng.uniform(0, 1 - width)
        spectrum[(mels >= start * top) & (mels < (start + width) * top)] = 0
    return np.asarray(np.fft.irfft(spectrum, len(wave)), dtype=np.float32)


def draw_spans(
    length: int, count: int, longest: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Draw `count` spans of 0 to `longest`, and at most half of `length`, uniformly in place."""
    spans = []
    for _ in range(count):
        width = int(rng.integers(min(longest, length // 2) + 1))
        start = int(rng.integers(length - width + 1))
        spans.append((start, start + width))
    return spans


def mix_waves(wave: Wave, other: Wave, share: float) -> Wave:
    """Add `share` of a wave to 1 - share of another one, cut or followed by silence to fit.

    mixup: Zhang et al. 2018, https://arxiv.org/abs/1710.09412.
    """
    return np.float32(share) * wave + np.float32(1 - share) * _fit_length(other, len(wave))


def paste_span(
    wave: Wave, other: Wave, share: float, rng: np.random.Generator
) -> tuple[Wave, float]:
    """Keep `share` of a wave and paste a span of another one over the rest, at the same place.

    cutmix (Yun et al. 2019, https://arxiv.org/abs/1905.04899) along time.

    Returns:
        The wave and the share that was really kept: an `other` that is shorter pastes less.
    """
    reach = min(len(wave), len(other))
    width = min(round((1 - share) * len(wave)), reach)
    start = int(rng.integers(reach - width + 1))
    mixed = wave.copy()
    mixed[start : start + width] = other[start : start + width]
    return mixed, 1 - width / max(1, len(wave))


def _fit_length(wave: Wave, num_samples: int) -> Wave:
    """Cut a wave, or append silence."""
    return np.pad(wave[:num_samples], (0, max(0, num_samples - len(wave))))


def _measure_rms(wave: NDArray[np.floating]) -> float:
    """Return the root of the mean square; 0 for an empty wave."""
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) if len(wave) else 0.0


def _hz_to_mel(hz: NDArray[np.floating]) -> NDArray[np.float64]:
    """Map frequency to the mel scale (O'Shaughnessy 1987)."""
    return np.asarray(2595 * np.log10(1 + hz / 700))
