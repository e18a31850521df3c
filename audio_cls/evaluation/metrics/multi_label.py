"""Metrics of multi-label tasks as `evaluate.Metric` classes, beside those of metrics.py.

References are marks (N, L), 1 where a clip has a label; judged are marks at each label's threshold
(`predictions`), or probabilities (`prediction_scores`). Keys are those of the single-label metrics
where the meaning is the same; accuracy is subset accuracy, as in scikit-learn.
"""

from __future__ import annotations

import datasets
import evaluate

from audio_cls.evaluation.metrics import probabilistic as by_scores
from audio_cls.evaluation.metrics import thresholds
from audio_cls.evaluation.metrics.single_label import Ids, OfflineMetric


class MultiLabelMetric(OfflineMetric):
    """What the metrics of several labels a clip share."""

    def _info(self) -> evaluate.MetricInfo:
        kinds = {"predictions": "int64", "prediction_scores": "float64"}
        row = datasets.Sequence
        return evaluate.MetricInfo(
            description=str(self.__doc__),
            citation="",
            features=datasets.Features(
                {
                    self.judged: row(datasets.Value(kinds[self.judged])),
                    "references": row(datasets.Value("int64")),
                }
            ),
            inputs_description="references: marks (N, L); predictions: marks (N, L), or"
            " prediction_scores: probabilities (N, L).",
        )


class SubsetAccuracy(MultiLabelMetric):
    """Share of clips all of whose labels are right."""

    key = "accuracy"
    function = staticmethod(thresholds.subset_accuracy)


class HammingLoss(MultiLabelMetric):
    """Share of clip-label pairs that are wrong."""

    key = "hamming_loss"
    function = staticmethod(thresholds.hamming_loss)


def _make_average(kind: str, average: str) -> type[MultiLabelMetric]:
    """Make the metric that averages `kind` over labels in one way."""

    def function(true: Ids, predicted: Ids) -> float:
        return thresholds.average_labels(true, predicted, kind=kind, average=average)

    content = {
        "key": f"{kind}_{average}",
        "function": staticmethod(function),
        "__doc__": f"{average.capitalize()} average of {kind} over the labels.",
        "__module__": __name__,
    }
    return type(f"{average.capitalize()}{kind.capitalize()}OfMarks", (MultiLabelMetric,), content)


AVERAGES = tuple(
    _make_average(kind, average)
    for kind in ("f1", "precision", "recall")
    for average in ("macro", "micro", "weighted")
)


class MacroAveragePrecision(MultiLabelMetric):
    """Average precision of each label, mean over the labels that some clip has."""

    key = "map"
    judged = "prediction_scores"
    function = staticmethod(by_scores.average_precision)


class MicroAveragePrecision(MultiLabelMetric):
    """Average precision over all clip-label pairs at once."""

    key = "map_micro"
    judged = "prediction_scores"
    function = staticmethod(thresholds.micro_average_precision)


class MacroRocAuc(MultiLabelMetric):
    """Area under the ROC curve of each label, mean over the labels that some clips have."""

    key = "roc_auc"
    judged = "prediction_scores"
    function = staticmethod(by_scores.average_auc)


class LabelRankingPrecision(MultiLabelMetric):
    """Label-weighted label-ranking average precision (lwlrap)."""

    key = "lwlrap"
    judged = "prediction_scores"
    function = staticmethod(thresholds.label_ranking_precision)


class BinaryLogLoss(MultiLabelMetric):
    """Binary cross-entropy, mean over clips and labels."""

    key = "log_loss"
    judged = "prediction_scores"
    function = staticmethod(by_scores.log_loss)


class MarkCalibrationError(MultiLabelMetric):
    """Gap between each label's probability and how often it is there, over 15 bins."""

    key = "ece"
    judged = "prediction_scores"
    function = staticmethod(by_scores.expected_calibration_error)


BY_MARK: tuple[type[OfflineMetric], ...] = (SubsetAccuracy, HammingLoss)
BY_SCORE: tuple[type[OfflineMetric], ...] = (
    MacroAveragePrecision,
    MicroAveragePrecision,
    MacroRocAuc,
    LabelRankingPrecision,
    BinaryLogLoss,
    MarkCalibrationError,
)
MULTI_LABEL_METRICS: dict[str, type[OfflineMetric]] = {
    metric.key: metric for metric in (*BY_MARK, *AVERAGES, *BY_SCORE)
}
