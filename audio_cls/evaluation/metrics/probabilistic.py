"""What probabilities are worth: plain functions of true labels and scores (N, L).

True labels are ids (N,), or marks (N, L) where a clip may have several: 1 where it has the label.
Scores are probabilities as predictions.csv holds them, rounded to six decimals. A class without a
clip, or with nothing but its own clips, has no ranking to judge: it is left out of the means.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata  # type: ignore[import-untyped]

from audio_cls.inference.aggregation import MIN_PROBABILITY

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

CALIBRATION_BINS = 15  # as in Guo et al. 2017, arXiv:1706.04599, section 2


def log_loss(true: Ids, scores: Floats) -> float:
    """Return the mean of -log p(true label); of marks, the mean over labels as well."""
    if true.ndim > 1:
        given = np.where(true > 0, scores, 1 - scores)
        return float(-np.log(np.maximum(given, MIN_PROBABILITY)).mean()) + 0.0  # no -0.0
    own = scores[np.arange(len(true)), true]
    return float(-np.log(np.maximum(own, MIN_PROBABILITY)).mean()) + 0.0


def top_k_accuracy(true: Ids, scores: Floats, count: int) -> float:
    """Return the share of clips whose label is among the `count` best; ties: smaller id first."""
    own = scores[np.arange(len(true)), true][:, None]
    is_smaller = np.arange(scores.shape[1])[None] < true[:, None]
    rank = (scores > own).sum(axis=1) + ((scores == own) & is_smaller).sum(axis=1)
    return float((rank < count).mean())


def average_auc(true: Ids, scores: Floats) -> float:
    """Return the mean area under the one-against-rest ROC curves, by ranks (Mann-Whitney)."""
    is_own = one_hot_targets(true, scores.shape[1])
    positives = is_own.sum(axis=0)
    negatives = len(true) - positives
    has_both = (positives > 0) & (negatives > 0)
    if not has_both.any():
        return float("nan")
    sums = (rankdata(scores, axis=0) * is_own).sum(axis=0)
    above = sums - positives * (positives + 1) / 2
    return float((above[has_both] / (positives * negatives)[has_both]).mean())


def average_precision(true: Ids, scores: Floats) -> float:
    """Return the mean over classes that occur of the step-wise average precision; else NaN."""
    found = rank_precisions(one_hot_targets(true, scores.shape[1]), scores)
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")


def one_hot_targets(true: Ids, num_labels: int) -> NDArray[np.bool_]:
    """Return which clips have which label, (N, L), from ids or marks."""
    return true > 0 if true.ndim > 1 else true[:, None] == np.arange(num_labels)


def rank_precisions(is_own: NDArray[np.bool_], scores: Floats) -> Floats:
    """Return each label's average precision, (L,); NaN for a label without a clip.

    Precision times gain in recall is summed over the distinct thresholds, best first.

    Args:
        is_own: Which clips have which label, (N, L).
        scores: Shape (N, L).
    """
    order = np.argsort(-scores, axis=0, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=0)
    hits = np.cumsum(np.take_along_axis(is_own, order, axis=0), axis=0)
    is_end = np.ones(scores.shape, dtype=np.bool_)  # of each tie
    is_end[:-1] = ranked[1:] != ranked[:-1]
    reached = np.maximum.accumulate(np.where(is_end, hits, 0), axis=0)
    gains = np.diff(reached, axis=0, prepend=0)
    precision = hits / np.arange(1, len(scores) + 1)[:, None]
    positives = is_own.sum(axis=0)
    sums = (gains * precision).sum(axis=0)
    return np.where(positives > 0, sums / np.maximum(positives, 1), np.nan)


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
    return float((counts * np.abs(accuracy - confidence)).sum() / counts.sum())


def bin_confidence(true: Ids, scores: Floats) -> tuple[Ids, Floats, Floats]:
    """Put the clips in 15 equal-width bins of confidence.

    Of marks, every clip-label pair is put in by its probability, and is right when the label is
    there.

    Returns:
        Clips, mean confidence and accuracy of each bin, (15,) each; 0 where a bin is empty.
    """
    if true.ndim > 1:
        confidence, is_right = scores.ravel(), true.ravel() > 0
    else:
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
