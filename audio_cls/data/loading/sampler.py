"""Batch sampler for training: the same steps for any number of processes, resumable at any step.

N clips. A key names one draw of a clip; what a loader worker returns is a function of the key and
the seed alone, so that order and crops are the same for any number of workers and processes, and
after a resume.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from audio_cls.data.keyword_spotting.sampling import EpochSubset
from audio_cls.data.loading.batch import Batch
from audio_cls.data.loading.length_buckets import Buckets

# Number of the draw, clip number, weight of the clip in the step's loss. The draw is the epoch plus
# OCCURRENCE_STRIDE for each earlier draw of the clip in that epoch, so that each has another crop.
Key = tuple[int, int, float]
OCCURRENCE_STRIDE = 1_000_000


@dataclass(frozen=True)
class StepShape:
    """Number of clips of an optimizer step, and how they are split over processes and passes."""

    batch_size: int  # clips of one forward pass on one process
    accumulation: int  # forward passes per step and process
    num_processes: int

    @property
    def clips(self) -> int:
        """Return the clips of a full step, over all processes and passes."""
        return self.batch_size * self.accumulation * self.num_processes


@dataclass(frozen=True)
class SamplingSpec:
    """How often each clip is drawn, its weight in the loss, and which clips share a batch."""

    epoch_subset: EpochSubset | None = None  # how an epoch's clips are drawn; None: all clips
    sampling_weights: NDArray[np.float64] | None = None  # (N,), relative; None: each clip once
    clip_weights: NDArray[np.float64] | None = None  # (N,), in the step's mean; None: 1 each
    buckets: Buckets | None = None  # grouping of clips of similar length
    equal_lengths: bool = False  # only crops of exactly the same length share a forward pass


class DistributedBatchSampler(torch.utils.data.Sampler[list[Key]]):
    """Micro-batches of one process; a step's clips depend on seed and epoch alone.

    A step takes the next `shape.clips` clips of the epoch's permutation, for any number of
    processes and passes: 16 clips on one process are the same step as 8 on two. Each clip has the
    weight 1 / (clips of its step), so that a short last step is a plain mean, too. A process
    without a clip in a pass repeats one with weight 0: all processes run the same number of passes.

    With sampling weights, an epoch draws N clips in proportion to them. With clip weights, a clip
    weighs 1 / (sum of the weights of its step): times its class's weight in the loss, a weighted
    mean. With buckets, the clips of several steps are sorted by length, and these steps are taken
    in random order: the clips of a step are of similar length.

    >>> sampler = DistributedBatchSampler(5, StepShape(2, 1, 1), rank=0, seed=0)
    >>> [[clip for _, clip, _ in batch] for batch in sampler]
    [[2, 4], [3, 0], [1]]
    >>> sampler.load_state_dict({"epoch": 0, "step": 2})
    >>> list(sampler)
    [[(0, 1, 1.0)]]
    >>> sampler.set_epoch(1)
    >>> [[clip for _, clip, _ in batch] for batch in sampler]
    [[1, 4], [3, 0], [2]]
    """

    def __init__(
        self,
        num_clips: int,
        shape: StepShape,
        *,
        rank: int,
        seed: int,
        spec: SamplingSpec | None = None,
    ) -> None:
        """Start at epoch 0.

        Args:
            num_clips: Clips per epoch.
            shape: Clips of a step.
            rank: This process's number.
            seed: The run's seed.
            spec: Subset, weights and buckets.
        """
        super().__init__()
        self.num_clips = num_clips
        self.shape = shape
        self.rank = rank
        self.seed = seed
        self.spec = spec or SamplingSpec()
        self.epoch = 0
        self._step = 0  # of the epoch, the next that is yielded

    @property
    def steps_per_epoch(self) -> int:
        """Return the number of optimizer steps per epoch; the last may be short."""
        return -(-self.num_clips // self.shape.clips)

    def num_micro_batches(self, step: int) -> int:
        """Return the number of forward passes of one step of the epoch, per process."""
        clips = min(self.shape.clips, self.num_clips - step * self.shape.clips)
        return -(-clips // (self.shape.batch_size * self.shape.num_processes))

    def __len__(self) -> int:
        """Return the number of micro-batches per epoch and process."""
        last = self.steps_per_epoch - 1
        return last * self.shape.accumulation + self.num_micro_batches(last)

    def set_epoch(self, epoch: int) -> None:
        """Go to the first step of an epoch, counted from 0."""
        self.load_state_dict({"epoch": epoch, "step": 0})

    def state_dict(self) -> dict[str, int]:
        """Return the epoch and the number of its steps that `group_steps` has yielded."""
        return {"epoch": self.epoch, "step": self._step}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue with step `state["step"]` of epoch `state["epoch"]`, both counted from 0."""
        self.epoch, self._step = state["epoch"], state["step"]

    def __iter__(self) -> Iterator[list[Key]]:
        """Yield this process's micro-batches of the epoch, from the current step on."""
        order = self._draw_epoch()
        draws = self.epoch + OCCURRENCE_STRIDE * occurrence_index(order)
        per_pass = self.shape.batch_size * self.shape.num_processes
        for step in range(self._step, self.steps_per_epoch):
            places = np.arange(len(order))[step * self.shape.clips :][: self.shape.clips]
            weights = self.spec.clip_weights
            total = len(places) if weights is None else weights[order[places]].sum()
            for start in range(0, len(places), per_pass):
                shared = places[start : start + per_pass]
                batch = np.array_split(shared, self.shape.num_processes)[self.rank]
                weight = 1 / total if len(batch) else 0.0
                used = batch if len(batch) else shared[:1]
                yield [(int(draws[n]), int(order[n]), float(weight)) for n in used]

    def _draw_epoch(self) -> NDArray[np.int64]:
        """Return the clips of the epoch in their order, a function of seed and epoch."""
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(self.num_clips)
        subset, weights, buckets = (
            self.spec.epoch_subset,
            self.spec.sampling_weights,
            self.spec.buckets,
        )
        if subset is not None:
            order = subset.draw(self.seed, self.epoch)[order]
        if weights is not None:
            order = systematic_resample(order, weights, rng)
        return order if buckets is None else buckets.sort(order, self.shape.clips, rng)

    def group_steps(self, micro_batches: Iterable[Sequence[Batch]]) -> Iterator[list[Batch]]:
        """Group the output of a loader over this sampler by step.

        Args:
            micro_batches: For each forward pass its batches: one, or one per length of its crops.

        Yields:
            The batches of one step.
        """
        iterator = iter(micro_batches)
        for step in range(self._step, self.steps_per_epoch):
            taken = itertools.islice(iterator, self.num_micro_batches(step))
            batches = list(itertools.chain(*taken))
            self._step = step + 1
            yield batches


def systematic_resample(
    order: NDArray[np.int64], weights: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw N clips with replacement in proportion to their weights, in random order.

    Systematic sampling: N equally spaced points, with one random offset, on the line of cumulated
    weights. Each clip is drawn as often as its share of N, rounded up or down. Clips of equal
    weight, as those of one class, are next to each other on the line, so that classes of the same
    size are drawn equally often, to within one clip.

    Args:
        order: A permutation of the clips; decides which clips of a class are drawn where not all
            are.
        weights: Relative frequency of each clip, (N,).
        rng: Source of the offset and of the final shuffle.
    """
    line = order[np.argsort(weights[order], kind="stable")]
    ends = np.cumsum(weights[line])
    points = (np.arange(len(order)) + rng.random()) * (ends[-1] / len(order))
    return rng.permutation(line[np.searchsorted(ends[:-1], points, side="right")])


def occurrence_index(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each place the number of earlier places with the same clip.

    >>> occurrence_index(np.array([3, 1, 3, 3])).tolist()
    [0, 0, 1, 2]
    """
    by_clip = np.argsort(order, kind="stable")
    clips = order[by_clip]
    firsts = np.searchsorted(clips, clips, side="left")
    index = np.empty(len(order), dtype=np.int64)
    index[by_clip] = np.arange(len(order)) - firsts
    return index
