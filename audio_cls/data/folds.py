"""K-fold cross-validation: K times train, validation and test, every clip tested once. Pure."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from audio_cls.config import DataConfig
from audio_cls.data.labels import UNUSABLE
from audio_cls.data.splits import Pool
from audio_cls.data.strata import count_classes, deal_evenly
from audio_cls.errors import DatasetError


def fold_pool(pool: Pool, cfg: DataConfig) -> Pool:
    """Return the pool with its clips in `--folds` folds: those of `--fold-column`, else dealt anew.

    Dealing goes over all clips of the given splits, stratified by class, and in whole groups where
    there is a group column.

    Raises:
        DatasetError: The column has another number of folds, or there are too few clips or groups.
    """
    if cfg.folds is None:
        return pool
    if pool.folds is None:
        return dataclasses.replace(pool, folds=deal_folds(pool, cfg.folds, cfg.split_seed))
    known = set(pool.folds[pool.labels != UNUSABLE].tolist()) - {""}
    if len(known) != cfg.folds:
        raise DatasetError(
            f"Column '{cfg.fold_column}' deals the clips into {len(known)} folds, not {cfg.folds}."
            f" Ask for --folds {len(known)}, or leave --fold-column out to deal them anew."
        )
    return pool


def deal_folds(pool: Pool, num_folds: int, seed: int) -> NDArray[np.str_]:
    """Deal the clips into folds `1` to `num_folds` of like size and classes, or labels.

    Returns:
        Shape (N,); empty for a clip without a usable label.

    Raises:
        DatasetError: There are fewer groups, or fewer clips of every class, than folds.
    """
    rows = np.flatnonzero(pool.labels != UNUSABLE)
    labels = pool.marks[rows]
    groups = None if pool.groups is None else pool.groups[rows]
    most = int(count_classes(labels).max()) if len(rows) else 0
    available = most if groups is None else min(most, len(np.unique(groups)))
    if available < num_folds:
        what = "clips of the largest class" if groups is None else "groups"
        raise DatasetError(
            f"{num_folds} folds need as many {what}: there are {available}. Ask for fewer folds."
        )
    folds = np.full(len(pool.labels), "", dtype=f"U{len(str(num_folds))}")
    if pool.targets is not None:
        heaps = deal_evenly(labels, [1 / num_folds] * num_folds, groups, seed)
        folds[rows] = (heaps + 1).astype(np.str_)
        return folds
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    dealer = kind(n_splits=num_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a class of fewer clips than folds is missing from some
        warnings.simplefilter("ignore", UserWarning)
        for number, (_, places) in enumerate(dealer.split(rows, labels, groups), start=1):
            folds[rows[places]] = str(number)
    return folds
