"""Grouped estimate: how much a validation that shares groups with training flatters.

A plain classifier is cross-validated inside the training clips, once with folds that share groups
and once with folds of whole groups; the difference is what shared groups add to a score. It takes
seconds. Letters: N clips, D features, L labels.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import RunConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.keyword_spotting.relabel import SILENCE_LABELS
from audio_cls.data.prepare import PreparedClips
from audio_cls.data.splits.split_check import SHARED_GROUPS
from audio_cls.data.splits.train_test_split import Groups, limit_rows, stratified_folds
from audio_cls.distributed import Accelerator
from audio_cls.errors import count_of
from audio_cls.evaluation.baseline.features import read_statistics
from audio_cls.evaluation.baseline.fit import DEFAULT_C
from audio_cls.evaluation.metrics.base import Floats, Ids
from audio_cls.evaluation.metrics.probabilistic import mean_average_precision
from audio_cls.inference.aggregation import DECIMALS
from audio_cls.linear_probe.regression import ProbeRegression
from audio_cls.run_warnings import warn

MAX_CLIPS = 5000  # of more training clips, a stratified sample
NUM_FOLDS = 5

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GroupedEstimate:
    """Scores of cross-validation inside training: accuracy; multi-label: mean average precision."""

    shared: float  # folds share groups
    grouped: float  # a group is in one fold
    num_groups: int
    num_folds: int

    @property
    def gain(self) -> float:
        """Return what shared groups add to the score."""
        return self.shared - self.grouped


def grouped_estimate(
    features: NDArray[Any],
    targets: Ids,
    groups: Groups,
    num_labels: int,
    *,
    c: float = DEFAULT_C,
    seed: int = 0,
) -> GroupedEstimate | None:
    """Estimate the score of logistic regression on clips of the same and of new groups.

    Args:
        features: Of the training clips, (N, D): log-mel statistics, or outputs of a frozen layer;
            they are standardised.
        targets: Class ids (N,), or 0/1 per label (N, L).
        groups: Of these clips, (N,); those without one ('') are left out.
        num_labels: L.
        c: Inverse strength of the regularisation, as in scikit-learn.
        seed: Of the folds; the same one gives the same estimate.

    Returns:
        The estimate; None where there are fewer than two groups, or no class has two clips.
    """
    known = np.flatnonzero(groups != "")
    features, targets, groups = features[known], targets[known], groups[known]
    names = np.unique(groups)
    is_multilabel = targets.ndim > 1
    most = len(known) if is_multilabel else int(np.bincount(targets).max(initial=0))
    num_folds = min(NUM_FOLDS, len(names), most)
    if num_folds < 2:
        return None
    shared, grouped = (
        _cross_validate(
            features, targets, stratified_folds(targets, by, num_folds, seed), num_labels, c
        )
        for by in (None, groups)
    )
    return GroupedEstimate(shared, grouped, num_groups=len(names), num_folds=num_folds)


def _cross_validate(
    features: NDArray[Any],
    targets: Ids,
    fold_of: Ids,
    num_labels: int,
    c: float,
) -> float:
    """Return the score of the predictions for all clips, each made without its fold."""
    predicted: Floats = np.zeros((len(targets), num_labels))
    for number in np.unique(fold_of):
        fitted, scored = np.flatnonzero(fold_of != number), np.flatnonzero(fold_of == number)
        if len(fitted):
            weights = np.ones(len(fitted))
            layer = ProbeRegression(features[fitted], targets[fitted], num_labels, weights).fit(c)
            predicted[scored] = layer(features[scored])
    if targets.ndim > 1:
        return float(mean_average_precision(targets, predicted))
    return float((predicted.argmax(axis=1) == targets).mean())


def measure_shared_groups(
    cfg: RunConfig, accelerator: Accelerator, clips: PreparedClips, names: Sequence[str]
) -> dict[str, float | int]:
    """Warn where validation scores are too high for new groups, and by how much.

    That is where validation shares groups with training and test does not, or may do so, as some
    training clips have no group. Measured on log-mel statistics, which are cached. Call on every
    process; the main process measures.

    Args:
        cfg: The settings.
        accelerator: This run's processes.
        clips: The clips of all splits.
        names: The labels.

    Returns:
        `shared`, `grouped`, `num_groups`, `num_folds`: see `GroupedEstimate`; empty where
        validation is by group or groups are not known, in a dry run, and on other processes.
    """
    train, reason = clips.train, _find_reason(clips, names)
    if reason is None or cfg.train.dry_run or not isinstance(train, Clips):
        return {}
    found: dict[str, float | int] = {}
    if accelerator.is_main_process:
        assert train.groups is not None
        used = limit_rows(np.arange(len(train)), train.labels, MAX_CLIPS, cfg.data.split_seed)
        labels = train.labels[used].astype(np.int64)
        estimate = grouped_estimate(
            read_statistics(train, used), labels, train.groups[used], len(names)
        )
        if estimate is None:
            text = "By how much cannot be measured: training has fewer than two groups."
        else:
            text = _describe(estimate, is_multilabel=labels.ndim > 1)
            found = {name: round(value, DECIMALS) for name, value in vars(estimate).items()}
        warn(logger, f"{reason} {text}")
    accelerator.wait_for_everyone()
    return found


def _find_reason(clips: PreparedClips, names: Sequence[str]) -> str | None:
    """Return why validation may flatter, as a sentence; None where it does not.

    Silence, which the program cuts or synthesises, has no group.
    """
    if not isinstance(clips.train, Clips) or len(clips.validation) == 0:
        return None
    if SHARED_GROUPS in clips.check["verdict"]:
        count = count_of(clips.check["shared"]["train+validation"]["groups"], "group")
        return (
            f"Validation shares {count} with training, and test shares none: validation scores are"
            " too high for the groups of test."
        )
    groups, labels = clips.train.groups, clips.train.labels
    if groups is None or not (groups != "").any():
        return None
    is_silence = np.zeros(len(groups), dtype=bool)
    if labels.ndim == 1:
        is_silence = np.isin(np.array(names)[labels], SILENCE_LABELS)
    missing = int(((groups == "") & ~is_silence).sum())
    if not missing:
        return None
    return (
        f"{count_of(missing, 'training clip has', 'training clips have')} no group: validation may"
        " have clips of the same ones, and its scores may be too high for new groups."
    )


def _describe(estimate: GroupedEstimate, *, is_multilabel: bool) -> str:
    """Return the sentence with both scores."""
    metric = "mean average precision" if is_multilabel else "accuracy"
    return (
        "In cross-validation inside training, logistic regression on log-mel statistics has"
        f" {metric} {estimate.shared:.3f} with shared groups, {estimate.grouped:.3f} on new groups"
        f" ({count_of(estimate.num_groups, 'group')})."
    )
