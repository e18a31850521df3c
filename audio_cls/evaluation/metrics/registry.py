"""Scores -> the metrics of their kind of task: one label a clip, or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import evaluate

from audio_cls.evaluation.metrics.multi_label import MULTI_LABEL_METRICS
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.metrics.single_label import METRICS, OfflineMetric
from audio_cls.evaluation.metrics.thresholds import tune_thresholds


def list_metrics(*, is_multilabel: bool) -> Mapping[str, type[OfflineMetric]]:
    """Return our metrics by key, of one kind of task."""
    return MULTI_LABEL_METRICS if is_multilabel else METRICS


def compute_metrics(scores: Scores, keys: Sequence[str] | None = None) -> dict[str, float]:
    """Compute metrics of ours; those that mean nothing for so many labels are left out.

    Args:
        scores: A row a clip.
        keys: Which ones; None for all of the task.
    """
    metrics = list_metrics(is_multilabel=scores.is_multilabel)
    num_labels = scores.probabilities.shape[1]
    suited = [metrics[k]() for k in keys or metrics if metrics[k].suits(num_labels)]
    result = evaluate.combine(suited).compute(
        predictions=scores.predictions.tolist(),
        references=scores.labels.tolist(),
        prediction_scores=scores.probabilities.tolist(),
    )
    return {metric.key: float(result[metric.key]) for metric in suited}


def tune(scores: Scores) -> Scores:
    """Return the scores with each label's best threshold on these very clips, if multi-label."""
    if not scores.is_multilabel:
        return scores
    return replace(scores, thresholds=tune_thresholds(scores.labels, scores.probabilities))
