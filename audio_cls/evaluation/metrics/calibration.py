"""Temperature scaling: one temperature, fitted on validation (Guo et al. 2017, arXiv:1706.04599).

It is applied to a clip's probabilities, after its windows were aggregated: p**(1 / temperature),
scaled to sum 1. For mean-logit that is the softmax of the mean logits divided by the temperature.
Where each label has a probability of its own, its log odds are divided instead, and its threshold
moves along. No prediction changes by it.

The log loss alone has no minimum where validation has no mistake: the temperature would fall to its
bound, and every sound would score 1.000. Two rules prevent that:

- the targets are smoothed, after Platt 1999 (Advances in Large Margin Classifiers): of N clips, the
  true label counts 1 - 1 / (N + 2), and the other labels share the rest;
- the temperature is at least 1 as long as validation has fewer than `MIN_MISTAKES` mistakes: so few
  cannot show that the scores are too low.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]

from audio_cls.evaluation.metrics.probabilistic import (
    expected_calibration_error,
    log_loss,
    one_hot_targets,
)
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.metrics.thresholds import DEFAULT_THRESHOLD
from audio_cls.inference.aggregation import DECIMALS, MIN_PROBABILITY, apply_temperature

MAX_TEMPERATURE = (
    20.0  # a temperature beyond this, or below its inverse, says that nothing was learnt
)
MIN_MISTAKES = 10  # of validation, below which the temperature is at least 1
SHARED_CLIPS = (
    "Test clips are validation clips too: the temperature stays 1 (and the threshold of each label"
    " 0.5), because fitting them on the reported clips would flatter the reported scores."
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decision:
    """What validation decides beside the epoch: temperature and thresholds."""

    temperature: float = 1.0
    thresholds: NDArray[np.float64] | None = None  # of each label, (L,); None for 0.5
    origin: Mapping[str, Any] | None = None  # how it was fitted, for results.json


def count_mistakes(scores: Scores) -> int:
    """Count the clips with a wrong label; multi-label: the wrong clip-label pairs at 0.5."""
    if scores.is_multilabel:
        return int(((scores.probabilities >= DEFAULT_THRESHOLD) != (scores.labels > 0)).sum())
    return int((~scores.is_right).sum())


def find_lowest(scores: Scores) -> float:
    """Return the lowest temperature that these clips allow."""
    return 1.0 if count_mistakes(scores) < MIN_MISTAKES else 1 / MAX_TEMPERATURE


def fit_temperature(scores: Scores) -> float:
    """Return the temperature with the smallest log loss on these clips, to four decimals.

    The targets are smoothed and the temperature has a lower bound, see the module's text.

    Args:
        scores: Of validation clips: on test clips the fit would flatter itself.
    """
    targets = _smooth_targets(scores)

    def compute_loss(log_temperature: float) -> float:
        temperature = float(np.exp(log_temperature))
        scaled = apply_temperature(
            scores.probabilities, temperature, is_multilabel=scores.is_multilabel
        )
        losses = targets * np.log(np.maximum(scaled, MIN_PROBABILITY))
        if scores.is_multilabel:
            losses += (1 - targets) * np.log(np.maximum(1 - scaled, MIN_PROBABILITY))
        return -float(losses.sum())

    bounds = (float(np.log(find_lowest(scores))), float(np.log(MAX_TEMPERATURE)))
    found = minimize_scalar(compute_loss, bounds=bounds, method="bounded")
    # A bounded search stops just short of a bound where the minimum lies.
    best = min((found.x, bounds[0]), key=compute_loss)
    return round(float(np.exp(best)), 4)


def _smooth_targets(scores: Scores) -> NDArray[np.float64]:
    """Return the target probability of each label, (N, L)."""
    num_clips, num_labels = scores.probabilities.shape
    share = 1 / (num_clips + 2)
    others = share if scores.is_multilabel else share / max(1, num_labels - 1)
    return np.asarray(np.where(one_hot_targets(scores.labels, num_labels), 1 - share, others))


def calibrate(scores: Scores, temperature: float) -> Scores:
    """Return the scores at a temperature, rounded like those that were given."""
    if scores.is_multilabel:
        return _calibrate_marks(scores, temperature)
    warm = apply_temperature(scores.probabilities, temperature).round(DECIMALS)
    # Rounding may tie the two best labels; the prediction must stay what it was.
    return replace(scores, probabilities=_keep_best(warm, scores.predictions))


def scale_thresholds(thresholds: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return the thresholds (L,) that draw the same lines after the temperature."""
    warm = apply_temperature(thresholds, temperature, is_multilabel=True).round(DECIMALS)
    return np.maximum(warm, 10.0**-DECIMALS)


def _calibrate_marks(scores: Scores, temperature: float) -> Scores:
    """Move each label's probabilities and its threshold, and no prediction."""
    thresholds = scale_thresholds(scores.own_thresholds, temperature)
    warm = apply_temperature(scores.probabilities, temperature, is_multilabel=True).round(DECIMALS)
    # Rounding may bring a probability and the threshold above it level.
    below = np.minimum(warm, (thresholds - 10.0**-DECIMALS).round(DECIMALS))
    kept = np.where(scores.predictions > 0, np.maximum(warm, thresholds), below)
    return replace(scores, probabilities=kept, thresholds=thresholds)


def _keep_best(probabilities: NDArray[np.float64], best: NDArray[np.int64]) -> NDArray[np.float64]:
    """Raise the best label by one last decimal where rounding put an earlier one level with it."""
    rows = np.flatnonzero(probabilities.argmax(axis=1) != best)
    kept = probabilities.copy()
    kept[rows, best[rows]] = (kept[rows].max(axis=1) + 10.0**-DECIMALS).round(DECIMALS)
    return kept


def report_calibration(scores: Scores, decision: Decision, *, is_applied: bool) -> dict[str, Any]:
    """Return the `calibration` part of results.json: the test before and after the temperature.

    Args:
        scores: Of the test clips, as the model gave them.
        decision: Its temperature, and how that was fitted.
        is_applied: The `test` part and predictions.csv are those after.
    """
    after = calibrate(scores, decision.temperature)
    return {
        "temperature": decision.temperature,
        **(decision.origin or {}),
        "is_applied": is_applied,
        **{
            f"{name}_{when}": round(function(some.labels, some.probabilities), 4)
            for name, function in (("ece", expected_calibration_error), ("log_loss", log_loss))
            for when, some in (("before", scores), ("after", after))
        },
    }
