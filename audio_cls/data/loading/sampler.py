"""Sampler and loaders: rows of decoded clips -> batches of waves, as the backbone wants them.

Letters used everywhere: B clips or windows in a batch, T samples, L labels. A training key names
hearing and clip: what a loader worker returns is a pure function of the key and the seed, so that
order and crops are the same for any number of workers and processes, and after a resume.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_cls.data.keyword_spotting.sampling import EpochSubset
from audio_cls.data.loading.batch import Batch
from audio_cls.data.loading.length_buckets import Buckets

Key = tuple[int, int, float]  # hearing (see draws.py), clip number, weight in the step's loss


class DistributedBatchSampler:
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
        clips: int | EpochSubset,
        shape: StepShape,
        *,
        rank: int,
        seed: int,
        dealing: SamplingSpec | None = None,
    ) -> None:
        """Take how many clips there are, or how each epoch's are drawn."""
        self.draw = None if isinstance(clips, int) else clips
        self.num_clips = clips if isinstance(clips, int) else len(clips)
        self.shape = shape
        self.rank = rank
        self.seed = seed
        self.dealing = dealing or SamplingSpec()
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
        hearings = self.epoch + OCCURRENCE_STRIDE * occurrence_index(order)
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
            order = systematic_resample(order, draws, rng)
        return order if buckets is None else buckets.sort(order, self.shape.clips, rng)

    def group_steps(self, passes: Iterable[Sequence[Batch]]) -> Iterator[list[Batch]]:
        """Put what a loader over this order yields together, one list of batches a step.

        Args:
            passes: For each pass its batches: one, or one for each length of its pieces.
        """
        iterator = iter(passes)
        for step in range(self.first_step, self.steps_per_epoch):
            yield list(itertools.chain(*itertools.islice(iterator, self.passes_of(step))))


# A hearing is the epoch, plus this for every time that the clip was drawn before in that epoch, so
# that it is cut and varied in another way each time.
OCCURRENCE_STRIDE = 1_000_000


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


@dataclass(frozen=True)
class SamplingSpec:
    """How often each clip comes up, what it weighs, and which clips share a batch."""

    draws: NDArray[np.float64] | None = None  # (N,), in proportion; None for each once
    weights: NDArray[np.float64] | None = None  # (N,), in the step's mean; None for 1
    buckets: Buckets | None = None  # how clips of like length come together
    equal_lengths: bool = False  # only pieces of exactly one length share a forward pass


def systematic_resample(
    order: NDArray[np.int64], draws: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw as many clips as there are, each in proportion to its number, in random order.

    Systematic sampling: a comb of equal steps over the numbers laid end to end, so that each clip
    is drawn as often as its share says, rounded up or down. Clips of equal numbers lie together, as
    the clips of one class do, so that classes of one size get their share to within a clip.

    Args:
        order: A permutation of the clips: which of a class come up when not all do.
        draws: How often each clip is to be drawn, in proportion, (N,).
        rng: Places the comb, and shuffles what it drew.
    """
    lined_up = order[np.argsort(draws[order], kind="stable")]
    ends = np.cumsum(draws[lined_up])
    teeth = (np.arange(len(order)) + rng.random()) * (ends[-1] / len(order))
    return rng.permutation(lined_up[np.searchsorted(ends[:-1], teeth, side="right")])


def occurrence_index(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count for each place how often its clip came up before.

    >>> count_before(np.array([3, 1, 3, 3])).tolist()
    [0, 0, 1, 2]
    """
    by_clip = np.argsort(order, kind="stable")
    held = order[by_clip]
    firsts = np.searchsorted(held, held, side="left")
    before = np.empty(len(order), dtype=np.int64)
    before[by_clip] = np.arange(len(order)) - firsts
    return before
