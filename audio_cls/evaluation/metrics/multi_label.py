"""Multi-label metrics: subset accuracy, Hamming loss, averages over labels, lwlrap.

True and predicted labels are targets (N, L): 1 where a clip has a label. Probabilities are (N, L),
one for each label by itself. Keys are those of the single-label metrics where the meaning is the
same; accuracy is subset accuracy, as in scikit-learn. The values are those of scikit-learn, whose
functions are too slow for a bootstrap (see single_label.py). N clips, L labels.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata  # type: ignore[import-untyped]

from audio_cls.evaluation.metrics.base import Floats, Ids, Metric, make_averages
from audio_cls.evaluation.metrics.probabilistic import (
    average_precisions,
    expected_calibration_error,
    log_loss,
    mean_average_precision,
    mean_roc_auc,
)


def subset_accuracy(true: Ids, predicted: Ids) -> float:
    """Return the share of clips all of whose labels are predicted correctly."""
    return float((true == predicted).all(axis=1).mean())


def hamming_loss(true: Ids, predicted: Ids) -> float:
    """Return the share of wrong clip-label pairs."""
    return float((true != predicted).mean())


def score_labels(true: Ids, predicted: Ids) -> tuple[Floats, Floats, Floats]:
    """Return precision, recall and F1 of each label, (L,) each; 0 where the denominator is 0."""
    correct, support = (true * predicted).sum(axis=0), true.sum(axis=0)
    num_predicted = predicted.sum(axis=0)
    return (
        correct / np.maximum(num_predicted, 1),
        correct / np.maximum(support, 1),
        2 * correct / np.maximum(support + num_predicted, 1),
    )


def average_labels(true: Ids, predicted: Ids, *, kind: str, average: str) -> float:
    """Return the average of precision, recall or F1 over the labels, as in scikit-learn.

    Args:
        true: Targets, (N, L).
        predicted: Targets, (N, L).
        kind: "precision", "recall" or "f1".
        average: "macro": the mean over all labels, with 0 for a label without true and predicted
            clips (`zero_division=0`); "weighted": weighted by the clips of each label; "micro":
            over all clip-label pairs.
    """
    if average == "micro":
        true, predicted = true.reshape(-1, 1), predicted.reshape(-1, 1)
    values = score_labels(true, predicted)[("precision", "recall", "f1").index(kind)]
    support = true.sum(axis=0)
    if average == "weighted":
        return float((values * support).sum() / max(1, support.sum()))
    return float(values.mean())


def micro_average_precision(true: Ids, scores: Floats) -> float:
    """Return the average precision over all clip-label pairs; NaN when no clip has a label."""
    return float(average_precisions(true.reshape(-1, 1) > 0, scores.reshape(-1, 1))[0])


def label_ranking_precision(true: Ids, scores: Floats) -> float:
    """Return label-weighted label-ranking average precision (lwlrap).

    For each label of a clip, the precision among the labels ranked as high or higher; the mean over
    all labels of all clips, as in DCASE 2019 task 2 (Fonseca et al. 2019, arXiv:1906.02975). NaN
    when no clip has a label.
    """
    is_target = true > 0
    if not is_target.any():
        return float("nan")
    rank = rankdata(-scores, method="max", axis=1)
    target_rank = rankdata(np.where(is_target, -scores, np.inf), method="max", axis=1)
    return float((target_rank / rank)[is_target].mean())


MULTI_LABEL_METRICS: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        Metric("accuracy", subset_accuracy),
        Metric("hamming_loss", hamming_loss),
        *make_averages(average_labels),
        Metric("map", mean_average_precision, uses_probabilities=True),
        Metric("map_micro", micro_average_precision, uses_probabilities=True),
        Metric("roc_auc", mean_roc_auc, uses_probabilities=True),
        Metric("lwlrap", label_ranking_precision, uses_probabilities=True),
        Metric("log_loss", log_loss, uses_probabilities=True),
        Metric("ece", expected_calibration_error, uses_probabilities=True),
    )
}
