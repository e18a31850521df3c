"""K-fold cross-validation: the fold of each clip, stratified, by group where clips have one."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from audio_cls.config import DataConfig
from audio_cls.data.labels.labels import UNUSABLE
from audio_cls.data.splits.iterative_stratification import count_classes
from audio_cls.data.splits.train_test_split import separate_ungrouped, stratified_folds
from audio_cls.errors import DatasetError, count_of

if TYPE_CHECKING:
    from audio_cls.data.splits.clip_index import ClipIndex


def with_folds(index: ClipIndex, cfg: DataConfig) -> ClipIndex:
    """Return the index with folds: those of `--fold-column`, else `--folds` stratified ones.

    The clips of all splits of the data set are assigned; a group is in one fold. A fold of the
    column in which no clip has a usable label is ignored.

    Raises:
        DatasetError: The column has another number of folds, or there are too few clips or groups.
    """
    if index.folds is None:
        if cfg.folds is None:
            return index
        return dataclasses.replace(index, folds=assign_folds(index, cfg.folds, cfg.split_seed))
    known = set(index.folds[index.labels != UNUSABLE].tolist()) - {""}
    if cfg.folds is not None and len(known) != cfg.folds:
        raise DatasetError(
            f"Column '{cfg.fold_column}' has {count_of(len(known), 'fold')}, not {cfg.folds}. Use"
            f" --folds {len(known)}, or remove --fold-column to make new folds."
        )
    is_known = np.isin(index.folds, sorted(known))
    return dataclasses.replace(index, folds=np.where(is_known, index.folds, ""))


def assign_folds(index: ClipIndex, num_folds: int, seed: int) -> NDArray[np.str_]:
    """Assign the clips to folds `1` to `num_folds` of similar size and class shares.

    Returns:
        Shape (N,); empty for a clip without a usable label.

    Raises:
        DatasetError: There are fewer groups, or fewer clips of every class, than folds.
    """
    rows = np.flatnonzero(index.labels != UNUSABLE)
    labels = index.stratify_targets[rows]
    groups = None if index.groups is None else separate_ungrouped(index.groups[rows])
    most = int(count_classes(labels).max()) if len(rows) else 0
    available = most if groups is None else min(most, len(np.unique(groups)))
    if available < num_folds:
        what = "clips of the largest class" if groups is None else "groups"
        raise DatasetError(
            f"{num_folds} folds need at least {num_folds} {what}, and there are {available}."
            " Use a smaller --folds."
        )
    numbers = stratified_folds(labels, groups, num_folds, seed)
    if groups is not None and len(np.unique(numbers)) < num_folds:  # a fold has no group
        for number, (_, places) in enumerate(GroupKFold(num_folds).split(rows, groups=groups)):
            numbers[places] = number
    folds = np.full(len(index.labels), "", dtype=f"U{len(str(num_folds))}")
    folds[rows] = (numbers + 1).astype(np.str_)
    return folds
