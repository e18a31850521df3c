"""Single-label metrics: accuracy, balanced accuracy, precision, recall, F1 and scores by class.

Label ids are (N,). The values are those of scikit-learn, which the tests compare. They are computed
from the confusion matrix, because a bootstrap computes a metric 1000 times: on 2,000 clips of 35
classes, scikit-learn's functions take 100 to 700 times as long. N clips, L labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from audio_cls.evaluation.metrics.base import Floats, Ids, Metric, make_averages
from audio_cls.evaluation.metrics.probabilistic import (
    equal_error_rate,
    expected_calibration_error,
    log_loss,
    mean_average_precision,
    mean_roc_auc,
    top_k_accuracy,
)
from audio_cls.inference.aggregation import DECIMALS


@dataclass(frozen=True)
class ClassScores:
    """Precision, recall and F1 of each class, (L,) each; 0 where the denominator is 0."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: Ids  # clips of the class
    predicted: Ids  # clips predicted as the class


def count_confusions(true: Ids, predicted: Ids, num_labels: int | None = None) -> Ids:
    """Return the confusion matrix: clips by true (row) and predicted (column) label.

    Without `num_labels`, the largest label id gives the size.

    >>> count_confusions(np.array([0, 1, 1]), np.array([0, 0, 1])).tolist()
    [[1, 0], [1, 1]]
    """
    size = num_labels or int(max(true.max(), predicted.max())) + 1
    return np.bincount(true * size + predicted, minlength=size * size).reshape(size, size)


def score_classes(true: Ids, predicted: Ids, num_labels: int | None = None) -> ClassScores:
    """Return precision, recall and F1 of each class."""
    matrix = count_confusions(true, predicted, num_labels)
    correct, support, num_predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    return ClassScores(
        precision=correct / np.maximum(num_predicted, 1),
        recall=correct / np.maximum(support, 1),
        f1=2 * correct / np.maximum(support + num_predicted, 1),
        support=support,
        predicted=num_predicted,
    )


def accuracy(true: Ids, predicted: Ids) -> float:
    """Return the share of clips whose predicted label is the true one."""
    return float((true == predicted).mean())


def average_recall(true: Ids, predicted: Ids) -> float:
    """Return the mean recall of the classes that have clips: balanced accuracy."""
    scores = score_classes(true, predicted)
    return float(scores.recall[scores.support > 0].mean())


def average_classes(true: Ids, predicted: Ids, *, kind: str, average: str) -> float:
    """Return the average of precision, recall or F1 over the classes, as in scikit-learn.

    Macro recall is scikit-learn's with `zero_division=nan`, the others with 0: a class without
    clips has no recall, so that macro recall, unweighted average recall and balanced accuracy are
    the same value.

    Args:
        true: Label ids, (N,).
        predicted: Label ids, (N,).
        kind: "precision", "recall" or "f1".
        average: "macro": the mean over the classes that have true or predicted clips (recall: true
            clips); "weighted": weighted by the clips of each class; "micro": over all clips, which
            with one label for each clip is the accuracy.
    """
    if (kind, average) == ("recall", "macro"):
        return average_recall(true, predicted)
    if average == "micro":
        return accuracy(true, predicted)
    scores = score_classes(true, predicted)
    values: Floats = getattr(scores, kind)
    if average == "weighted":
        return float((values * scores.support).sum() / len(true))
    return float(values[(scores.support > 0) | (scores.predicted > 0)].mean())


SINGLE_LABEL_METRICS: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        Metric("accuracy", accuracy),
        Metric("balanced_accuracy", average_recall),
        Metric("uar", average_recall),  # the name in speech emotion recognition
        *make_averages(average_classes),
        Metric(
            "top3_accuracy", partial(top_k_accuracy, k=3), uses_probabilities=True, min_labels=4
        ),
        Metric(
            "top5_accuracy", partial(top_k_accuracy, k=5), uses_probabilities=True, min_labels=6
        ),
        Metric("roc_auc", mean_roc_auc, uses_probabilities=True),
        Metric("map", mean_average_precision, uses_probabilities=True),
        Metric("eer", equal_error_rate, uses_probabilities=True, max_labels=2),
        Metric("log_loss", log_loss, uses_probabilities=True),
        Metric("ece", expected_calibration_error, uses_probabilities=True),
    )
}


def tabulate_classes(
    true: Ids, predicted: Ids, names: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Return {class name: {precision, recall, f1, support}}.

    A class without clips comes last; its scores are None, because it is not tested.
    """
    scores = score_classes(true, predicted, len(names))
    columns = {"precision": scores.precision, "recall": scores.recall, "f1": scores.f1}
    table: dict[str, dict[str, float | None]] = {}
    for label in np.argsort(scores.support == 0, kind="stable").tolist():
        has_clips = scores.support[label] > 0
        table[names[label]] = {
            **{
                name: round(float(values[label]), DECIMALS) if has_clips else None
                for name, values in columns.items()
            },
            "support": int(scores.support[label]),
        }
    return table
