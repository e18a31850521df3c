"""AstFilterbank: features of the Audio Spectrogram Transformer, as of ASTFeatureExtractor.

The class of transformers needs torch; this one needs numpy alone. Definition: Kaldi's `fbank` with
a symmetric Hann window, frames of 25 ms every 10 ms, without their mean, pre-emphasis of 0.97,
power spectrum of 512 points, triangles on Kaldi's mel scale from 20 Hz to half the rate, logarithm.
Letters: T samples, F frames.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from transformers.audio_utils import mel_filter_bank

from audio_cls.audio.waveform import Wave

FRAME, HOP, POINTS = 400, 160, 512  # samples; whatever the rate, as in ASTFeatureExtractor
PREEMPHASIS = 0.97
LOWEST_HERTZ = 20.0
FLOOR = float(np.finfo(np.float32).eps)  # smallest energy of a band


class AstFilterbank:
    """Waveforms -> normalised log mel energies of a fixed number of frames."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Read the settings of preprocessor_config.json; what is not there has stock defaults."""
        self.sampling_rate = int(settings.get("sampling_rate", 16_000))
        self.max_length = int(settings.get("max_length", 1024))  # frames
        self.num_mel_bins = int(settings.get("num_mel_bins", 128))
        self.mean = float(settings.get("mean", -4.2677393))
        self.std = float(settings.get("std", 4.5689974))
        self.do_normalize = bool(settings.get("do_normalize", True))
        with warnings.catch_warnings():  # some of the lowest 128 bands have no frequency
            warnings.simplefilter("ignore")
            self.filters = mel_filter_bank(
                num_frequency_bins=POINTS // 2 + 1,
                num_mel_filters=self.num_mel_bins,
                min_frequency=LOWEST_HERTZ,
                max_frequency=self.sampling_rate // 2,
                sampling_rate=self.sampling_rate,
                mel_scale="kaldi",
                triangularize_in_mel_space=True,
            )

    def __call__(
        self, waves: Sequence[Wave], *, sampling_rate: int, **_options: object
    ) -> dict[str, NDArray[np.float32]]:
        """Return `input_values`, (B, `max_length`, bands), for B waveforms, (T_i,) each.

        Other options of transformers' extractors have no effect.

        Raises:
            ValueError: The rate is another one than the model's.
        """
        if sampling_rate != self.sampling_rate:
            raise ValueError(f"the model's rate is {self.sampling_rate} Hz, not {sampling_rate}")
        return {"input_values": np.stack([self._extract(wave) for wave in waves])}

    def _extract(self, wave: Wave) -> NDArray[np.float32]:
        """Return the features of one waveform; frames of zeros follow a short one."""
        energies = log_mel_energies(wave, self.filters)[: self.max_length]
        missing = self.max_length - len(energies)
        padded = np.pad(energies.astype(np.float32), ((0, missing), (0, 0)))
        if not self.do_normalize:
            return padded
        return np.asarray((padded - self.mean) / (self.std * 2), dtype=np.float32)


def log_mel_energies(wave: Wave, filters: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the energy in each band, (F, bands), of a waveform (T,).

    Args:
        wave: At least 400 samples.
        filters: Weights of the frequencies in each band, (257, bands).
    """
    frames = sliding_window_view(wave.astype(np.float64), FRAME)[::HOP]
    frames = frames - frames.mean(axis=1, keepdims=True)
    previous = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    spectra = np.fft.rfft((frames - PREEMPHASIS * previous) * np.hanning(FRAME), POINTS)
    energies = np.square(np.abs(spectra)) @ filters
    return np.asarray(np.log(np.maximum(energies, FLOOR)))
