"""Metrics as `evaluate.Metric` classes that need no network, and intervals.

`evaluate.load("accuracy")` fetches code from the Hub; these classes are ours, computed by
scikit-learn, and combine like any other (`evaluate.combine`).
"""

from __future__ import annotations

import math
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    precision_recall_fscore_support,
)

Z95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
CALIBRATION_BINS = 15  # as in Guo et al. 2017, arXiv:1706.04599, section 2


class _LabelMetric(evaluate.Metric):  # type: ignore[misc] # untyped upstream
    """A metric of predicted and true label ids, each of shape (N,)."""

    key = ""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401
        """Keep what is added in memory: nothing is written and no process waits for another."""
        super().__init__(**{"keep_in_memory": True, **options})

    def _info(self) -> evaluate.MetricInfo:
        kinds = datasets.Features(
            {"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}
        )
        return evaluate.MetricInfo(
            description=str(self.__doc__),
            citation="",
            features=kinds,
            inputs_description="predictions, references: label ids, shape (N,).",
        )

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        return {self.key: float(self._score(np.array(references), np.array(predictions)))}

    def _score(self, true: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
        raise NotImplementedError


class Accuracy(_LabelMetric):
    """Share of clips whose predicted label is the true one."""

    key = "accuracy"

    def _score(self, true: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
        return float(accuracy_score(true, predicted))


class BalancedAccuracy(_LabelMetric):
    """Mean recall over the classes that occur (unweighted average recall)."""

    key = "balanced_accuracy"

    def _score(self, true: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
        recalls = [(predicted[true == label] == label).mean() for label in np.unique(true)]
        return float(np.mean(recalls))


class MacroF1(_LabelMetric):
    """Mean F1 over the classes that occur in truth or prediction."""

    key = "f1_macro"

    def _score(self, true: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
        return float(f1_score(true, predicted, average="macro", zero_division=0))


METRICS: dict[str, type[_LabelMetric]] = {
    metric.key: metric for metric in (Accuracy, BalancedAccuracy, MacroF1)
}


def compute_metrics(true: NDArray[np.int64], predicted: NDArray[np.int64]) -> dict[str, float]:
    """Compute every metric of `METRICS` on label ids of shape (N,)."""
    combined = evaluate.combine([metric() for metric in METRICS.values()])
    result = combined.compute(predictions=predicted.tolist(), references=true.tolist())
    return {name: float(result[name]) for name in METRICS}


def wilson_interval(num_right: int, num_clips: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, after Wilson 1927 (JASA 22, 209-212).

    It stays inside [0, 1] and is honest at 0 and 1, where the usual one has width zero.

    >>> [round(bound, 3) for bound in wilson_interval(83, 100)]
    [0.745, 0.891]
    """
    share = num_right / num_clips
    scale = 1 + Z95**2 / num_clips
    middle = (share + Z95**2 / (2 * num_clips)) / scale
    spread = Z95 / scale
    half = spread * math.sqrt(share * (1 - share) / num_clips + Z95**2 / (4 * num_clips**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def expected_calibration_error(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> float:
    """Return the mean gap between confidence and accuracy over 15 equal-width bins.

    Guo et al. 2017 (arXiv:1706.04599), equation 3.

    Args:
        probabilities: Shape (N, L).
        labels: True label ids, shape (N,).
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, None)
    gaps = [
        abs(right[bins == number].mean() - confidence[bins == number].mean())
        * (bins == number).mean()
        for number in np.unique(bins)
    ]
    return float(sum(gaps))


def tabulate_classes(
    true: NDArray[np.int64], predicted: NDArray[np.int64], names: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Return precision, recall, f1 and support of each class; 0 where a class never occurs."""
    columns = precision_recall_fscore_support(
        true, predicted, labels=range(len(names)), zero_division=0
    )
    return {
        name: {
            "precision": round(float(precision), 6),
            "recall": round(float(recall), 6),
            "f1": round(float(f1), 6),
            "support": int(support),
        }
        for name, precision, recall, f1, support in zip(names, *columns, strict=True)
    }
