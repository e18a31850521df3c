"""Gain, time shift, speed perturbation, and noise at a signal-to-noise ratio (pure functions).

Waves are float32, shape (T,). The result is not clipped to [-1, 1].
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from audio_cls.audio.waveform import Wave
from audio_cls.config import Hertz

SPECTRAL_SLOPE = {"white": 0.0, "pink": -0.5, "brown": -1.0}  # of the amplitude over frequency
MIN_HZ = 20.0  # coloured noise is flat below, so that inaudible frequencies do not dominate


def apply_gain(wave: Wave, gain_db: float) -> Wave:
    """Multiply a wave by a gain in dB."""
    return wave * np.float32(10 ** (gain_db / 20))


def time_shift(wave: Wave, num_samples: int) -> Wave:
    """Shift a wave later (above 0) or earlier, padded with zeros to the same length.

    >>> time_shift(np.array([1, 2, 3], np.float32), 1).tolist()
    [0.0, 1.0, 2.0]
    """
    shifted = np.zeros_like(wave)
    count = len(wave) - min(abs(num_samples), len(wave))
    if num_samples >= 0:
        shifted[len(wave) - count :] = wave[:count]
    else:
        shifted[:count] = wave[len(wave) - count :]
    return shifted


def perturb_speed(wave: Wave, speed: float) -> Wave:
    """Resample a wave to `speed` times the speed and pitch: (T,) -> (about T / speed,)."""
    if speed == 1.0 or len(wave) == 0:
        return wave
    return np.asarray(soxr.resample(wave, speed, 1.0), dtype=np.float32)


def make_noise(num_samples: int, color: str, rate: Hertz, rng: np.random.Generator) -> Wave:
    """Generate noise of RMS 1; power falls by 0 (white), 3 (pink) or 6 dB (brown) per octave."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples, dtype=np.float32))
    hz = np.maximum(np.fft.rfftfreq(num_samples, 1 / rate), MIN_HZ)
    noise = np.fft.irfft(spectrum * hz ** SPECTRAL_SLOPE[color], num_samples)
    return np.asarray(noise / max(_measure_rms(noise), 1e-12), dtype=np.float32)


def add_noise(wave: Wave, noise: Wave, snr_db: float) -> Wave:
    """Add noise (T,) at a signal-to-noise ratio in dB; a silent wave stays silent."""
    noise_rms = _measure_rms(noise)
    if noise_rms == 0:
        return wave
    scale = _measure_rms(wave) / noise_rms * 10 ** (-snr_db / 20)
    return wave + np.float32(scale) * noise


def _measure_rms(wave: NDArray[np.floating]) -> float:
    """Return the root mean square; 0 for an empty wave."""
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) if len(wave) else 0.0
