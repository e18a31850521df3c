"""Rows -> rows that stay and rows cut off: stratified, by group, or by a plain shuffle. Pure.

Labels are ids (N,), or marks (N, L) where a clip may have several; those are dealt by strata.py.
"""

from __future__ import annotations

import math
import warnings
from typing import Literal

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from audio_cls.data.splits.iterative_stratification import Marks, count_classes, stratify_multilabel
from audio_cls.errors import DatasetError

Rows = NDArray[np.int64]
Groups = NDArray[np.str_]
MAX_FOLDS = 10  # groups are dealt into at most this many heaps


def split_rows(
    rows: Rows,
    labels: Marks,
    groups: Groups | None,
    *,
    share: float,
    method: Literal["stratified", "shuffled"],
    seed: int,
) -> tuple[Rows, Rows]:
    """Cut `share` of the rows off.

    Args:
        rows: Which rows there are to cut from.
        labels: Class of each of these rows, or its marks.
        groups: Group of each of these rows; with groups, no group is on both sides.
        share: Of the rows, between 0 and 1.
        method: Without groups: every class, or label, in its share, or a plain shuffle.
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
            test_size=_leave_one(share, len(rows)), seed=seed, shuffle=True
        )
        return np.array(table["train"]["row"]), np.array(table["test"]["row"])
    else:
        places = stratified_split(np.arange(len(rows)), labels, share, seed)
        kept, cut = (rows[own] for own in _keep_classes(*places, labels, seed))
    return np.sort(kept), np.sort(cut)


def limit_rows(rows: Rows, labels: Marks, limit: int | None, seed: int) -> Rows:
    """Keep at most `limit` rows, every class in its share where that is possible.

    Args:
        rows: Rows of the pool.
        labels: Class of every row of the pool, or its marks.
        limit: Most rows to keep; None for all.
        seed: Chooses which.
    """
    if limit is None or len(rows) <= limit:
        return rows
    _, kept = stratified_split(rows, labels[rows], limit, seed)
    return np.sort(kept)


def stratified_split(rows: Rows, labels: Marks, size: float | int, seed: int) -> tuple[Rows, Rows]:
    """Cut stratified by class; a class of one clip stays, too small a cut is plainly shuffled.

    Args:
        rows: Rows to cut from.
        labels: Class of each of them, or its marks.
        size: A share (float) or a number (int) of rows to cut off.
        seed: Chooses which.
    """
    if labels.ndim > 1:
        return _cut_marked(rows, labels, size, seed)
    counts = count_classes(labels)
    is_single = counts[labels] < 2
    singles, many = rows[is_single], rows[~is_single]
    try:
        kept, cut = train_test_split(
            many, test_size=size, random_state=seed, stratify=labels[~is_single]
        )
    except ValueError:  # fewer clips asked for than there are classes
        size = _leave_one(size, len(rows))
        kept, cut = train_test_split(rows, test_size=size, random_state=seed)
        return kept, cut
    return np.concatenate([kept, singles]), cut


def _leave_one(size: float | int, count: int) -> float | int:
    """Return the size of a cut, one less than `count` where it would leave nothing."""
    is_whole = isinstance(size, float) and math.ceil(size * count) >= count
    return count - 1 if is_whole else size


def _keep_classes(kept: Rows, cut: Rows, labels: Marks, seed: int) -> tuple[Rows, Rows]:
    """Give each class of which no clip stays one of its clips back, and cut others instead.

    Args:
        kept: Places of the rows that stay.
        cut: Places of the rows cut off.
        labels: Class of every place; of clips with several labels nothing is changed.
        seed: Chooses the others, of classes that keep at least one clip. Where there are too few,
            the cut is smaller; one that would be empty stays as it is.
    """
    if labels.ndim > 1 or len(lost := np.setdiff1d(labels[cut], labels[kept])) == 0:
        return kept, cut
    own, first = np.unique(labels[cut], return_index=True)
    back = cut[first[np.isin(own, lost)]]
    order = np.random.default_rng(seed).permutation(kept)
    spare = np.delete(order, np.unique(labels[order], return_index=True)[1])[: len(lost)]
    others = np.setdiff1d(np.append(cut, spare), back)
    return (np.setdiff1d(np.append(kept, back), spare), others) if len(others) else (kept, cut)


def _cut_marked(rows: Rows, marks: Marks, size: float | int, seed: int) -> tuple[Rows, Rows]:
    """Cut so that every label has its share on both sides."""
    wanted = math.ceil(len(rows) * size) if isinstance(size, float) else size
    share = min(max(wanted, 1), len(rows) - 1) / len(rows)
    heaps = stratify_multilabel(marks, [1 - share, share], None, seed)
    return rows[heaps == 0], rows[heaps == 1]


def _cut_by_group(
    rows: Rows, labels: Marks, groups: Groups, share: float, seed: int
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
    most = max(2, int(count_classes(labels).max(initial=0)))
    num_heaps, num_cut = _choose_heaps(share, min(num_groups, MAX_FOLDS, most))
    heaps = _deal_groups(rows, labels, groups, num_heaps, seed)
    choices = [
        np.concatenate([heaps[(first + step) % num_heaps] for step in range(num_cut)])
        for first in range(num_heaps)
    ]
    possible = [places for places in choices if 0 < len(places) < len(rows)]
    possible = possible or [_draw_groups(groups, share, seed)]
    cut = min(possible, key=lambda places: _measure_miss(labels, places, share))
    is_cut = np.zeros(len(rows), dtype=bool)
    is_cut[cut] = True
    return rows[~is_cut], rows[is_cut]


def _measure_miss(labels: Marks, places: Rows, share: float) -> float:
    """Return how far a cut is from the share of the rows, and of each label where there are many.

    In clips; a label's clips count as the rows do.
    """
    miss = abs(len(places) - share * len(labels))
    if labels.ndim > 1:
        miss += float(np.abs(labels[places].sum(axis=0) - share * labels.sum(axis=0)).sum())
    return miss


def _deal_groups(
    rows: Rows, labels: Marks, groups: Groups, num_heaps: int, seed: int
) -> list[Rows]:
    """Return the places of the rows in each of `num_heaps` heaps, whole groups in one heap."""
    if labels.ndim > 1:
        heap_of = stratify_multilabel(labels, [1 / num_heaps] * num_heaps, groups, seed)
        return [np.flatnonzero(heap_of == heap) for heap in range(num_heaps)]
    if count_classes(labels).max(initial=0) < num_heaps:
        return [np.zeros(0, np.int64)] * num_heaps  # no class has a clip for every heap
    dealer = StratifiedGroupKFold(n_splits=num_heaps, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a class of fewer clips than heaps is no mistake here
        warnings.simplefilter("ignore", UserWarning)
        return [places for _, places in dealer.split(rows, labels, groups)]


def _draw_groups(groups: Groups, share: float, seed: int) -> Rows:
    """Return the places of a random share of the groups; at least one group, and not all."""
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    count = min(max(1, round(share * len(names))), len(names) - 1)
    return np.flatnonzero(np.isin(groups, names[:count]))


def _choose_heaps(share: float, most: int) -> tuple[int, int]:
    """Return how many heaps to deal and how many of them to cut off, to come nearest to `share`.

    >>> _choose_heaps(0.1, 10), _choose_heaps(0.4, 10), _choose_heaps(0.1, 3)
    ((10, 1), (5, 2), (3, 1))
    """
    choices = [(heaps, cut) for heaps in range(2, max(2, most) + 1) for cut in range(1, heaps)]
    return min(choices, key=lambda choice: (round(abs(choice[1] / choice[0] - share), 9), choice))
