"""Metrics as `evaluate.Metric` classes that need no network.

`evaluate.load("accuracy")` fetches code from the Hub; these classes are ours, and combine like any
other (`evaluate.combine`). Letters: N clips, L labels. A metric judges either predicted label ids
(`predictions`) or probabilities (`prediction_scores`), and knows in `function` the plain function
behind it, which intervals.py calls a thousand times. What is undefined is NaN: a rank metric
without a positive clip, the equal error rate of one class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import datasets
import evaluate
import numpy as np
from numpy.typing import NDArray

from audio_cls.evaluation.metrics import probabilistic as by_scores

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClassScores:
    """What one class got right, for each of the classes; 0 where nothing is to be divided by."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: Ids  # clips that are of the class
    predicted: Ids  # clips that are said to be


def count_confusions(true: Ids, predicted: Ids, num_labels: int | None = None) -> Ids:
    """Count clips by true (row) and predicted (column) label.

    >>> count_confusions(np.array([0, 1, 1]), np.array([0, 0, 1])).tolist()
    [[1, 0], [1, 1]]
    """
    size = num_labels or int(max(true.max(), predicted.max())) + 1
    return np.bincount(true * size + predicted, minlength=size * size).reshape(size, size)


def score_classes(true: Ids, predicted: Ids, num_labels: int | None = None) -> ClassScores:
    """Compute precision, recall and F1 of every class from label ids (N,)."""
    table = count_confusions(true, predicted, num_labels)
    right, support, said = table.diagonal(), table.sum(axis=1), table.sum(axis=0)
    return ClassScores(
        precision=right / np.maximum(said, 1),
        recall=right / np.maximum(support, 1),
        f1=2 * right / np.maximum(support + said, 1),
        support=support,
        predicted=said,
    )


def score_accuracy(true: Ids, predicted: Ids) -> float:
    """Return the share of clips whose predicted label is the true one."""
    return float((true == predicted).mean())


def average_recall(true: Ids, predicted: Ids) -> float:
    """Return the mean recall of the classes that occur in truth."""
    found = score_classes(true, predicted)
    return float(found.recall[found.support > 0].mean())


def average_classes(true: Ids, predicted: Ids, *, kind: str, average: str) -> float:
    """Average precision, recall or f1 over the classes, as scikit-learn does.

    Macro recall is scikit-learn's with `zero_division=nan`, the others with 0: a class without a
    clip has no recall, and so macro recall, unweighted average recall and balanced accuracy are one
    value.

    Args:
        true: Label ids, (N,).
        predicted: Label ids, (N,).
        kind: "precision", "recall" or "f1".
        average: "macro": the plain mean over the classes that occur in truth or prediction, for
            recall over those in truth; "weighted": by the clips of each; "micro": over clips, which
            with one label a clip is the accuracy, whatever the kind.
    """
    if (kind, average) == ("recall", "macro"):
        return average_recall(true, predicted)
    if average == "micro":
        return score_accuracy(true, predicted)
    found = score_classes(true, predicted)
    values: Floats = getattr(found, kind)
    if average == "weighted":
        return float((values * found.support).sum() / len(true))
    return float(values[(found.support > 0) | (found.predicted > 0)].mean())


class OfflineMetric(evaluate.Metric):  # type: ignore[misc] # untyped upstream
    """What our metrics share: a key, a plain function, and no file on disk."""

    key: ClassVar[str]
    function: ClassVar[Callable[..., float]]  # (true (N,), judged (N,) or (N, L)) -> value
    judged: ClassVar[str] = "predictions"
    least_labels: ClassVar[int] = 2  # with fewer the metric says nothing
    most_labels: ClassVar[int | None] = None

    def __init__(self, **options: Any) -> None:  # noqa: ANN401
        """Keep what is added in memory: nothing is written and no process waits for another."""
        super().__init__(**{"keep_in_memory": True, **options})

    @classmethod
    def suits(cls, num_labels: int) -> bool:
        """Tell whether the metric means anything for so many labels."""
        return cls.least_labels <= num_labels <= (cls.most_labels or num_labels)

    def _info(self) -> evaluate.MetricInfo:
        ids = datasets.Value("int64")
        kinds = {
            "predictions": ids,
            "prediction_scores": datasets.Sequence(datasets.Value("float64")),
        }
        return evaluate.MetricInfo(
            description=str(self.__doc__),
            citation="",
            features=datasets.Features({self.judged: kinds[self.judged], "references": ids}),
            inputs_description="references: label ids (N,); predictions: label ids (N,), or"
            " prediction_scores: probabilities (N, L).",
        )

    def _compute(self, references: Sequence[int], **judged: Any) -> dict[str, float]:  # noqa: ANN401
        """Compute the metric; what other metrics of the same `combine` judge is left alone."""
        function = type(self).function
        return {self.key: function(np.array(references), np.array(judged[self.judged]))}


class Accuracy(OfflineMetric):
    """Share of clips whose predicted label is the true one."""

    key = "accuracy"
    function = staticmethod(score_accuracy)


class BalancedAccuracy(OfflineMetric):
    """Mean recall over the classes that occur in truth."""

    key = "balanced_accuracy"
    function = staticmethod(average_recall)


class UnweightedAverageRecall(OfflineMetric):
    """Balanced accuracy under the name it has in speech emotion and paralinguistics."""

    key = "uar"
    function = staticmethod(average_recall)


def _make_average(kind: str, average: str) -> type[OfflineMetric]:
    """Make the metric that averages `kind` over classes in one way."""

    def function(true: Ids, predicted: Ids) -> float:
        return average_classes(true, predicted, kind=kind, average=average)

    content = {
        "key": f"{kind}_{average}",
        "function": staticmethod(function),
        "__doc__": f"{average.capitalize()} average of {kind} over the classes.",
        "__module__": __name__,
    }
    return type(f"{average.capitalize()}{kind.capitalize()}", (OfflineMetric,), content)


AVERAGES = tuple(
    _make_average(kind, average)
    for kind in ("f1", "precision", "recall")
    for average in ("macro", "micro", "weighted")
)


class Top3Accuracy(OfflineMetric):
    """Share of clips whose true label is among the three most probable."""

    key = "top3_accuracy"
    judged = "prediction_scores"
    least_labels = 4
    function = staticmethod(lambda true, scores: by_scores.top_k_accuracy(true, scores, 3))


class Top5Accuracy(OfflineMetric):
    """Share of clips whose true label is among the five most probable."""

    key = "top5_accuracy"
    judged = "prediction_scores"
    least_labels = 6
    function = staticmethod(lambda true, scores: by_scores.top_k_accuracy(true, scores, 5))


class RocAuc(OfflineMetric):
    """Area under the ROC curve, each class against the rest, mean over the classes that occur."""

    key = "roc_auc"
    judged = "prediction_scores"
    function = staticmethod(by_scores.average_auc)


class MeanAveragePrecision(OfflineMetric):
    """Average precision, each class against the rest, mean over the classes that occur."""

    key = "map"
    judged = "prediction_scores"
    function = staticmethod(by_scores.average_precision)


class EqualErrorRate(OfflineMetric):
    """Error rate at the threshold where misses are as frequent as false alarms; two classes."""

    key = "eer"
    judged = "prediction_scores"
    most_labels = 2
    function = staticmethod(by_scores.equal_error_rate)


class LogLoss(OfflineMetric):
    """Mean over clips of -log p(true label)."""

    key = "log_loss"
    judged = "prediction_scores"
    function = staticmethod(by_scores.log_loss)


class CalibrationError(OfflineMetric):
    """Expected calibration error over 15 bins of confidence."""

    key = "ece"
    judged = "prediction_scores"
    function = staticmethod(by_scores.expected_calibration_error)


BY_LABEL: tuple[type[OfflineMetric], ...] = (Accuracy, BalancedAccuracy, UnweightedAverageRecall)
BY_SCORE: tuple[type[OfflineMetric], ...] = (
    Top3Accuracy,
    Top5Accuracy,
    RocAuc,
    MeanAveragePrecision,
    EqualErrorRate,
    LogLoss,
    CalibrationError,
)
METRICS: dict[str, type[OfflineMetric]] = {
    metric.key: metric for metric in (*BY_LABEL, *AVERAGES, *BY_SCORE)
}


def tabulate_classes(
    true: Ids, predicted: Ids, names: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Return precision, recall, f1 and support of each class.

    A class without a clip is not tested: it comes last and its scores are None.
    """
    found = score_classes(true, predicted, len(names))
    columns = {"precision": found.precision, "recall": found.recall, "f1": found.f1}
    table: dict[str, dict[str, float | None]] = {}
    for label in np.argsort(found.support == 0, kind="stable").tolist():
        has_clips = found.support[label] > 0
        table[names[label]] = {
            **{k: round(float(v[label]), 6) if has_clips else None for k, v in columns.items()},
            "support": int(found.support[label]),
        }
    return table
