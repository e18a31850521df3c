"""From window logits to clip probabilities: softmax or sigmoid, temperature, mean/max/vote."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_PROBABILITY = 5e-7  # half of the last of six decimals: what a written 0 can have been


def aggregate_windows(
    logits: NDArray[np.float64], how: str, *, is_multilabel: bool = False
) -> NDArray[np.float64]:
    """Turn the logits of one clip's windows into the clip's probabilities.

    Args:
        logits: Shape (number of windows, L).
        how: mean-logit, mean-probability, max (of probabilities, then scaled to sum 1), vote (the
            share of windows won; ties go to the smaller label), or first.
        is_multilabel: Each label has a probability of its own, by the sigmoid; max is left as it
            is, and a label's vote is the share of windows with a probability of 0.5 or more.

    Returns:
        Shape (L,), sums to 1 unless multi-label.
    """
    if is_multilabel:
        return _aggregate_marks(logits, how)
    if how == "first":
        return _softmax(logits[0])
    if how == "mean-logit":
        return _softmax(logits.mean(axis=0))
    if how == "vote":
        return np.bincount(logits.argmax(axis=1), minlength=logits.shape[1]) / len(logits)
    probabilities = _softmax(logits)
    merged = probabilities.max(axis=0) if how == "max" else probabilities.mean(axis=0)
    return np.asarray(merged / merged.sum())


def _aggregate_marks(logits: NDArray[np.float64], how: str) -> NDArray[np.float64]:
    """Do what `aggregate_windows` does for labels that do not exclude each other."""
    if how in ("first", "mean-logit"):
        return apply_sigmoid(logits[0] if how == "first" else logits.mean(axis=0))
    if how == "vote":
        return np.asarray((logits >= 0).mean(axis=0))
    probabilities = apply_sigmoid(logits)
    return np.asarray(probabilities.max(axis=0) if how == "max" else probabilities.mean(axis=0))


def apply_sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(-logit)), without overflow.

    >>> apply_sigmoid(np.array([0.0, 800.0, -800.0])).tolist()
    [0.5, 1.0, 0.0]
    """
    return np.asarray(0.5 * (1 + np.tanh(logits / 2)))


def apply_temperature(
    probabilities: NDArray[np.float64], temperature: float, *, is_multilabel: bool = False
) -> NDArray[np.float64]:
    """Return probabilities (N, L) made less sure (above 1) or surer (below 1).

    They sum to 1 unless each label has a probability of its own, whose log odds are divided then.

    >>> apply_temperature(np.array([[0.8, 0.2]]), 2.0).round(3).tolist()
    [[0.667, 0.333]]
    """
    if is_multilabel:
        held = np.clip(probabilities, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
        return apply_sigmoid(np.log(held / (1 - held)) / temperature)
    logs = np.log(np.maximum(probabilities, MIN_PROBABILITY)) / temperature
    powers = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
