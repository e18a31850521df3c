"""Augmentation of training clips, sampled from (seed, epoch, clip number) alone.

So the result does not depend on workers, processes or a resume. Letters: T samples, L labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_cls.audio.augmentation.mixup import cutmix, mixup
from audio_cls.audio.augmentation.spec_augment import FrameLayout, SpecAugment
from audio_cls.audio.augmentation.transforms import (
    AddNoise,
    ColoredNoise,
    FrequencyMask,
    Gain,
    PolarityInversion,
    RandomApply,
    RecordedNoise,
    Recordings,
    TimeMask,
    TimeShift,
    Transform,
    is_applied,
)
from audio_cls.audio.augmentation.user_transforms import UserTransform
from audio_cls.audio.waveform import Wave
from audio_cls.audio.windows import seconds_to_samples
from audio_cls.config import AugmentConfig, Hertz

AUGMENT_STREAM = 3  # separates these random numbers from those of the crops

Label = int | NDArray[np.float32]  # a class index, or the share of each label, (L,)


@dataclass(frozen=True)
class ClipAugmentation:
    """The augmentation of one clip in one epoch."""

    augmenter: Augmenter
    rng: np.random.Generator
    speed: float
    partner: int | None  # number of the clip to mix in

    def mix(
        self, wave: Wave, label: Label, other: Wave, other_label: Label
    ) -> tuple[Wave, NDArray[np.float32]]:
        """Mix a clip with its partner: the wave (T,) and the share of each label (L,)."""
        cfg, rng = self.augmenter.cfg, self.rng
        takes_cutmix = cfg.cutmix_alpha > 0 and (cfg.mixup_alpha == 0 or rng.random() < 0.5)
        alpha = cfg.cutmix_alpha if takes_cutmix else cfg.mixup_alpha
        share = float(rng.beta(alpha, alpha))
        if takes_cutmix:
            wave, share = cutmix(wave, other, share, rng)
        else:
            wave = mixup(wave, other, share)
        shares, other_shares = map(self.augmenter.to_shares, (label, other_label))
        return wave, np.asarray(share * shares + (1 - share) * other_shares, dtype=np.float32)

    def apply(self, wave: Wave) -> Wave:
        """Apply the transforms one after the other: (T,) -> (T,)."""
        for transform in self.augmenter.transforms:
            wave = transform(wave, self.rng)
        return wave


@dataclass(frozen=True)
class Augmenter:
    """Samples the augmentation of each clip in each epoch."""

    cfg: AugmentConfig
    num_labels: int
    transforms: Sequence[Transform] = ()
    masker: SpecAugment | None = None  # for a model whose input is a spectrogram

    @property
    def is_mixing(self) -> bool:
        """Return whether clips are mixed, so that a target is the share of each label."""
        return self.cfg.mixup_alpha > 0 or self.cfg.cutmix_alpha > 0

    def sample(self, seed: int, epoch: int, number: int, num_clips: int) -> ClipAugmentation:
        """Sample the augmentation of one clip; pure in the given numbers."""
        cfg, rng = self.cfg, np.random.default_rng((seed, AUGMENT_STREAM, epoch, number))
        speed, partner = 1.0, None
        if cfg.speed_range and is_applied(cfg.get_probability("speed"), rng):
            speed = float(rng.uniform(*cfg.speed_range))
        if self.is_mixing and is_applied(cfg.get_probability("mix"), rng):
            partner = int(rng.integers(num_clips))
        return ClipAugmentation(self, rng, speed, partner)

    def to_shares(self, label: Label) -> NDArray[np.float32]:
        """Return the share of each label, (L,): a class index has all of it."""
        if not isinstance(label, int):
            return label
        shares = np.zeros(self.num_labels, np.float32)
        shares[label] = 1
        return shares


def make_augmenter(
    cfg: AugmentConfig,
    sampling_rate: Hertz,
    num_labels: int,
    layout: FrameLayout | None = None,
    recordings: Recordings | None = None,
) -> Augmenter | None:
    """Return the augmenter of the training clips, or None when no augmentation is set.

    Args:
        cfg: Settings of the augmentation.
        sampling_rate: Of the waves, in Hz.
        num_labels: L, for the targets of mixed clips.
        layout: Of the model's spectrogram features, which are masked; None to mask the waves.
        recordings: The noise to add, at `sampling_rate`; None to generate it.
    """
    if cfg == AugmentConfig():
        return None
    is_masked = bool(cfg.time_masks or cfg.frequency_masks)
    masker = SpecAugment(cfg, layout, sampling_rate) if layout and is_masked else None
    transforms = make_transforms(cfg, sampling_rate, recordings, masks_waves=masker is None)
    return Augmenter(cfg, num_labels, transforms, masker)


def make_transforms(
    cfg: AugmentConfig, sampling_rate: Hertz, recordings: Recordings | None, *, masks_waves: bool
) -> list[Transform]:
    """Return the transforms in the order in which they are applied.

    Speed is not among them: it decides how much of a clip is read, see `TrainingDataset`.

    Args:
        cfg: Settings of the augmentation.
        sampling_rate: Of the waves, in Hz.
        recordings: The noise to add; None to generate it.
        masks_waves: Masks are applied to waves, not to spectrograms.
    """
    transforms: list[Transform] = []

    def add(effect: str, transform: Transform) -> None:
        transforms.append(RandomApply(transform, cfg.get_probability(effect)))

    if cfg.shift_seconds > 0:
        add("shift", TimeShift(seconds_to_samples(cfg.shift_seconds, sampling_rate)))
    transforms.append(PolarityInversion(cfg.polarity_probability))
    if cfg.gain_db > 0:
        add("gain", Gain(cfg.gain_db))
    if cfg.noise_snr_db is not None:
        made = ColoredNoise(cfg.noise_color, sampling_rate)
        noise = made if recordings is None else RecordedNoise(recordings)
        add("noise", AddNoise(cfg.noise_snr_db, noise))
    if masks_waves and cfg.frequency_masks:
        masks = FrequencyMask(cfg.frequency_masks, cfg.frequency_mask_share, sampling_rate)
        add("frequency-masks", masks)
    if masks_waves and cfg.time_masks:
        max_samples = seconds_to_samples(cfg.time_mask_seconds, sampling_rate)
        add("time-masks", TimeMask(cfg.time_masks, max_samples))
    for name in cfg.augment:
        add(name, UserTransform(name, sampling_rate))
    return transforms
