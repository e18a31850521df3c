"""Metric registry: the metrics of single-label and multi-label tasks by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import evaluate

from audio_cls.evaluation.metrics.base import Metric, OfflineMetric
from audio_cls.evaluation.metrics.multi_label import MULTI_LABEL_METRICS
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.metrics.single_label import SINGLE_LABEL_METRICS


def list_metrics(*, is_multilabel: bool) -> Mapping[str, Metric]:
    """Return the metrics of this package by key, for one kind of task."""
    return MULTI_LABEL_METRICS if is_multilabel else SINGLE_LABEL_METRICS


def compute_metrics(scores: Scores, keys: Sequence[str] | None = None) -> dict[str, float]:
    """Compute metrics of this package; those that do not suit the number of labels are left out.

    Args:
        scores: Of a split.
        keys: Which metrics; None for all of the task.
    """
    is_multilabel = scores.is_multilabel
    metrics = list_metrics(is_multilabel=is_multilabel)
    num_labels = scores.probabilities.shape[1]
    suited = [metrics[key] for key in keys or metrics if metrics[key].suits(num_labels)]
    modules = [OfflineMetric(metric, is_multilabel=is_multilabel) for metric in suited]
    values = evaluate.combine(modules).compute(
        predictions=scores.predictions.tolist(),
        references=scores.targets.tolist(),
        prediction_scores=scores.probabilities.tolist(),
    )
    return {metric.key: float(values[metric.key]) for metric in suited}
