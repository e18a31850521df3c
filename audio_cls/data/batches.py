"""Sampler and collate: rows of decoded clips -> batches of waves, as the backbone wants them.

Letters used everywhere: B clips or windows in a batch, T samples, L labels. A training key names
epoch and clip: what a loader worker returns is a pure function of the key and the seed, so that
order and crops are the same for any number of workers and processes, and after a resume.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from audio_cls.config import AudioConfig, Hertz
from audio_cls.data.audio import Wave
from audio_cls.data.windows import choose_crop, list_windows, seconds_to_samples

Inputs = dict[str, torch.Tensor]
Encode = Callable[[Sequence[Wave]], Inputs]  # waves (T_i,) -> padded model inputs
Key = tuple[int, int, float]  # epoch, clip number, weight in the step's loss
Piece = tuple[Wave, int, int, float]  # wave (T,), label, clip or window number, weight

CROP_STREAM = 1  # keeps the crops' random numbers apart from the order's


@dataclass(frozen=True)
class Batch:
    """What one forward pass needs and what goes with it."""

    inputs: Inputs  # the model's arguments, first dimension B
    labels: torch.Tensor  # (B,) int64
    numbers: torch.Tensor  # (B,) int64, the clips' or windows' numbers
    weights: torch.Tensor  # (B,) float32, share of each clip in the step's loss

    def to(self, device: torch.device) -> Batch:
        """Copy to a device; a pinned batch without waiting."""
        return Batch(
            {name: value.to(device, non_blocking=True) for name, value in self.inputs.items()},
            self.labels.to(device, non_blocking=True),
            self.numbers,
            self.weights.to(device, non_blocking=True),
        )

    def pin_memory(self) -> Batch:
        """Pin the tensors, called by the loader beside an accelerator."""
        return Batch(
            {name: value.pin_memory() for name, value in self.inputs.items()},
            self.labels.pin_memory(),
            self.numbers,
            self.weights.pin_memory(),
        )


@dataclass(frozen=True)
class Clips:
    """The usable clips of one split."""

    table: Dataset  # decoded: wave, num_samples
    rows: NDArray[np.int64]  # (N,) rows of the table
    labels: NDArray[np.int64]  # (N,)
    ids: NDArray[np.str_]  # (N,)
    lengths: NDArray[np.int64]  # (N,) samples
    sampling_rate: Hertz

    def __len__(self) -> int:
        """Count the clips."""
        return len(self.rows)

    @property
    def seconds(self) -> float:
        """Return the total duration."""
        return float(self.lengths.sum()) / self.sampling_rate

    def read_wave(self, number: int, start: int, stop: int) -> Wave:
        """Read samples start to stop of a clip; only that part of the cache file is touched."""
        row = self.table.with_format("arrow")[int(self.rows[number])]
        samples = row.column("wave").chunk(0).flatten().slice(start, stop - start)
        return np.array(samples.to_numpy(zero_copy_only=True))


class TrainingPieces(torch.utils.data.Dataset[Piece]):
    """One piece of a clip for each (epoch, number)."""

    def __init__(self, clips: Clips, cfg: AudioConfig, seed: int) -> None:
        self.clips = clips
        self.seed = seed
        self.is_random = cfg.crop == "random"
        self.longest = seconds_to_samples(cfg.max_seconds, clips.sampling_rate)

    def __len__(self) -> int:
        """Count the clips."""
        return len(self.clips)

    def __getitem__(self, key: Key) -> Piece:
        """Return the piece (T,), its label, the clip's number and its weight."""
        epoch, number, weight = key
        length = int(self.clips.lengths[number])
        start, stop = 0, min(length, self.longest)
        if self.is_random:
            rng = np.random.default_rng((self.seed, CROP_STREAM, epoch, number))
            start, stop = choose_crop(length, self.longest, rng)
        wave = self.clips.read_wave(number, start, stop)
        return wave, int(self.clips.labels[number]), number, weight


@dataclass(frozen=True)
class StepShape:
    """How many clips make an optimizer step, and how they are dealt out."""

    batch_size: int  # clips of one forward pass on one process
    accumulation: int  # forward passes of one step
    num_processes: int

    @property
    def clips(self) -> int:
        """Return the clips of a full step, over all processes and passes."""
        return self.batch_size * self.accumulation * self.num_processes


class TrainingOrder:
    """The clips of every step, as a function of (seed, epoch) alone, dealt out to the processes.

    A step takes the next `shape.clips` clips of the epoch's permutation, whatever the number of
    processes and passes that share the work: 16 on one process are the same step as 8 on two. Each
    clip weighs 1 / (clips of its step), so that a short last step is a plain mean as well. A
    process that would have nothing to do in a pass repeats a clip with weight 0.

    `epoch` and `first_step` say where iteration starts; a resumed run sets both.
    """

    def __init__(self, num_clips: int, shape: StepShape, *, rank: int, seed: int) -> None:
        self.num_clips = num_clips
        self.shape = shape
        self.rank = rank
        self.seed = seed
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
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.num_clips)
        per_pass = self.shape.batch_size * self.shape.num_processes
        for step in range(self.first_step, self.steps_per_epoch):
            clips = order[step * self.shape.clips : (step + 1) * self.shape.clips]
            for start in range(0, len(clips), per_pass):
                shared = clips[start : start + per_pass]
                own = np.array_split(shared, self.shape.num_processes)[self.rank]
                weight = 1 / len(clips) if len(own) else 0.0
                yield [(self.epoch, int(n), weight) for n in (own if len(own) else shared[:1])]

    def group_steps(self, batches: Iterable[Batch]) -> Iterator[list[Batch]]:
        """Put the batches of a loader over this order together, one list a step."""
        iterator = iter(batches)
        for step in range(self.first_step, self.steps_per_epoch):
            yield list(itertools.islice(iterator, self.passes_of(step)))


def make_training_loader(
    clips: Clips, encode: Encode, cfg: AudioConfig, order: TrainingOrder, num_workers: int
) -> DataLoader[Batch]:
    """Make the loader of training batches: model inputs and what `Batch` adds to them."""
    return DataLoader(
        TrainingPieces(clips, cfg, order.seed),  # type: ignore[arg-type] # collate makes Batches
        batch_sampler=order,
        collate_fn=functools.partial(collate_pieces, encode=encode),
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
        return wave, int(self.clips.labels[clip]), number, 1.0


def group_windows(
    lengths: Sequence[int], batch_size: int, *, equal_lengths: bool
) -> list[list[int]]:
    """Put windows of like length together; longest first, so that memory runs out at once or never.

    Args:
        lengths: Samples of each window.
        batch_size: Most windows in a batch.
        equal_lengths: Only windows of exactly one length share a batch: for models whose scores
            padding would change.

    Returns:
        Batches of window numbers; each window is in one batch.

    >>> group_windows([5, 9, 5, 5], 2, equal_lengths=True)
    [[1], [0, 2], [3]]
    """
    batches: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lambda n: (-lengths[n], n)):
        full = not batches or len(batches[-1]) == batch_size
        if full or (equal_lengths and lengths[batches[-1][0]] != lengths[number]):
            batches.append([])
        batches[-1].append(number)
    return batches


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


def collate_pieces(pieces: Sequence[Piece], encode: Encode) -> Batch:
    """Encode the waves of a batch and stack what goes with them."""
    waves, labels, numbers, weights = zip(*pieces, strict=True)
    return Batch(
        inputs=encode(waves),
        labels=torch.tensor(labels),
        numbers=torch.tensor(numbers),
        weights=torch.tensor(weights),
    )
