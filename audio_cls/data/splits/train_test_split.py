"""Train/test split of row numbers: stratified, grouped, or shuffled.

Labels are ids (N,), or targets (N, L) if multi-label, see iterative_stratification.py.
"""

from __future__ import annotations

import math
import warnings
from typing import Literal

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.model_selection import (
    StratifiedGroupKFold,
    StratifiedKFold,
    train_test_split,
)

from audio_cls.data.splits.iterative_stratification import (
    LabelArray,
    count_classes,
    stratify_multilabel,
)
from audio_cls.errors import DatasetError

Rows = NDArray[np.int64]
Groups = NDArray[np.str_]
MAX_FOLDS = 10  # of a grouped split: a share is a number of these folds


def split_rows(
    rows: Rows,
    labels: LabelArray,
    groups: Groups | None,
    *,
    share: float,
    method: Literal["stratified", "shuffled"],
    seed: int,
) -> tuple[Rows, Rows]:
    """Split rows into a larger part and a part with `share` of them.

    Args:
        rows: The rows to split.
        labels: Class of each of these rows, or its targets.
        groups: Group of each of these rows; with groups, no group is in both parts.
        share: Share of the second part, between 0 and 1.
        method: Without groups: stratified by class or label, or shuffled.
        seed: Equal seeds give equal splits.

    Returns:
        The rows of the first and the second part, in ascending order; "shuffled" keeps the order of
        `datasets.Dataset.train_test_split`.

    Raises:
        DatasetError: There are fewer than two groups.
    """
    if groups is not None:
        kept, cut = _split_by_group(rows, labels, groups, share, seed)
    elif method == "shuffled":
        table = Dataset.from_dict({"row": rows}).train_test_split(
            test_size=_leave_one(share, len(rows)), seed=seed, shuffle=True
        )
        return np.array(table["train"]["row"]), np.array(table["test"]["row"])
    else:
        places = stratified_split(np.arange(len(rows)), labels, share, seed)
        kept, cut = (rows[part] for part in _keep_classes(*places, labels, seed))
    return np.sort(kept), np.sort(cut)


def separate_ungrouped(groups: Groups) -> Groups:
    """Return groups in which each clip without one ('') is a group of its own.

    >>> separate_ungrouped(np.array(["a", "", "", "a"])).tolist() == ["a", "/1", "/2", "a"]
    True
    """
    own = np.char.add("/", np.arange(len(groups)).astype(np.str_))
    return np.where(groups == "", own, groups)


def limit_rows(rows: Rows, labels: LabelArray, limit: int | None, seed: int) -> Rows:
    """Keep at most `limit` rows, stratified where that is possible.

    Args:
        rows: Rows of the index.
        labels: Class of every row of the index, or its targets.
        limit: Maximal number of rows; None for all.
        seed: Chooses the rows.
    """
    if limit is None or len(rows) <= limit:
        return rows
    _, kept = stratified_split(rows, labels[rows], limit, seed)
    return np.sort(kept)


def stratified_split(
    rows: Rows, labels: LabelArray, size: float | int, seed: int
) -> tuple[Rows, Rows]:
    """Split stratified by class; classes of one clip are in the first part.

    Where the second part is smaller than the number of classes, the split is shuffled.

    Args:
        rows: The rows to split.
        labels: Class of each of them, or its targets.
        size: Share (float) or number (int) of rows of the second part.
        seed: Chooses the rows.

    Returns:
        The rows of the first and the second part.
    """
    if labels.ndim > 1:
        return _split_multilabel(rows, labels, size, seed)
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
    """Return the size of the second part, `count - 1` where it would be all rows."""
    is_whole = isinstance(size, float) and math.ceil(size * count) >= count
    return count - 1 if is_whole else size


def _keep_classes(kept: Rows, cut: Rows, labels: LabelArray, seed: int) -> tuple[Rows, Rows]:
    """Exchange clips so that each class has a clip in the first part.

    Args:
        kept: Positions of the rows of the first part.
        cut: Positions of the rows of the second part.
        labels: Class of every position; nothing changes if multi-label.
        seed: Chooses the clips to exchange, of classes that keep at least one clip. Where there are
            too few, the second part becomes smaller; nothing changes if it would become empty.
    """
    if labels.ndim > 1 or len(lost := np.setdiff1d(labels[cut], labels[kept])) == 0:
        return kept, cut
    classes, first = np.unique(labels[cut], return_index=True)
    back = cut[first[np.isin(classes, lost)]]
    order = np.random.default_rng(seed).permutation(kept)
    spare = np.delete(order, np.unique(labels[order], return_index=True)[1])[: len(lost)]
    others = np.setdiff1d(np.append(cut, spare), back)
    return (np.setdiff1d(np.append(kept, back), spare), others) if len(others) else (kept, cut)


def _split_multilabel(
    rows: Rows, targets: LabelArray, size: float | int, seed: int
) -> tuple[Rows, Rows]:
    """Split so that every label has its share in both parts."""
    wanted = math.ceil(len(rows) * size) if isinstance(size, float) else size
    share = min(max(wanted, 1), len(rows) - 1) / len(rows)
    part_of = stratify_multilabel(targets, [1 - share, share], None, seed)
    return rows[part_of == 0], rows[part_of == 1]


def stratified_folds(
    labels: LabelArray, groups: Groups | None, num_folds: int, seed: int
) -> NDArray[np.int64]:
    """Return the fold of each clip, from 0: of similar size and class or label shares.

    Args:
        labels: Class of each clip (N,), or its targets (N, L).
        groups: Group of each clip, (N,); a group is in one fold. A fold may be empty then.
        num_folds: Number of folds, at most the number of clips of the largest class.
        seed: Equal seeds give equal folds.
    """
    if labels.ndim > 1:
        return stratify_multilabel(labels, [1 / num_folds] * num_folds, groups, seed)
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(n_splits=num_folds, shuffle=True, random_state=seed)
    numbers = np.zeros(len(labels), dtype=np.int64)
    with warnings.catch_warnings():  # a class of fewer clips than folds is missing in some
        warnings.simplefilter("ignore", UserWarning)
        for number, (_, places) in enumerate(splitter.split(labels, labels, groups)):
            numbers[places] = number
    return numbers


def _split_by_group(
    rows: Rows, labels: LabelArray, groups: Groups, share: float, seed: int
) -> tuple[Rows, Rows]:
    """Split whole groups, as near to `share` and to equal class shares as the groups allow.

    The groups are split into stratified folds; some consecutive folds are the second part.
    """
    num_groups = len(np.unique(groups))
    if num_groups < 2:
        raise DatasetError(
            f"--group-column: {num_groups} group is left to split, and at least 2 are needed."
            " Give --validation-split and --test-split, or another column."
        )
    most = max(2, int(count_classes(labels).max(initial=0)))
    num_folds, num_cut = _choose_num_folds(share, min(num_groups, MAX_FOLDS, most))
    folds = _list_folds(labels, groups, num_folds, seed)
    choices = [
        np.concatenate([folds[(first + step) % num_folds] for step in range(num_cut)])
        for first in range(num_folds)
    ]
    possible = [places for places in choices if 0 < len(places) < len(rows)]
    possible = possible or [_draw_groups(groups, share, seed)]
    cut = min(possible, key=lambda places: _measure_error(labels, places, share))
    is_cut = np.zeros(len(rows), dtype=bool)
    is_cut[cut] = True
    return rows[~is_cut], rows[is_cut]


def _measure_error(labels: LabelArray, places: Rows, share: float) -> float:
    """Return the deviation of a part from its share of the rows, in clips.

    If multi-label, the deviations of all labels from their shares are added.
    """
    error = abs(len(places) - share * len(labels))
    if labels.ndim > 1:
        error += float(np.abs(labels[places].sum(axis=0) - share * labels.sum(axis=0)).sum())
    return error


def _list_folds(labels: LabelArray, groups: Groups, num_folds: int, seed: int) -> list[Rows]:
    """Return the positions of the rows of each fold; none where no class has enough clips."""
    if labels.ndim == 1 and count_classes(labels).max(initial=0) < num_folds:
        return [np.zeros(0, np.int64)] * num_folds
    fold_of = stratified_folds(labels, groups, num_folds, seed)
    return [np.flatnonzero(fold_of == fold) for fold in range(num_folds)]


def _draw_groups(groups: Groups, share: float, seed: int) -> Rows:
    """Return the positions of a random share of the groups; at least one group, and not all."""
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    count = min(max(1, round(share * len(names))), len(names) - 1)
    return np.flatnonzero(np.isin(groups, names[:count]))


def _choose_num_folds(share: float, most: int) -> tuple[int, int]:
    """Return a number of folds, and how many of them come nearest to `share`.

    >>> _choose_num_folds(0.1, 10), _choose_num_folds(0.4, 10), _choose_num_folds(0.1, 3)
    ((10, 1), (5, 2), (3, 1))
    """
    choices = [(folds, cut) for folds in range(2, max(2, most) + 1) for cut in range(1, folds)]
    return min(choices, key=lambda choice: (round(abs(choice[1] / choice[0] - share), 9), choice))
