"""SpecAugment on a model's spectrogram features.

For models whose input is a waveform, `mask_time` and `mask_frequency` are used instead. Letters: B
clips, F feature frames, M bands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from audio_cls.audio.augmentation.masking import draw_spans
from audio_cls.audio.augmentation.transforms import is_applied
from audio_cls.audio.waveform import Wave
from audio_cls.config import AugmentConfig, Hertz

MASK_STREAM = 4  # separates these random numbers from those of other augmentation

Inputs = dict[str, torch.Tensor]
Encode = Callable[[Sequence[Wave]], Inputs]  # waves (T_i,) -> padded model inputs


@dataclass(frozen=True)
class FrameLayout:
    """Layout of a model's spectrogram features, (B, F, M) or (B, M, F); part of its input spec."""

    input_name: str
    time_axis: int  # 1 or 2; the other axis is frequency
    frames_per_second: float


@dataclass(frozen=True)
class SpecAugment:
    """Masks spans and bands of features (SpecAugment, https://arxiv.org/abs/1904.08779).

    Masked features get the clip's mean. Padding is neither masked nor part of the mean.
    """

    cfg: AugmentConfig
    layout: FrameLayout
    sampling_rate: Hertz

    def mask(self, inputs: Inputs, seed: int, clips: Sequence[tuple[int, int, int]]) -> Inputs:
        """Return the inputs with masked features.

        Args:
            inputs: The processor's output for B clips.
            seed: The run's seed.
            clips: Epoch, clip number and number of samples of each clip.
        """
        features = inputs[self.layout.input_name].clone()
        for clip, (epoch, number, num_samples) in zip(features, clips, strict=True):
            rng = np.random.default_rng((seed, MASK_STREAM, epoch, number))
            seconds = num_samples / self.sampling_rate
            frames = clip if self.layout.time_axis == 1 else clip.T  # (F, M), a view
            self._mask_clip(frames[: max(1, round(seconds * self.layout.frames_per_second))], rng)
        return {**inputs, self.layout.input_name: features}

    def _mask_clip(self, frames: torch.Tensor, rng: np.random.Generator) -> None:
        """Mask the frames (F, M) of one clip, without padding, in place."""
        cfg, mean, num_bands = self.cfg, frames.mean(), frames.shape[1]
        if is_applied(cfg.get_probability("time-masks"), rng):
            max_frames = max(1, round(cfg.time_mask_seconds * self.layout.frames_per_second))
            for start, stop in draw_spans(len(frames), cfg.time_masks, max_frames, rng):
                frames[start:stop] = mean
        if is_applied(cfg.get_probability("frequency-masks"), rng):
            max_bands = max(1, round(cfg.frequency_mask_share * num_bands))
            for start, stop in draw_spans(num_bands, cfg.frequency_masks, max_bands, rng):
                frames[:, start:stop] = mean
