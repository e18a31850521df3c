"""Clips or windows of like length come together, so that little of a batch is padding.

In training the order stays random, and a function of the seed alone; in evaluation it is sorted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Buckets:
    """How clips of like length come together."""

    lengths: NDArray[np.int64]  # (N,) samples that are heard of each clip
    num_steps: int  # sorted at a time

    def sort(
        self, order: NDArray[np.int64], step_clips: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return the order with its steps made of clips of like length; a short step stays last."""
        sorted_ones = []
        for start in range(0, len(order), self.num_steps * step_clips):
            window = order[start : start + self.num_steps * step_clips]
            num_full = len(window) // step_clips
            tail = window[num_full * step_clips :]
            own = window[: num_full * step_clips]
            own = own[np.argsort(self.lengths[own], kind="stable")]
            sorted_ones += [rng.permutation(own.reshape(num_full, step_clips)).ravel(), tail]
        return np.concatenate(sorted_ones)


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


def split_by_length(lengths: Sequence[int]) -> list[list[int]]:
    """Put pieces of exactly one length together, longest first.

    Args:
        lengths: Samples, or frames, of each piece.

    Returns:
        Lists of piece numbers; each piece is in one.

    >>> split_by_length([5, 9, 5])
    [[1], [0, 2]]
    """
    return group_windows(lengths, max(1, len(lengths)), equal_lengths=True)
