"""Decision thresholds of a multi-label task: for each label the one with the best F1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audio_cls.evaluation.metrics.base import Floats, Ids
from audio_cls.inference.aggregation import DECIMALS

DEFAULT_THRESHOLD = 0.5  # of a label without clips in validation


def tune_threshold(is_target: NDArray[np.bool_], scores: Floats) -> float:
    """Return the threshold with the best F1 on these clips; of equally good ones the highest.

    It is the mean of the lowest predicted score and the next lower score, rounded up to six
    decimals, so that `score >= threshold` still separates the two.

    Args:
        is_target: Which clips have the label, (N,).
        scores: Probability of the label, (N,), six decimals.

    >>> tune_threshold(np.array([True, False, True]), np.array([0.9, 0.1, 0.4]))
    0.25
    """
    if not is_target.any():
        return DEFAULT_THRESHOLD
    order = np.argsort(-scores, kind="stable")
    sorted_scores, num_correct = scores[order], np.cumsum(is_target[order])
    last = np.append(np.flatnonzero(np.diff(sorted_scores)), len(scores) - 1)  # of each tie
    f1 = 2 * num_correct[last] / (last + 1 + is_target.sum())
    best = int(f1.argmax())
    lowest = sorted_scores[last[best]]
    next_lower = sorted_scores[last[best + 1]] if best + 1 < len(last) else 0.0
    steps = 10**DECIMALS
    return float(np.ceil(round((lowest + next_lower) / 2 * steps, 3)) / steps)


def tune_thresholds(true: Ids, scores: Floats) -> Floats:
    """Return the threshold of each label with the best F1, (L,)."""
    return np.array([tune_threshold(t > 0, p) for t, p in zip(true.T, scores.T, strict=True)])
