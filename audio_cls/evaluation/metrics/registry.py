"""Metric registry: the metrics of single-label and multi-label tasks by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from audio_cls.evaluation.metrics.base import Metric
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
    metrics = list_metrics(is_multilabel=scores.is_multilabel)
    num_labels = scores.probabilities.shape[1]
    suited = [metrics[key] for key in keys or metrics if metrics[key].suits(num_labels)]
    predictions = scores.predictions
    found = {}
    for metric in suited:
        given = scores.probabilities if metric.uses_probabilities else predictions
        found[metric.key] = float(metric.function(scores.targets, given))
    return found
