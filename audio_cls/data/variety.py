"""What happens to which training clip: drawn by (seed, epoch, clip number) and nothing else.

So the result does not depend on workers, processes or a resume. The effects themselves are the pure
functions of augment.py. Letters: T samples, L labels.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audio_cls.config import AugmentConfig, Hertz
from audio_cls.data.audio import Wave, decode_wave
from audio_cls.data.augment import (
    add_noise,
    apply_gain,
    blank_spans,
    make_noise,
    mix_waves,
    paste_span,
    shift_sound,
    stop_bands,
)
from audio_cls.data.clips import Label
from audio_cls.data.found import AUDIO_SUFFIXES
from audio_cls.data.masking import Encode, FeatureMasker, find_layout
from audio_cls.data.windows import repeat_wave, seconds_to_samples
from audio_cls.errors import SettingError

AUGMENT_STREAM = 3  # keeps these random numbers apart from the crops'
NOISES_KEPT = 64  # decoded recordings that a process keeps


@dataclass(frozen=True)
class Plan:
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
            wave, share = paste_span(wave, other, share, rng)
        else:
            wave = mix_waves(wave, other, share)
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
            wave = shift_sound(wave, int(rng.integers(-most, most + 1)))
        if rng.random() < cfg.polarity_probability:
            wave = np.negative(wave)
        if cfg.gain_db > 0:
            wave = apply_gain(wave, rng.uniform(-cfg.gain_db, cfg.gain_db))
        if cfg.noise_snr_db is not None:
            noise = self.augmenter.draw_noise(len(wave), rng)
            wave = add_noise(wave, noise, rng.uniform(*cfg.noise_snr_db))
        if self.augmenter.masker is None and cfg.frequency_masks:
            wave = stop_bands(wave, cfg.frequency_masks, cfg.frequency_mask_share, rate, rng)
        if self.augmenter.masker is None and cfg.time_masks:
            longest = seconds_to_samples(cfg.time_mask_seconds, rate)
            wave = blank_spans(wave, cfg.time_masks, longest, rng)
        return wave


@dataclass(frozen=True)
class Augmenter:
    """Draws what happens to each clip in each epoch."""

    cfg: AugmentConfig
    sampling_rate: Hertz
    num_labels: int
    noises: tuple[str, ...] = ()  # files of --noise-dir
    masker: FeatureMasker | None = None  # where the encoder makes spectrograms to be masked

    @property
    def is_mixing(self) -> bool:
        """Tell whether clips are mixed, so that a target is the share of each label."""
        return self.cfg.mixup_alpha > 0 or self.cfg.cutmix_alpha > 0

    def plan(self, seed: int, epoch: int, number: int, num_clips: int) -> Plan:
        """Draw for one clip; pure in the given numbers."""
        rng = np.random.default_rng((seed, AUGMENT_STREAM, epoch, number))
        speed = float(rng.uniform(*self.cfg.speed_range)) if self.cfg.speed_range else 1.0
        partner = int(rng.integers(num_clips)) if self.is_mixing else number
        return Plan(self, rng, speed, partner, self.num_labels if self.is_mixing else 0)

    def draw_noise(self, num_samples: int, rng: np.random.Generator) -> Wave:
        """Make noise, or cut it from a recording of --noise-dir; a shorter one is repeated."""
        if not self.noises:
            return make_noise(num_samples, self.cfg.noise_color, self.sampling_rate, rng)
        noise = _read_noise(self.noises[int(rng.integers(len(self.noises)))], self.sampling_rate)
        start = int(rng.integers(max(1, len(noise) - num_samples + 1)))
        return repeat_wave(noise[start : start + num_samples], num_samples)


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
        layout = find_layout(encode, sampling_rate)
    masker = FeatureMasker(cfg, layout, sampling_rate) if layout else None
    return Augmenter(cfg, sampling_rate, num_labels, list_noises(cfg.noise_dir), masker)


def list_noises(folder: str | None) -> tuple[str, ...]:
    """List the recordings below a folder whose header can be read.

    Raises:
        SettingError: There is none.
    """
    if folder is None:
        return ()
    paths = sorted(Path(folder).expanduser().rglob("*"))
    readable = []
    for path in paths:
        if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file():
            try:
                has_sound = soundfile.info(str(path)).frames > 0
            except soundfile.SoundFileError:
                continue
            readable += [str(path)] if has_sound else []
    if not readable:
        raise SettingError(
            f"--noise-dir {folder} holds no recording that can be read. Give a folder with"
            f" {', '.join(AUDIO_SUFFIXES[:4])} ... files."
        )
    return tuple(readable)


@functools.lru_cache(maxsize=NOISES_KEPT)
def _read_noise(path: str, sampling_rate: Hertz) -> Wave:
    """Decode a recording, and keep it for the next clip."""
    return decode_wave(None, path, sampling_rate)
