"""What happens to which training clip: drawn by (seed, epoch, clip number) and nothing else.

So the result does not depend on workers, processes or a resume. The effects themselves are the pure
functions of augment.py. Letters: T samples, L labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_cls.audio.augmentation.masking import mask_frequency, mask_time
from audio_cls.audio.augmentation.mixup import cutmix, mixup
from audio_cls.audio.augmentation.spec_augment import Encode, SpecAugment, probe_feature_layout
from audio_cls.audio.augmentation.waveform import add_noise, apply_gain, make_noise, time_shift
from audio_cls.audio.waveform import Wave
from audio_cls.audio.windows import seconds_to_samples
from audio_cls.config import AugmentConfig, Hertz
from audio_cls.data.clips.clips import Clips, Label
from audio_cls.data.loading.noise_files import read_noise_files

AUGMENT_STREAM = 3  # keeps these random numbers apart from the crops'


@dataclass(frozen=True)
class ClipAugmentation:
    """What happens to one clip in one epoch."""

    augmenter: Augmenter
    rng: np.random.Generator
    speed: float
    partner: int  # number of the clip to mix in
    num_labels: int  # L where clips are mixed, else 0

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
        own, others = (self._to_shares(one) for one in (label, other_label))
        return wave, np.asarray(share * own + (1 - share) * others, dtype=np.float32)

    def _to_shares(self, label: Label) -> NDArray[np.float32]:
        """Return the share of each label, (L,): an id has all of it."""
        if not isinstance(label, int):
            return label
        shares = np.zeros(self.num_labels, np.float32)
        shares[label] = 1
        return shares

    def vary(self, wave: Wave) -> Wave:
        """Shift, turn, scale, add noise, and blank spans and bands of waves: (T,) -> (T,)."""
        cfg, rng, rate = self.augmenter.cfg, self.rng, self.augmenter.sampling_rate
        if cfg.shift_seconds > 0:
            most = seconds_to_samples(cfg.shift_seconds, rate)
            wave = time_shift(wave, int(rng.integers(-most, most + 1)))
        if rng.random() < cfg.polarity_probability:
            wave = np.negative(wave)
        if cfg.gain_db > 0:
            wave = apply_gain(wave, rng.uniform(-cfg.gain_db, cfg.gain_db))
        if cfg.noise_snr_db is not None:
            noise = self.augmenter.draw_noise(len(wave), rng)
            wave = add_noise(wave, noise, rng.uniform(*cfg.noise_snr_db))
        if self.augmenter.masker is None and cfg.frequency_masks:
            wave = mask_frequency(wave, cfg.frequency_masks, cfg.frequency_mask_share, rate, rng)
        if self.augmenter.masker is None and cfg.time_masks:
            longest = seconds_to_samples(cfg.time_mask_seconds, rate)
            wave = mask_time(wave, cfg.time_masks, longest, rng)
        return wave


@dataclass(frozen=True)
class Augmenter:
    """Draws what happens to each clip in each epoch."""

    cfg: AugmentConfig
    sampling_rate: Hertz
    num_labels: int
    noises: Clips | None = None  # recordings of --noise-dir
    masker: SpecAugment | None = None  # where the encoder makes spectrograms to be masked

    @property
    def is_mixing(self) -> bool:
        """Tell whether clips are mixed, so that a target is the share of each label."""
        return self.cfg.mixup_alpha > 0 or self.cfg.cutmix_alpha > 0

    def plan(self, seed: int, epoch: int, number: int, num_clips: int) -> ClipAugmentation:
        """Draw for one clip; pure in the given numbers."""
        rng = np.random.default_rng((seed, AUGMENT_STREAM, epoch, number))
        speed = float(rng.uniform(*self.cfg.speed_range)) if self.cfg.speed_range else 1.0
        partner = int(rng.integers(num_clips)) if self.is_mixing else number
        return ClipAugmentation(self, rng, speed, partner, self.num_labels if self.is_mixing else 0)

    def draw_noise(self, num_samples: int, rng: np.random.Generator) -> Wave:
        """Make noise, or cut it from a recording of --noise-dir; a shorter one is repeated."""
        if self.noises is None:
            return make_noise(num_samples, self.cfg.noise_color, self.sampling_rate, rng)
        number = int(rng.integers(len(self.noises)))
        start = int(rng.integers(max(1, int(self.noises.lengths[number]) - num_samples + 1)))
        return self.noises.read_wave(number, start, start + num_samples)


def make_augmenter(
    cfg: AugmentConfig, sampling_rate: Hertz, num_labels: int, encode: Encode
) -> Augmenter | None:
    """Return what varies the training clips, or None when nothing is asked for.

    Args:
        cfg: What is asked for.
        sampling_rate: Of the waves, in Hz.
        num_labels: L, for the targets of mixed clips.
        encode: What makes model inputs of waves; tried on noise to see where masks belong.

    Raises:
        SettingError: `--noise-dir` holds no recording that can be read.
    """
    if cfg == AugmentConfig():
        return None
    layout = None
    if cfg.time_masks or cfg.frequency_masks:
        layout = probe_feature_layout(encode, sampling_rate)
    masker = SpecAugment(cfg, layout, sampling_rate) if layout else None
    noises = read_noise_files(cfg.noise_dir, sampling_rate) if cfg.noise_dir else None
    return Augmenter(cfg, sampling_rate, num_labels, noises, masker)
