"""Several labels a clip: what was found, and from which probability on a label counts as there.

Plain functions of marks (N, L), 1 where a clip has a label, and of probabilities (N, L), one for
each label by itself. N clips, L labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata  # type: ignore[import-untyped]

from audio_cls.evaluation.metrics.probabilistic import rank_precisions

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

DEFAULT_THRESHOLD = 0.5  # the threshold of a label that validation has no clip of
STEPS = 1_000_000  # of a threshold between 0 and 1: six decimals, as the probabilities have


def tune_threshold(own: NDArray[np.bool_], scores: Floats) -> float:
    """Return the threshold with the best F1 on these clips; of equally good ones the highest.

    It lies half-way between the lowest score that counts and the next one, rounded up to six
    decimals, so that `score >= threshold` draws the same line.

    Args:
        own: Which clips have the label, (N,).
        scores: Probability of the label, (N,), six decimals.

    >>> tune_threshold(np.array([True, False, True]), np.array([0.9, 0.1, 0.4]))
    0.25
    """
    if not own.any():
        return DEFAULT_THRESHOLD
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(own[order])
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # of each tie
    f1 = 2 * hits[ends] / (ends + 1 + own.sum())
    best = int(f1.argmax())
    lowest = ranked[ends[best]]
    below = ranked[ends[best + 1]] if best + 1 < len(ends) else 0.0
    return float(np.ceil(round((lowest + below) / 2 * STEPS, 3)) / STEPS)


def tune_thresholds(true: Ids, scores: Floats) -> Floats:
    """Return each label's threshold with the best F1, (L,); 0.5 for a label without a clip."""
    return np.array([tune_threshold(own > 0, p) for own, p in zip(true.T, scores.T, strict=True)])


def subset_accuracy(true: Ids, predicted: Ids) -> float:
    """Return the share of clips all of whose labels are right (subset accuracy)."""
    return float((true == predicted).all(axis=1).mean())


def hamming_loss(true: Ids, predicted: Ids) -> float:
    """Return the share of clip-label pairs that are wrong."""
    return float((true != predicted).mean())


def score_labels(true: Ids, predicted: Ids) -> tuple[Floats, Floats, Floats]:
    """Return precision, recall and F1 of each label, (L,) each; 0 where nothing divides."""
    right, support, said = (true * predicted).sum(axis=0), true.sum(axis=0), predicted.sum(axis=0)
    return (
        right / np.maximum(said, 1),
        right / np.maximum(support, 1),
        2 * right / np.maximum(support + said, 1),
    )


def average_labels(true: Ids, predicted: Ids, *, kind: str, average: str) -> float:
    """Average precision, recall or f1 over the labels, as scikit-learn does.

    Args:
        true: Marks, (N, L).
        predicted: Marks, (N, L).
        kind: "precision", "recall" or "f1".
        average: "macro": the plain mean over all labels, 0 for one that occurs nowhere, as in
            scikit-learn with `zero_division=0`; "weighted": by the clips of each; "micro": over all
            clip-label pairs.
    """
    if average == "micro":
        true, predicted = true.reshape(-1, 1), predicted.reshape(-1, 1)
    values = score_labels(true, predicted)[("precision", "recall", "f1").index(kind)]
    support = true.sum(axis=0)
    if average == "weighted":
        return float((values * support).sum() / max(1, support.sum()))
    return float(values.mean())


def micro_average_precision(true: Ids, scores: Floats) -> float:
    """Return the average precision over all clip-label pairs at once (micro)."""
    return float(rank_precisions(true.reshape(-1, 1) > 0, scores.reshape(-1, 1))[0])


def label_ranking_precision(true: Ids, scores: Floats) -> float:
    """Return lwlrap: for every label of a clip, the share of right ones among those ranked as high.

    Label-weighted label-ranking average precision, as in DCASE 2019 task 2 (Fonseca et al. 2019,
    https://arxiv.org/abs/1906.02975); NaN when no clip has a label.
    """
    own = true > 0
    if not own.any():
        return float("nan")
    rank = rankdata(-scores, method="max", axis=1)
    among_own = rankdata(np.where(own, -scores, np.inf), method="max", axis=1)
    return float((among_own / rank)[own].mean())
