"""K-fold cross-validation: K times train, validation and test, every clip tested once. Pure."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from audio_cls.config import DataConfig
from audio_cls.data.labels import UNUSABLE
from audio_cls.data.splits import Pool, Splits, make_splits, sort_folds
from audio_cls.errors import DatasetError


def list_folds(pool: Pool, cfg: DataConfig, num_folds: int) -> list[Splits]:
    """Make the splits of each fold: it is the test of one run; `fold_validation` says the rest.

    Folds are those of `--fold-column`, else all clips of the given splits are dealt anew,
    stratified by class, and in whole groups where there is a group column.

    Args:
        pool: All clips.
        cfg: Settings; `fold` is not looked at, `split_seed` deals.
        num_folds: How many runs there are to be, 2 or more.

    Raises:
        DatasetError: The column has another number of folds, or there are too few clips or groups.
    """
    if pool.folds is None:
        pool = dataclasses.replace(pool, folds=deal_folds(pool, num_folds, cfg.split_seed))
        how = f"{num_folds} folds dealt by seed {cfg.split_seed}"
    else:
        how = str(cfg.fold_column)
    assert pool.folds is not None
    known = sort_folds(set(pool.folds[pool.labels != UNUSABLE].tolist()) - {""})
    if len(known) != num_folds:
        raise DatasetError(
            f"Column '{cfg.fold_column}' deals the clips into {len(known)} folds, not {num_folds}."
            f" Ask for {len(known)}, or leave --fold-column out to deal them anew."
        )
    return [
        make_splits(pool, dataclasses.replace(cfg, fold_column=how, fold=fold)) for fold in known
    ]


def deal_folds(pool: Pool, num_folds: int, seed: int) -> NDArray[np.str_]:
    """Deal the clips into folds `1` to `num_folds` of like size and classes.

    Returns:
        Shape (N,); empty for a clip without a usable label.

    Raises:
        DatasetError: There are fewer groups, or fewer clips of every class, than folds.
    """
    rows = np.flatnonzero(pool.labels != UNUSABLE)
    labels = pool.labels[rows]
    groups = None if pool.groups is None else pool.groups[rows]
    most = int(np.bincount(labels).max()) if len(rows) else 0
    available = most if groups is None else min(most, len(np.unique(groups)))
    if available < num_folds:
        what = "clips of the largest class" if groups is None else "groups"
        raise DatasetError(
            f"{num_folds} folds need as many {what}: there are {available}. Ask for fewer folds."
        )
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    dealer = kind(n_splits=num_folds, shuffle=True, random_state=seed)
    folds = np.full(len(pool.labels), "", dtype=f"U{len(str(num_folds))}")
    with warnings.catch_warnings():  # a class of fewer clips than folds is missing from some
        warnings.simplefilter("ignore", UserWarning)
        for number, (_, places) in enumerate(dealer.split(rows, labels, groups), start=1):
            folds[rows[places]] = str(number)
    return folds
