"""What probabilities are worth: plain functions of true label ids (N,) and scores (N, L).

Scores are probabilities as predictions.csv holds them, rounded to six decimals. A class without a
clip, or with nothing but its own clips, has no ranking to judge: it is left out of the means.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata  # type: ignore[import-untyped]

from audio_cls.data.windows import LEAST_PROBABILITY

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

CALIBRATION_BINS = 15  # as in Guo et al. 2017, arXiv:1706.04599, section 2


def log_loss(true: Ids, scores: Floats) -> float:
    """Return the mean of -log p(true label)."""
    own = scores[np.arange(len(true)), true]
    return float(-np.log(np.maximum(own, LEAST_PROBABILITY)).mean())


def score_top(true: Ids, scores: Floats, count: int) -> float:
    """Return the share of clips whose label is among the `count` best; ties: smaller id first."""
    own = scores[np.arange(len(true)), true][:, None]
    is_smaller = np.arange(scores.shape[1])[None] < true[:, None]
    rank = (scores > own).sum(axis=1) + ((scores == own) & is_smaller).sum(axis=1)
    return float((rank < count).mean())


def average_auc(true: Ids, scores: Floats) -> float:
    """Return the mean area under the one-against-rest ROC curves, by ranks (Mann-Whitney)."""
    is_own = true[:, None] == np.arange(scores.shape[1])
    positives = is_own.sum(axis=0)
    negatives = len(true) - positives
    has_both = (positives > 0) & (negatives > 0)
    if not has_both.any():
        return float("nan")
    sums = (rankdata(scores, axis=0) * is_own).sum(axis=0)
    above = sums - positives * (positives + 1) / 2
    return float((above[has_both] / (positives * negatives)[has_both]).mean())


def average_precision(true: Ids, scores: Floats) -> float:
    """Return the mean over classes that occur of the step-wise average precision."""
    found = [_score_ranking(true == label, scores[:, label]) for label in np.unique(true)]
    return float(np.mean(found))


def _score_ranking(is_own: NDArray[np.bool_], scores: Floats) -> float:
    """Sum precision times gain in recall over the distinct thresholds, best first."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(is_own[order])
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # of each tie
    gains = np.diff(hits[ends], prepend=0)
    return float((gains * hits[ends] / (ends + 1)).sum() / hits[-1])


def equal_error_rate(true: Ids, scores: Floats) -> float:
    """Return where the miss rate equals the false alarm rate, straight between thresholds.

    Label 1 is the one to be detected, by its own score; exchanging the labels changes nothing.
    """
    positives, negatives = int((true == 1).sum()), int((true == 0).sum())
    if positives == 0 or negatives == 0:
        return float("nan")
    order = np.argsort(-scores[:, 1], kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order, 1])), len(true) - 1)
    alarms = np.append(0, np.cumsum(true[order] == 0)[ends]) / negatives
    misses = 1 - np.append(0, np.cumsum(true[order] == 1)[ends]) / positives
    last = int(np.flatnonzero(alarms >= misses)[0])  # the first point is (0, 1), so last >= 1
    gap, next_gap = (misses - alarms)[last - 1], (alarms - misses)[last]
    share = gap / (gap + next_gap)
    return float(alarms[last - 1] + share * (alarms[last] - alarms[last - 1]))


def expected_calibration_error(true: Ids, scores: Floats) -> float:
    """Return the mean gap between confidence and accuracy over 15 equal-width bins.

    Guo et al. 2017 (arXiv:1706.04599), equation 3.
    """
    counts, confidence, accuracy = bin_confidence(true, scores)
    return float((counts * np.abs(accuracy - confidence)).sum() / len(true))


def bin_confidence(true: Ids, scores: Floats) -> tuple[Ids, Floats, Floats]:
    """Put the clips in 15 equal-width bins of confidence.

    Returns:
        Clips, mean confidence and accuracy of each bin, (15,) each; 0 where a bin is empty.
    """
    confidence, is_right = scores.max(axis=1), scores.argmax(axis=1) == true
    bins = np.clip(
        np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1, 0, CALIBRATION_BINS - 1
    )
    counts = np.bincount(bins, minlength=CALIBRATION_BINS)
    sums = [
        np.bincount(bins, weights=w, minlength=CALIBRATION_BINS) for w in (confidence, is_right)
    ]
    mean_confidence, accuracy = (total / np.maximum(counts, 1) for total in sums)
    return counts, mean_confidence, accuracy
