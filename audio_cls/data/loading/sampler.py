"""Sampler and loaders: rows of decoded clips -> batches of waves, as the backbone wants them.

Letters used everywhere: B clips or windows in a batch, T samples, L labels. A training key names
hearing and clip: what a loader worker returns is a pure function of the key and the seed, so that
order and crops are the same for any number of workers and processes, and after a resume.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from audio_cls.audio.augmentation.augmenter import Augmenter
from audio_cls.audio.augmentation.spec_augment import Encode, Inputs
from audio_cls.audio.augmentation.waveform import change_speed
from audio_cls.audio.waveform import Wave
from audio_cls.audio.windows import choose_crop, choose_length, list_windows, seconds_to_samples
from audio_cls.config import AudioConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.keyword_spotting.sampling import EpochDraw
from audio_cls.data.loading.batch import Batch, Piece, collate_parts, collate_pieces
from audio_cls.data.loading.length_buckets import group_windows
from audio_cls.data.loading.sampling import (
    HEARINGS,
    Dealing,
    StepShape,
    count_before,
    draw_in_proportion,
)

__all__ = [
    "Batch",
    "Clips",
    "Encode",
    "EvaluationWindows",
    "Inputs",
    "Piece",
    "StepShape",
    "TrainingOrder",
    "TrainingPieces",
    "collate_pieces",
    "group_windows",
    "make_evaluation_loader",
    "make_training_loader",
]

Key = tuple[int, int, float]  # hearing (see draws.py), clip number, weight in the step's loss

CROP_STREAM = 1  # keeps the crops' random numbers apart from the order's
PARTNER_STREAM = 2  # and those of the clip that is mixed in


class TrainingPieces(torch.utils.data.Dataset[Piece]):
    """One piece of a clip for each (epoch, number)."""

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
        """Count the clips."""
        return len(self.clips)

    def __getitem__(self, key: Key) -> Piece:
        """Return the piece (T,), its label, the clip's number, its weight and the epoch."""
        epoch, number, weight = key
        crop_rng = np.random.default_rng((self.seed, CROP_STREAM, epoch, number))
        label = self.clips.read_label(number)
        if self.augmenter is None:
            return Piece(self._read(number, crop_rng, 1.0), label, number, weight, epoch)
        plan = self.augmenter.plan(self.seed, epoch, number, len(self.clips))
        wave = self._read(number, crop_rng, plan.speed)
        if plan.num_labels:
            partner_rng = np.random.default_rng((self.seed, PARTNER_STREAM, epoch, number))
            partner = self.clips.find_partner(number, plan.partner)
            other = self._read(partner, partner_rng, plan.speed)
            wave, label = plan.mix(wave, label, other, self.clips.read_label(partner))
        return Piece(plan.vary(wave), label, number, weight, epoch)

    def _read(self, number: int, rng: np.random.Generator, speed: float) -> Wave:
        """Return the piece that, played at `speed`, lasts its length, or as long as the clip."""
        piece = choose_length(self.shortest, self.longest, rng)
        length, span = int(self.clips.lengths[number]), round(piece * speed)
        start, stop = 0, min(length, span)
        if self.cfg.repeat_short:
            stop = span
        if length > span and self.cfg.crop == "random":
            start, stop = choose_crop(length, span, rng)
        wave = self.clips.read_wave(number, start, stop)
        return change_speed(wave, speed)[:piece]


class TrainingOrder:
    """The clips of every step, as a function of (seed, epoch) alone, dealt out to the processes.

    A step takes the next `shape.clips` clips of the epoch's permutation, whatever the number of
    processes and passes that share the work: 16 on one process are the same step as 8 on two. Each
    clip weighs 1 / (clips of its step), so that a short last step is a plain mean as well. A
    process that would have nothing to do in a pass repeats a clip with weight 0.

    With draws, an epoch draws as many clips in proportion to their numbers there. With weights,
    a clip counts 1 / (weights of its step): with its class's weight in the loss, a weighted mean.
    With buckets, the epoch's clips are sorted by length, so many steps at a time, and these steps
    are taken in random order: the clips of a step, and of each pass in it, are of like length.

    `epoch` and `first_step` say where iteration starts; a resumed run sets both.
    """

    def __init__(
        self,
        clips: int | EpochDraw,
        shape: StepShape,
        *,
        rank: int,
        seed: int,
        dealing: Dealing | None = None,
    ) -> None:
        """Take how many clips there are, or how each epoch's are drawn."""
        self.draw = None if isinstance(clips, int) else clips
        self.num_clips = clips if isinstance(clips, int) else len(clips)
        self.shape = shape
        self.rank = rank
        self.seed = seed
        self.dealing = dealing or Dealing()
        self.epoch = 0
        self.first_step = 0

    @property
    def steps_per_epoch(self) -> int:
        """Count the optimizer steps of an epoch; the last may be short."""
        return -(-self.num_clips // self.shape.clips)

    def passes_of(self, step: int) -> int:
        """Count the forward passes of one step of the epoch."""
        clips = min(self.shape.clips, self.num_clips - step * self.shape.clips)
        return -(-clips // (self.shape.batch_size * self.shape.num_processes))

    def __iter__(self) -> Iterator[list[Key]]:
        """Yield this process's batches of `epoch`, from step `first_step` on."""
        order = self._draw_epoch()
        hearings = self.epoch + HEARINGS * count_before(order)
        per_pass = self.shape.batch_size * self.shape.num_processes
        for step in range(self.first_step, self.steps_per_epoch):
            places = np.arange(len(order))[step * self.shape.clips :][: self.shape.clips]
            weights = self.dealing.weights
            whole = len(places) if weights is None else weights[order[places]].sum()
            for start in range(0, len(places), per_pass):
                shared = places[start : start + per_pass]
                own = np.array_split(shared, self.shape.num_processes)[self.rank]
                weight = 1 / whole if len(own) else 0.0
                dealt = own if len(own) else shared[:1]
                yield [(int(hearings[n]), int(order[n]), float(weight)) for n in dealt]

    def _draw_epoch(self) -> NDArray[np.int64]:
        """Return the clips of the epoch in their order; pure in (seed, epoch)."""
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(self.num_clips)
        if self.draw is not None:
            order = self.draw.draw(self.seed, self.epoch)[order]
        draws, buckets = self.dealing.draws, self.dealing.buckets
        if draws is not None:
            order = draw_in_proportion(order, draws, rng)
        return order if buckets is None else buckets.sort(order, self.shape.clips, rng)

    def group_steps(self, passes: Iterable[Sequence[Batch]]) -> Iterator[list[Batch]]:
        """Put what a loader over this order yields together, one list of batches a step.

        Args:
            passes: For each pass its batches: one, or one for each length of its pieces.
        """
        iterator = iter(passes)
        for step in range(self.first_step, self.steps_per_epoch):
            yield list(itertools.chain(*itertools.islice(iterator, self.passes_of(step))))


def make_training_loader(
    clips: Clips,
    encode: Encode,
    cfg: AudioConfig,
    order: TrainingOrder,
    num_workers: int,
    augmenter: Augmenter | None = None,
) -> DataLoader[list[Batch]]:
    """Make the loader of training batches: a list of them for each pass of the order."""
    pieces = TrainingPieces(clips, cfg, order.seed, augmenter)
    masker = augmenter.masker if augmenter is not None else None
    collate = functools.partial(
        collate_parts,
        encode=encode,
        masker=masker,
        seed=order.seed,
        equal_lengths=order.dealing.equal_lengths,
    )
    return load_pieces(pieces, order, collate, num_workers)


def load_pieces(
    pieces: torch.utils.data.Dataset[Any],
    order: TrainingOrder,
    collate: Callable[..., list[Batch]],
    num_workers: int,
) -> DataLoader[list[Batch]]:
    """Load the pieces of every pass of an order, collated."""
    return DataLoader(
        pieces,
        batch_sampler=order,
        collate_fn=collate,
        num_workers=num_workers,
        pin_memory=torch.accelerator.is_available(),
        persistent_workers=num_workers > 0,
        generator=torch.Generator(),  # so that starting an epoch draws nothing from torch's own
    )


class EvaluationWindows(torch.utils.data.Dataset[Piece]):
    """Every window of every clip."""

    def __init__(self, clips: Clips, cfg: AudioConfig) -> None:
        self.clips = clips
        self.windows = [
            (number, start, stop)
            for number, length in enumerate(clips.lengths)
            for start, stop in list_windows(int(length), cfg, clips.sampling_rate)
        ]

    def __len__(self) -> int:
        """Count the windows."""
        return len(self.windows)

    def __getitem__(self, number: int) -> Piece:
        """Return the window (T,), the clip's label, the window's number and weight 1."""
        clip, start, stop = self.windows[number]
        wave = self.clips.read_wave(clip, start, stop)
        return Piece(wave, self.clips.read_label(clip), number, 1.0)


def make_evaluation_loader(
    windows: EvaluationWindows, encode: Encode, batches: list[list[int]], num_workers: int
) -> DataLoader[Batch]:
    """Make the loader of the given batches of windows."""
    return DataLoader(
        windows,  # type: ignore[arg-type]
        batch_sampler=batches,
        collate_fn=functools.partial(collate_pieces, encode=encode),
        num_workers=num_workers,
        pin_memory=torch.accelerator.is_available(),
        generator=torch.Generator(),
    )
