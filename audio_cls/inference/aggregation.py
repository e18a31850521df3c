"""Aggregation: window logits -> clip probabilities, by softmax or sigmoid; temperature scaling."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, softmax  # type: ignore[import-untyped]

DECIMALS = 6  # of the probabilities that are kept and written
MIN_PROBABILITY = 5e-7  # half of the last decimal: the largest value that is written as 0


def aggregate_windows(
    logits: NDArray[np.float64], how: str, *, is_multilabel: bool = False
) -> NDArray[np.float64]:
    """Return the probabilities of a clip.

    Args:
        logits: The logits of its windows, shape (number of windows, L).
        how: mean-logit, mean-probability, max (of the probabilities, then divided by their sum),
            vote (the share of windows in which a label is the most probable; ties go to the smaller
            label), or first (the first window alone).
        is_multilabel: Each label has a probability of its own, by the sigmoid. The maxima are not
            divided by their sum then, and the vote of a label is the share of windows in which its
            probability is 0.5 or more.

    Returns:
        Shape (L,), sums to 1 unless multi-label.
    """
    if how in ("first", "mean-logit"):
        merged = logits[0] if how == "first" else logits.mean(axis=0)
        return np.asarray(expit(merged) if is_multilabel else softmax(merged))
    if how == "vote" and is_multilabel:
        return np.asarray((logits >= 0).mean(axis=0))
    if how == "vote":
        return np.bincount(logits.argmax(axis=1), minlength=logits.shape[1]) / len(logits)
    probabilities = expit(logits) if is_multilabel else softmax(logits, axis=1)
    merged = probabilities.max(axis=0) if how == "max" else probabilities.mean(axis=0)
    return np.asarray(merged if is_multilabel else merged / merged.sum())


def apply_temperature(
    probabilities: NDArray[np.float64], temperature: float, *, is_multilabel: bool = False
) -> NDArray[np.float64]:
    """Return probabilities after temperature scaling: closer to each other above 1.

    Args:
        probabilities: Shape (..., L).
        temperature: Divides the logarithms; if multi-label, the log odds of each label.
        is_multilabel: Each label has a probability of its own.

    Returns:
        The same shape; the last axis sums to 1 unless multi-label.

    >>> apply_temperature(np.array([[0.8, 0.2]]), 2.0).round(3).tolist()
    [[0.667, 0.333]]
    """
    if is_multilabel:
        clipped = np.clip(probabilities, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
        return np.asarray(expit(logit(clipped) / temperature))
    logs = np.log(np.maximum(probabilities, MIN_PROBABILITY))
    return np.asarray(softmax(logs / temperature, axis=-1))
