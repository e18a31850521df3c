"""Clips that the layer and its regularisation are chosen on: validation, or cross-validation."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
)

from audio_cls.data.splits.iterative_stratification import LabelArray
from audio_cls.data.splits.train_test_split import limit_rows
from audio_cls.errors import count_of

MIN_CLIPS = 10  # validation clips per class, below which training clips are cross-validated
NUM_FOLDS = 5
MAX_TRAIN_CLIPS = 5000  # that candidates are fitted on; the chosen one is fitted on all clips

Numbers = NDArray[np.int64]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChoiceFolds:
    """Pairs of clips to fit on and to score; no clip is scored twice."""

    pairs: tuple[tuple[Numbers, Numbers], ...]  # clip numbers
    description: str  # "180 validation clips"

    @property
    def scored(self) -> Numbers:
        """Return the numbers of the scored clips, in the order of the folds."""
        return np.concatenate([scored for _, scored in self.pairs])


def choose_folds(
    train: LabelArray,
    validation: LabelArray,
    num_labels: int,
    groups: NDArray[np.str_] | None,
    seed: int,
) -> ChoiceFolds:
    """Choose the clips that candidates are compared on.

    Args:
        train: Labels of the N training clips: ids (N,), or targets (N, L) if multi-label.
        validation: Of the M validation clips, which have the numbers N to N + M - 1.
        num_labels: L.
        groups: Of the training clips, (N,), "" for none; None: there are no groups.
        seed: Shuffles the clips of the folds.

    Returns:
        The validation clips; or where they are fewer than `MIN_CLIPS` per class, folds of the
        training clips, which share no group. Of more than `MAX_TRAIN_CLIPS` training clips, a
        stratified sample is used.
    """
    numbers = np.sort(limit_rows(np.arange(len(train)), train, MAX_TRAIN_CLIPS, seed))
    available, train = len(train), train[numbers]
    groups = None if groups is None else groups[numbers]
    used = count_of(len(train), "training clip")
    if len(train) < available:
        used = f"{len(train):,} of {count_of(available, 'training clip')}"
    count = len(validation) if validation.ndim == 1 else float(validation.sum())
    if count >= MIN_CLIPS * num_labels:
        scored = np.arange(len(validation)) + available
        text = count_of(len(validation), "validation clip")
        if len(train) < available:
            text = f"{text}, fitted on {used}"
        return ChoiceFolds(((numbers, scored),), text)
    is_grouped = groups is not None and len(np.unique(groups[groups != ""])) > 1
    keys = numbers.astype(str) if groups is None else groups
    keys = np.where(keys == "", np.char.add("clip ", numbers.astype(str)), keys)
    num_folds = min(NUM_FOLDS, len(np.unique(keys)))
    shuffled: dict[str, Any] = {"n_splits": num_folds, "shuffle": True, "random_state": seed}
    if train.ndim > 1:
        splitter = GroupKFold(**shuffled) if is_grouped else KFold(**shuffled)
    elif is_grouped:
        splitter = StratifiedGroupKFold(**shuffled)
    else:
        is_possible = int(np.bincount(train.astype(np.int64)).max()) >= num_folds
        splitter = StratifiedKFold(**shuffled) if is_possible else KFold(**shuffled)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a class with fewer clips than folds
        folds = list(splitter.split(numbers, train, keys))
    pairs = tuple((numbers[fit], numbers[scored]) for fit, scored in folds)
    by = " by group" if is_grouped else ""
    return ChoiceFolds(pairs, f"{num_folds}-fold cross-validation{by} of {used}")
