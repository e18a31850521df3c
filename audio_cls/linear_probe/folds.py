"""Clips that the layer and its regularisation are chosen on: validation, or cross-validation."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_cls.data.splits.iterative_stratification import LabelArray
from audio_cls.data.splits.train_test_split import limit_rows, stratified_folds
from audio_cls.errors import count_of
from audio_cls.run_warnings import warn

MIN_CLIPS = 10  # validation clips per class, below which training clips are cross-validated
MIN_GROUPED = 0.5  # of the clips are of a class with several groups; else folds are not by group
MIN_FOLDS, MAX_FOLDS = 2, 5
MAX_TRAIN_CLIPS = 5000  # that candidates are fitted on; the chosen one is fitted on all clips

Numbers = NDArray[np.int64]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChoiceFolds:
    """Pairs of clips to fit on and to score; no clip is scored twice.

    There are none where every class has one training clip: no choice is possible then.
    """

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
        The validation clips; or where the median class of training has fewer than `MIN_CLIPS` of
        them, folds of the training clips. These share no group, unless most clips are of a class
        with one group. Of more than `MAX_TRAIN_CLIPS` training clips, a stratified sample is used.
    """
    numbers = np.sort(limit_rows(np.arange(len(train)), train, MAX_TRAIN_CLIPS, seed))
    available, is_trained = len(train), _count_clips(train, num_labels) > 0
    train = train[numbers]
    used = count_of(len(train), "training clip")
    if len(train) < available:
        used = f"{len(train):,} of {count_of(available, 'training clip')}"
    per_class = _count_clips(validation, num_labels)[is_trained]
    if np.median(per_class) >= MIN_CLIPS:
        scored = np.arange(len(validation)) + available
        text = count_of(len(validation), "validation clip")
        if len(train) < available:
            text = f"{text}, fitted on {used}"
        return ChoiceFolds(((numbers, scored),), text)
    clips = np.char.add("clip ", numbers.astype(str))
    keys = clips if groups is None else np.where(groups[numbers] == "", clips, groups[numbers])
    is_grouped = groups is not None and can_be_grouped(train, groups[numbers], keys)
    if not is_grouped:
        keys = clips
    if train.ndim > 1:
        folds = _split_targets(train, keys, seed, is_grouped=is_grouped)
    else:
        folds = _split_classes(train.astype(np.int64), keys, seed, is_grouped=is_grouped)
    pairs = tuple((numbers[fit], numbers[scored]) for fit, scored in folds if len(scored))
    by = " by group" if is_grouped else ""
    return ChoiceFolds(pairs, f"{len(pairs)}-fold cross-validation{by} of {used}")


def _count_clips(labels: LabelArray, num_labels: int) -> Numbers:
    """Return the number of clips of each class or label, (L,)."""
    if labels.ndim > 1:
        return np.asarray(labels.sum(axis=0), np.int64)
    return np.bincount(labels.astype(np.int64), minlength=num_labels)


def can_be_grouped(train: LabelArray, groups: NDArray[np.str_], keys: NDArray[np.str_]) -> bool:
    """Return whether folds by group can score most clips.

    Args:
        train: Labels of the N clips.
        groups: Their groups, (N,), "" for none.
        keys: Their groups, (N,), a name of its own for none.
    """
    if len(np.unique(groups[groups != ""])) < MIN_FOLDS:
        return False
    if train.ndim > 1:
        return True
    labels = train.astype(np.int64)
    return bool((_count_keys(labels, keys)[labels] >= MIN_FOLDS).mean() >= MIN_GROUPED)


def _count_keys(labels: Numbers, keys: NDArray[np.str_]) -> Numbers:
    """Return the number of different keys of the clips of each class id."""
    pairs = set(zip(labels.tolist(), keys.tolist(), strict=True))
    return np.bincount([label for label, _ in pairs])


def _split_targets(
    targets: LabelArray, keys: NDArray[np.str_], seed: int, *, is_grouped: bool
) -> list[tuple[Numbers, Numbers]]:
    """Return stratified folds of clips with several labels, (N, L); see `_split_classes`."""
    num_folds = min(MAX_FOLDS, len(np.unique(keys)))
    if num_folds < MIN_FOLDS:
        return []
    fold_of = stratified_folds(targets, keys if is_grouped else None, num_folds, seed)
    folds = (fold_of == number for number in range(num_folds))
    return [(np.flatnonzero(~is_scored), np.flatnonzero(is_scored)) for is_scored in folds]


def _split_classes(
    labels: Numbers, keys: NDArray[np.str_], seed: int, *, is_grouped: bool
) -> list[tuple[Numbers, Numbers]]:
    """Return stratified folds, as many as the smallest class has keys, but 2 to 5.

    A class that is scored is fitted on, too: otherwise the smallest C would have the smallest loss.
    Classes with one key are therefore not scored, and there are no folds if all are such.

    Args:
        labels: Class id of each clip, (N,).
        keys: Its group, or a name of its own, (N,); clips of one key are in one fold.
        seed: Shuffles the clips.
        is_grouped: Whether a key may have several clips.

    Returns:
        Places of the clips to fit on and to score, for each fold.
    """
    counts = _count_keys(labels, keys)
    rows = np.flatnonzero(counts[labels] >= MIN_FOLDS)
    if not len(rows):
        return []
    single = int((counts == 1).sum())
    if single:
        what = "group" if is_grouped else "clip"
        text = count_of(
            single,
            f"class has one training {what} and is",
            f"classes have one training {what} and are",
        )
        warn(logger, f"{text} not scored where cross-validation compares the layers of the probe.")
    num_folds = min(MAX_FOLDS, int(counts[counts >= MIN_FOLDS].min()))
    fold_of = stratified_folds(labels[rows], keys[rows] if is_grouped else None, num_folds, seed)
    folds = []
    for number in range(num_folds):
        scored = rows[fold_of == number]
        fit = np.flatnonzero(~np.isin(keys, keys[scored]))
        folds.append((fit, scored[np.isin(labels[scored], labels[fit])]))
    return folds
