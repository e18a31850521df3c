"""Probabilistic metrics: log loss, ROC AUC, average precision, calibration error, top-k accuracy.

Plain functions of true labels and scores. True labels are ids (N,), or targets (N, L) if
multi-label: 1 where a clip has a label. Scores are probabilities (N, L) as in predictions.csv,
rounded to six decimals. A class without clips, or with all clips, has no ROC curve: it is not part
of the means. scikit-learn has the same values (the tests compare them), but is too slow for a
bootstrap (see single_label.py), and breaks ties in top-k accuracy differently than `argmax`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata  # type: ignore[import-untyped]

from audio_cls.evaluation.metrics.base import Floats, Ids
from audio_cls.inference.aggregation import MIN_PROBABILITY

CALIBRATION_BINS = 15  # as in Guo et al. 2017, arXiv:1706.04599, section 2


def log_loss(true: Ids, scores: Floats) -> float:
    """Return the mean of -log p(true label); if multi-label, binary cross-entropy.

    The latter is the mean over clips and labels.
    """
    if true.ndim > 1:
        given = np.where(true > 0, scores, 1 - scores)
    else:
        given = scores[np.arange(len(true)), true]
    return float(-np.log(np.maximum(given, MIN_PROBABILITY)).mean()) + 0.0  # no -0.0


def top_k_accuracy(true: Ids, scores: Floats, k: int) -> float:
    """Return the share of clips whose label is among the `k` best; ties: smaller id first."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float((best == true[:, None]).any(axis=1).mean())


def mean_roc_auc(true: Ids, scores: Floats) -> float:
    """Return the mean area under the one-against-rest ROC curves, by ranks (Mann-Whitney)."""
    targets = one_hot_targets(true, scores.shape[1])
    positives = targets.sum(axis=0)
    negatives = len(true) - positives
    has_both = (positives > 0) & (negatives > 0)
    if not has_both.any():
        return float("nan")
    sums = (rankdata(scores, axis=0) * targets).sum(axis=0)
    above = sums - positives * (positives + 1) / 2
    return float((above[has_both] / (positives * negatives)[has_both]).mean())


def mean_average_precision(true: Ids, scores: Floats) -> float:
    """Return the mean average precision over the classes that have clips; NaN without one."""
    found = average_precisions(one_hot_targets(true, scores.shape[1]), scores)
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")


def one_hot_targets(true: Ids, num_labels: int) -> NDArray[np.bool_]:
    """Return which clips have which label, (N, L), from ids or targets."""
    return true > 0 if true.ndim > 1 else true[:, None] == np.arange(num_labels)


def average_precisions(targets: NDArray[np.bool_], scores: Floats) -> Floats:
    """Return the average precision of each label, (L,); NaN for a label without clips.

    The sum of precision times gain in recall over the distinct thresholds, highest first.

    Args:
        targets: Which clips have which label, (N, L).
        scores: Shape (N, L).
    """
    order = np.argsort(-scores, axis=0, kind="stable")
    sorted_scores = np.take_along_axis(scores, order, axis=0)
    num_correct = np.cumsum(np.take_along_axis(targets, order, axis=0), axis=0)
    is_last = np.ones(scores.shape, dtype=np.bool_)  # of each tie
    is_last[:-1] = sorted_scores[1:] != sorted_scores[:-1]
    reached = np.maximum.accumulate(np.where(is_last, num_correct, 0), axis=0)
    gains = np.diff(reached, axis=0, prepend=0)
    precision = num_correct / np.arange(1, len(scores) + 1)[:, None]
    positives = targets.sum(axis=0)
    sums = (gains * precision).sum(axis=0)
    return np.where(positives > 0, sums / np.maximum(positives, 1), np.nan)


def equal_error_rate(true: Ids, scores: Floats) -> float:
    """Return the rate at which misses and false alarms are equally frequent, for two classes.

    Class 1 is the positive one, by its own score; the result is the same with the classes
    exchanged. Between two thresholds the rates are interpolated linearly.
    """
    positives, negatives = int((true == 1).sum()), int((true == 0).sum())
    if positives == 0 or negatives == 0:
        return float("nan")
    order = np.argsort(-scores[:, 1], kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order, 1])), len(true) - 1)  # of each tie
    false_alarms = np.append(0, np.cumsum(true[order] == 0)[last]) / negatives
    misses = 1 - np.append(0, np.cumsum(true[order] == 1)[last]) / positives
    gap = misses - false_alarms  # from 1 to -1
    after = int(np.flatnonzero(gap <= 0)[0])
    share = gap[after - 1] / (gap[after - 1] - gap[after])
    before, step = false_alarms[after - 1], false_alarms[after] - false_alarms[after - 1]
    return float(before + share * step)


def expected_calibration_error(true: Ids, scores: Floats) -> float:
    """Return the mean difference of confidence and accuracy over 15 bins of equal width.

    Guo et al. 2017 (arXiv:1706.04599), equation 3.
    """
    counts, confidence, accuracy = bin_confidence(true, scores)
    return float((counts * np.abs(accuracy - confidence)).sum() / counts.sum())


def bin_confidence(true: Ids, scores: Floats) -> tuple[Ids, Floats, Floats]:
    """Return clips, mean confidence and accuracy of 15 bins of equal width, (15,) each.

    If multi-label, each clip-label pair counts: its confidence is the probability of the label, and
    it is correct when the clip has the label. All values of an empty bin are 0.
    """
    if true.ndim > 1:
        confidence, is_correct = scores.ravel(), true.ravel() > 0
    else:
        confidence, is_correct = scores.max(axis=1), scores.argmax(axis=1) == true
    bins = np.clip(
        np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1, 0, CALIBRATION_BINS - 1
    )
    counts = np.bincount(bins, minlength=CALIBRATION_BINS)
    mean_confidence, accuracy = (
        np.bincount(bins, weights=values, minlength=CALIBRATION_BINS) / np.maximum(counts, 1)
        for values in (confidence, is_correct)
    )
    return counts, mean_confidence, accuracy
