"""Validation during training, and the test with a calibration fitted on validation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from torch import nn

from audio_cls.config import EvalConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.evaluation.metrics.baseline import LabelArray, compute_baselines, find_majority
from audio_cls.evaluation.metrics.calibration import SHARED_CLIPS, Calibration, fit_calibration
from audio_cls.evaluation.metrics.external import MetricFunction, load_metric
from audio_cls.evaluation.metrics.registry import compute_metrics
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.reports.report import list_headlines
from audio_cls.evaluation.scorer import Scorer
from audio_cls.inference.aggregation import DECIMALS
from audio_cls.run_warnings import warn

logger = logging.getLogger(__name__)


def calibrate_model(
    scorer: Scorer,
    model: nn.Module,
    validation: Clips,
    test: Clips,
    validation_scores: Scores | None = None,
    *,
    fitted_on: str = "validation",
) -> Calibration:
    """Fit temperature and thresholds on validation; nothing is scored on test. On every process.

    Where a clip is in both, or without validation clips, nothing is fitted: the temperature is 1
    and the thresholds are 0.5.

    Args:
        scorer: Runs the model.
        model: The classifier.
        validation: Clips to fit on.
        test: Clips that will be scored.
        validation_scores: Those of the model for the validation clips; None: they are computed.
        fitted_on: Name of the clips to fit on.
    """
    is_shared = bool(np.isin(test.ids, validation.ids).any())
    if is_shared or len(validation.ids) == 0:
        if is_shared:
            warn(logger, SHARED_CLIPS)
        return Calibration(origin={"fitted_on": None})
    found = fit_calibration(validation_scores or scorer.score(model, validation))
    return replace(found, origin={**(found.origin or {}), "fitted_on": fitted_on})


def score_test(scorer: Scorer, model: nn.Module, test: Clips, calibration: Calibration) -> Scores:
    """Score the test clips, with the thresholds of a calibration. Call on every process.

    The temperature is not applied.
    """
    scores, thresholds = scorer.score(model, test), calibration.thresholds
    return scores if thresholds is None else replace(scores, thresholds=thresholds)


def make_validator(
    scorer: Scorer, clips: Clips, cfg: EvalConfig, train_labels: LabelArray | None = None
) -> Callable[[nn.Module], dict[str, float]]:
    """Return the function that computes the validation metrics of a model, on every process.

    They are of the windows that `--eval-windows` asks for. Without validation clips it returns no
    metrics.

    Multi-label: the thresholds are those that are best on these very clips.

    Args:
        scorer: Runs the model.
        clips: Of validation.
        cfg: The metric that chooses the best epoch, and the windows that it is computed of.
        train_labels: Of the training clips: the accuracy of always predicting their most frequent
            label is one of the metrics. None: that of the validation clips.

    Raises:
        SettingError: `--metric` names no metric, or one that is not defined for this task.
    """
    if len(clips.ids) == 0:
        return lambda _: {}
    summarize = make_summarizer(cfg, scorer.labels, clips, train_labels)
    return lambda model: summarize(scorer.score(model, clips, windows=cfg.eval_windows))


def make_summarizer(
    cfg: EvalConfig, labels: Sequence[str], clips: Clips, train_labels: LabelArray | None = None
) -> Callable[[Scores], dict[str, float]]:
    """Return the function that computes the validation metrics of scores; see `make_validator`.

    Args:
        cfg: The metric that chooses the best epoch.
        labels: Names of the labels.
        clips: Of validation, which the scores are of.
        train_labels: Of the training clips.
    """
    is_multilabel = clips.labels.ndim > 1
    metric = load_metric(cfg, len(labels), is_multilabel=is_multilabel)
    key = cfg.choose_metric(is_multilabel=is_multilabel).metric_key
    majority = None if train_labels is None else find_majority(train_labels)
    baselines = compute_baselines(clips.labels.astype(np.int64), majority)

    def summarize(scores: Scores) -> dict[str, float]:
        return {**summarize_scores(scores.with_tuned_thresholds(), key, metric), **baselines}

    return summarize


def summarize_scores(scores: Scores, key: str, metric: MetricFunction) -> dict[str, float]:
    """Return the headline metrics, the metric that chooses the best epoch, and the loss."""
    found = compute_metrics(scores, list_headlines(scores))
    found.setdefault(key, metric(scores))
    return {name: round(value, DECIMALS) for name, value in {**found, "loss": scores.loss}.items()}
