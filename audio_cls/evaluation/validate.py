"""Validation during training, and the test with a temperature fitted on validation."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from torch import nn

from audio_cls.config import EvalConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.evaluation.metrics.baseline import Floats, compute_baselines, find_majority
from audio_cls.evaluation.metrics.calibration import (
    SHARED_CLIPS,
    Decision,
    count_mistakes,
    find_lowest,
    fit_temperature,
)
from audio_cls.evaluation.metrics.external import Metric, load_metric
from audio_cls.evaluation.metrics.registry import compute_metrics, tune
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.metrics.single_label import Ids
from audio_cls.evaluation.reports.report import list_headlines
from audio_cls.evaluation.scorer import Scorer
from audio_cls.inference.aggregation import DECIMALS
from audio_cls.run_warnings import warn

logger = logging.getLogger(__name__)


def fit_decision(scores: Scores) -> Decision:
    """Return the temperature, and each label's threshold, that are best on validation.

    There are no thresholds where a clip has one label.
    """
    origin = {
        "fitted_on": "validation",
        "num_examples": len(scores.labels),
        "num_mistakes": count_mistakes(scores),
        "lowest_temperature": find_lowest(scores),
    }
    return Decision(fit_temperature(scores), tune(scores).thresholds, origin)


def evaluate_test(
    scorer: Scorer, model: nn.Module, validation: Clips, test: Clips
) -> tuple[Decision, Scores]:
    """Score the test clips by what is best on validation. Call on every process.

    Where a clip is in both, nothing is fitted: the temperature is 1 and the thresholds are 0.5.

    Returns:
        The decision, whose temperature is not yet applied, and the scores with their thresholds.
    """
    if np.isin(test.ids, validation.ids).any():
        warn(logger, SHARED_CLIPS)
        return Decision(origin={"fitted_on": None}), scorer.score(model, test)
    decision = fit_decision(scorer.score(model, validation))
    return decision, replace(scorer.score(model, test), thresholds=decision.thresholds)


def make_validator(
    scorer: Scorer, clips: Clips, cfg: EvalConfig, train_labels: Ids | Floats | None = None
) -> Callable[[nn.Module], dict[str, float]]:
    """Return the function that judges a model on these clips; it is called on every process.

    Multi-label: each label counts from the threshold that is best on these very clips.

    Args:
        scorer: Runs the model.
        clips: Of validation.
        cfg: The metric that chooses.
        train_labels: Of the training clips; the accuracy of always predicting what is most frequent
            there is reported with the metrics.

    Raises:
        SettingError: `--metric` names no metric, or one that cannot judge this task.
    """
    metric = load_metric(cfg, len(scorer.labels), is_multilabel=scorer.settings.is_multilabel)
    key = cfg.choose_metric(is_multilabel=scorer.settings.is_multilabel).metric_key
    majority = None if train_labels is None else find_majority(train_labels)
    baselines = compute_baselines(clips.labels.astype(np.int64), majority)

    def judge(model: nn.Module) -> dict[str, float]:
        found = summarize_scores(tune(scorer.score(model, clips)), key, metric)
        return {**found, **baselines}

    return judge


def summarize_scores(scores: Scores, key: str, metric: Metric) -> dict[str, float]:
    """Return the headline metrics, the one that chooses and the loss."""
    found = compute_metrics(scores, list_headlines(scores))
    found.setdefault(key, metric(scores))
    return {name: round(value, DECIMALS) for name, value in {**found, "loss": scores.loss}.items()}
