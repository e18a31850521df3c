"""Which clips an epoch hears, and how many make a step: what `TrainingOrder` deals out. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_cls.data.loading.length_buckets import Buckets

# A hearing is the epoch, plus this for every time that the clip was drawn before in that epoch, so
# that it is cut and varied in another way each time.
HEARINGS = 1_000_000


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
class Dealing:
    """How often each clip comes up, what it weighs, and which clips share a batch."""

    draws: NDArray[np.float64] | None = None  # (N,), in proportion; None for each once
    weights: NDArray[np.float64] | None = None  # (N,), in the step's mean; None for 1
    buckets: Buckets | None = None  # how clips of like length come together
    equal_lengths: bool = False  # only pieces of exactly one length share a forward pass


def draw_in_proportion(
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


def count_before(order: NDArray[np.int64]) -> NDArray[np.int64]:
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
