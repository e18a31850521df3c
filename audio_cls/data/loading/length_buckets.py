"""Batches of clips or windows of similar length, so that little of a batch is padding.

In training the order stays random and depends on the seed alone; in evaluation it is sorted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Buckets:
    """Steps whose clips are of similar length."""

    lengths: NDArray[np.int64]  # (N,) samples of each clip's crop
    num_steps: int  # steps whose clips are sorted together

    def sort(
        self, order: NDArray[np.int64], step_clips: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Sort the clips of each `num_steps` full steps by length, then shuffle these steps.

        Args:
            order: Clip numbers of an epoch.
            step_clips: Clips per step.
            rng: Shuffles the steps.

        Returns:
            The same clips; those of a short last step stay at the end.
        """
        parts = []
        for start in range(0, len(order), self.num_steps * step_clips):
            block = order[start : start + self.num_steps * step_clips]
            num_full = len(block) // step_clips
            full, rest = block[: num_full * step_clips], block[num_full * step_clips :]
            by_length = full[np.argsort(self.lengths[full], kind="stable")]
            parts += [rng.permutation(by_length.reshape(num_full, step_clips)).ravel(), rest]
        return np.concatenate(parts)


def group_windows(
    lengths: Sequence[int],
    batch_size: int,
    *,
    equal_lengths: bool,
    max_samples: int | None = None,
) -> list[list[int]]:
    """Group windows of similar length; longest first, so that memory runs out at once or never.

    Args:
        lengths: Samples of each window.
        batch_size: Maximum number of windows per batch.
        equal_lengths: Only windows of exactly the same length share a batch: for models whose
            scores change with padding.
        max_samples: Maximum of a batch with its padding; a longer window is a batch of its own.

    Returns:
        Batches of window numbers; each window is in one batch.

    >>> group_windows([5, 9, 5, 5], 2, equal_lengths=True)
    [[1], [0, 2], [3]]
    >>> group_windows([5, 9, 5, 5], 4, equal_lengths=False, max_samples=20)
    [[1, 0], [2, 3]]
    """
    batches: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lambda n: (-lengths[n], n)):
        batch = batches[-1] if batches else []
        longest, size = (lengths[batch[0]] if batch else 0), len(batch) + 1
        is_full = not batch or size > batch_size
        is_full |= max_samples is not None and size * longest > max_samples
        if is_full or (equal_lengths and longest != lengths[number]):
            batches.append([])
        batches[-1].append(number)
    return batches


def split_by_length(lengths: Sequence[int]) -> list[list[int]]:
    """Group items of exactly the same length, longest first.

    Args:
        lengths: Samples, or frames, of each item.

    Returns:
        Lists of item numbers; each item is in one.

    >>> split_by_length([5, 9, 5])
    [[1], [0, 2]]
    """
    return group_windows(lengths, max(1, len(lengths)), equal_lengths=True)
