"""Rows -> rows that stay and rows cut off: stratified, by group, or by a plain shuffle. Pure."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from audio_cls.errors import DatasetError

Rows = NDArray[np.int64]
Groups = NDArray[np.str_]
MOST_FOLDS = 10  # groups are dealt into at most this many heaps


def cut_rows(
    rows: Rows,
    labels: NDArray[np.int64],
    groups: Groups | None,
    *,
    share: float,
    method: Literal["stratified", "shuffled"],
    seed: int,
) -> tuple[Rows, Rows]:
    """Cut `share` of the rows off.

    Args:
        rows: Which rows there are to cut from.
        labels: Class of each of these rows.
        groups: Group of each of these rows; with groups, no group is on both sides.
        share: Of the rows, between 0 and 1.
        method: Without groups: every class in its share, or a plain shuffle.
        seed: Equal seeds give equal cuts.

    Returns:
        The rows that stay and the rows cut off, each in ascending order; a plain shuffle keeps the
        shuffled order, which is that of `datasets.Dataset.train_test_split`.

    Raises:
        DatasetError: There are fewer than two groups.
    """
    if groups is not None:
        kept, cut = _cut_by_group(rows, labels, groups, share, seed)
    elif method == "shuffled":
        table = Dataset.from_dict({"row": rows}).train_test_split(
            test_size=share, seed=seed, shuffle=True
        )
        return np.array(table["train"]["row"]), np.array(table["test"]["row"])
    else:
        kept, cut = cut_stratified(rows, labels, share, seed)
    return np.sort(kept), np.sort(cut)


def cap_rows(rows: Rows, labels: NDArray[np.int64], limit: int | None, seed: int) -> Rows:
    """Keep at most `limit` rows, every class in its share where that is possible.

    Args:
        rows: Rows of the pool.
        labels: Class of every row of the pool.
        limit: Most rows to keep; None for all.
        seed: Chooses which.
    """
    if limit is None or len(rows) <= limit:
        return rows
    _, kept = cut_stratified(rows, labels[rows], limit, seed)
    return np.sort(kept)


def cut_stratified(
    rows: Rows, labels: NDArray[np.int64], size: float | int, seed: int
) -> tuple[Rows, Rows]:
    """Cut stratified by class; a class of one clip stays, too small a cut is plainly shuffled.

    Args:
        rows: Rows to cut from.
        labels: Class of each of them.
        size: A share (float) or a number (int) of rows to cut off.
        seed: Chooses which.
    """
    counts = np.bincount(labels)
    is_single = counts[labels] < 2
    singles, many = rows[is_single], rows[~is_single]
    try:
        kept, cut = train_test_split(
            many, test_size=size, random_state=seed, stratify=labels[~is_single]
        )
    except ValueError:  # fewer clips asked for than there are classes
        kept, cut = train_test_split(rows, test_size=size, random_state=seed)
        return kept, cut
    return np.concatenate([kept, singles]), cut


def _cut_by_group(
    rows: Rows, labels: NDArray[np.int64], groups: Groups, share: float, seed: int
) -> tuple[Rows, Rows]:
    """Cut whole groups off, as near to `share` and to equal class shares as the groups allow.

    The groups are dealt into heaps of like classes; some neighbouring heaps are cut off.
    """
    num_groups = len(np.unique(groups))
    if num_groups < 2:
        raise DatasetError(
            f"--group-column: {num_groups} group is left to cut from, at least 2 are needed."
            " Give --validation-split and --test-split, or another column."
        )
    num_heaps, num_cut = _choose_heaps(share, min(num_groups, MOST_FOLDS, _most_clips(labels)))
    dealer = StratifiedGroupKFold(n_splits=num_heaps, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a class of fewer clips than heaps is no mistake here
        warnings.simplefilter("ignore", UserWarning)
        heaps = [places for _, places in dealer.split(rows, labels, groups)]
    choices = [
        np.concatenate([heaps[(first + step) % num_heaps] for step in range(num_cut)])
        for first in range(num_heaps)
    ]
    cut = min(choices, key=lambda places: abs(len(places) / len(rows) - share))
    is_cut = np.zeros(len(rows), dtype=bool)
    is_cut[cut] = True
    return rows[~is_cut], rows[is_cut]


def _most_clips(labels: NDArray[np.int64]) -> int:
    """Count the clips of the largest class, at least two."""
    return max(2, int(np.bincount(labels).max()))


def _choose_heaps(share: float, most: int) -> tuple[int, int]:
    """Return how many heaps to deal and how many of them to cut off, to come nearest to `share`.

    >>> _choose_heaps(0.1, 10), _choose_heaps(0.4, 10), _choose_heaps(0.1, 3)
    ((10, 1), (5, 2), (3, 1))
    """
    choices = [(heaps, cut) for heaps in range(2, max(2, most) + 1) for cut in range(1, heaps)]
    return min(choices, key=lambda choice: (round(abs(choice[1] / choice[0] - share), 9), choice))
