"""K-fold cross-validation: K times train, validation and test, every clip tested once. Pure."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold

from audio_cls.config import DataConfig
from audio_cls.data.labels.labels import UNUSABLE
from audio_cls.data.splits.iterative_stratification import count_classes, stratify_multilabel
from audio_cls.data.splits.train_test_split import Groups, Rows
from audio_cls.errors import DatasetError

if TYPE_CHECKING:
    from audio_cls.data.splits.clip_index import ClipIndex


def with_folds(pool: ClipIndex, cfg: DataConfig) -> ClipIndex:
    """Return the pool with its clips in `--folds` folds: those of `--fold-column`, else dealt anew.

    Dealing goes over all clips of the given splits, stratified by class, and in whole groups where
    there is a group column. A fold of the column in which no clip has a usable label is no fold.

    Raises:
        DatasetError: The column has another number of folds, or there are too few clips or groups.
    """
    if pool.folds is None:
        if cfg.folds is None:
            return pool
        return dataclasses.replace(pool, folds=assign_folds(pool, cfg.folds, cfg.split_seed))
    known = set(pool.folds[pool.labels != UNUSABLE].tolist()) - {""}
    if cfg.folds is not None and len(known) != cfg.folds:
        raise DatasetError(
            f"Column '{cfg.fold_column}' deals the clips into {len(known)} folds, not {cfg.folds}."
            f" Ask for --folds {len(known)}, or leave --fold-column out to deal them anew."
        )
    is_known = np.isin(pool.folds, sorted(known))
    return dataclasses.replace(pool, folds=np.where(is_known, pool.folds, ""))


def assign_folds(pool: ClipIndex, num_folds: int, seed: int) -> NDArray[np.str_]:
    """Deal the clips into folds `1` to `num_folds` of like size and classes, or labels.

    Returns:
        Shape (N,); empty for a clip without a usable label.

    Raises:
        DatasetError: There are fewer groups, or fewer clips of every class, than folds.
    """
    rows = np.flatnonzero(pool.labels != UNUSABLE)
    labels = pool.stratify_targets[rows]
    groups = None if pool.groups is None else pool.groups[rows]
    most = int(count_classes(labels).max()) if len(rows) else 0
    available = most if groups is None else min(most, len(np.unique(groups)))
    if available < num_folds:
        what = "clips of the largest class" if groups is None else "groups"
        raise DatasetError(
            f"{num_folds} folds need as many {what}: there are {available}. Ask for fewer folds."
        )
    numbers = _deal_rows(rows, pool, groups, num_folds, seed)
    if groups is not None and len(np.unique(numbers)) < num_folds:  # a fold got no group
        for number, (_, places) in enumerate(GroupKFold(num_folds).split(rows, groups=groups)):
            numbers[places] = number
    folds = np.full(len(pool.labels), "", dtype=f"U{len(str(num_folds))}")
    folds[rows] = (numbers + 1).astype(np.str_)
    return folds


def _deal_rows(
    rows: Rows, pool: ClipIndex, groups: Groups | None, num_folds: int, seed: int
) -> NDArray[np.int64]:
    """Return the fold of each of these rows, from 0 on, stratified by class or label."""
    labels = pool.stratify_targets[rows]
    if pool.targets is not None:
        return stratify_multilabel(labels, [1 / num_folds] * num_folds, groups, seed)
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    dealer = kind(n_splits=num_folds, shuffle=True, random_state=seed)
    numbers = np.zeros(len(rows), dtype=np.int64)
    with warnings.catch_warnings():  # a class of fewer clips than folds is missing from some
        warnings.simplefilter("ignore", UserWarning)
        for number, (_, places) in enumerate(dealer.split(rows, labels, groups)):
            numbers[places] = number
    return numbers
