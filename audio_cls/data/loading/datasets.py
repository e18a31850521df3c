"""Map-style datasets: training crops with augmentation, and evaluation windows."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from audio_cls.audio.augmentation.augmenter import Augmenter
from audio_cls.audio.augmentation.waveform import perturb_speed
from audio_cls.audio.waveform import Wave
from audio_cls.audio.windows import choose_crop, choose_length, list_windows, seconds_to_samples
from audio_cls.config import AudioConfig, Hertz
from audio_cls.data.clips.clips import Clips, Label
from audio_cls.data.loading.batch import Example
from audio_cls.data.loading.sampler import Key
from audio_cls.errors import TransformError

# Second word of a random generator's seed, so that crops, partners and the order are independent.
CROP_STREAM = 1
PARTNER_STREAM = 2  # crops of the clips that are mixed in


class TrainingDataset(torch.utils.data.Dataset[Example]):
    """One augmented crop of a clip for each key (draw, clip number, weight)."""

    def __init__(
        self, clips: Clips, cfg: AudioConfig, seed: int, augmenter: Augmenter | None = None
    ) -> None:
        self.clips = clips
        self.cfg = cfg
        self.seed = seed
        self.augmenter = augmenter
        self.longest = seconds_to_samples(cfg.piece_seconds, clips.sampling_rate)
        self.shortest = seconds_to_samples(
            cfg.min_seconds or cfg.piece_seconds, clips.sampling_rate
        )

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.clips)

    def __getitem__(self, key: Key) -> Example:
        """Return the crop of a key, a function of key and seed."""
        draw, number, weight = key
        crop_rng = np.random.default_rng((self.seed, CROP_STREAM, draw, number))
        label = self.clips.read_label(number)
        if self.augmenter is None:
            return Example(self._read_crop(number, crop_rng, 1.0), label, number, weight, draw)
        augmentation = self.augmenter.sample(self.seed, draw, number, len(self.clips))
        wave = self._read_crop(number, crop_rng, augmentation.speed)
        if augmentation.partner is not None:
            partner_rng = np.random.default_rng((self.seed, PARTNER_STREAM, draw, number))
            partner = self.clips.find_partner(number, augmentation.partner)
            other = self._read_crop(partner, partner_rng, augmentation.speed)
            wave, label = augmentation.mix(wave, label, other, self.clips.read_label(partner))
        elif self.augmenter.is_mixing:
            label = self.augmenter.to_shares(label)
        try:
            wave = augmentation.apply(wave)
        except TransformError as error:
            raise TransformError(f"Clip '{self.clips.ids[number]}': {error}") from error
        return Example(wave, label, number, weight, draw)

    def _read_crop(self, number: int, rng: np.random.Generator, speed: float) -> Wave:
        """Return a crop of the chosen length after a change of speed, or the whole shorter clip."""
        crop_length = choose_length(self.shortest, self.longest, rng)
        length, span = int(self.clips.lengths[number]), round(crop_length * speed)
        start, stop = 0, min(length, span)
        if self.cfg.repeat_short:
            stop = span
        if length > span and self.cfg.crop == "random":
            start, stop = choose_crop(length, span, rng)
        wave = self.clips.read_wave(number, start, stop)
        return perturb_speed(wave, speed)[:crop_length]


class WindowSource(Protocol):
    """What `WindowDataset` needs of clips; see `Clips`."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Return the samples of each clip, (N,)."""

    @property
    def sampling_rate(self) -> Hertz:
        """Return the rate of all clips."""

    def read_label(self, number: int) -> Label:
        """Return the label of a clip."""

    def read_wave(self, number: int, start: int, stop: int) -> Wave:
        """Copy samples start to stop of a clip."""


class WindowDataset(torch.utils.data.Dataset[Example]):
    """Every window of every clip, or the middle one of each clip's windows.

    Of an even number of windows, the earlier one of the two in the middle is taken.
    """

    def __init__(
        self, clips: WindowSource, cfg: AudioConfig, *, is_only_middle: bool = False
    ) -> None:
        self.clips = clips
        self.windows: list[tuple[int, int, int]] = []  # clip, start, stop
        for number, length in enumerate(clips.lengths):
            windows = list_windows(int(length), cfg, clips.sampling_rate)
            if is_only_middle:
                windows = [windows[(len(windows) - 1) // 2]]
            self.windows += [(number, start, stop) for start, stop in windows]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.windows)

    def __getitem__(self, number: int) -> Example:
        """Return a window with its clip's label and weight 1."""
        clip, start, stop = self.windows[number]
        wave = self.clips.read_wave(clip, start, stop)
        return Example(wave, self.clips.read_label(clip), number, 1.0)
