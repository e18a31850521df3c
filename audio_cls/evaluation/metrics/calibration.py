"""Temperature scaling, fitted on validation (Guo et al. 2017, arXiv:1706.04599).

The temperature is applied to the probabilities of a clip, after its windows were aggregated:
p**(1 / temperature), divided by the sum. For mean-logit that is the softmax of the mean logits
divided by the temperature. If multi-label, the log odds of each label are divided instead, and its
threshold is scaled in the same way. No prediction changes.

Log loss alone has no minimum where validation has no mistake: the temperature would fall to its
bound, and every score would be 1.000. Two rules prevent that:

- the targets are smoothed, after Platt 1999 (Advances in Large Margin Classifiers): with N clips,
  the target of the true label is 1 - 1 / (N + 2), and the other labels share the rest;
- the temperature is at least 1 as long as validation has fewer than `MIN_MISTAKES` mistakes, which
  are too few to show that the scores are too low.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]

from audio_cls.evaluation.metrics.base import Floats, Ids
from audio_cls.evaluation.metrics.probabilistic import (
    expected_calibration_error,
    log_loss,
    one_hot_targets,
)
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.metrics.thresholds import DEFAULT_THRESHOLD
from audio_cls.inference.aggregation import DECIMALS, MIN_PROBABILITY, apply_temperature
from audio_cls.run_warnings import warn

MAX_TEMPERATURE = 20.0  # and 1/20 the smallest: beyond them, the model has learned nothing
MIN_MISTAKES = 10  # of validation, below which the temperature is at least 1
AT_LIMIT = 0.01  # relative distance from a limit at which the search has ended there
LIMITS = {  # which limit the search ended at -> what that means
    "highest": "the model hardly distinguishes the classes on validation, and its calibrated scores"
    " are nearly equal",
    "lowest": "the scores of the model are far too low for its accuracy on validation",
}
STEP = 10.0**-DECIMALS  # between two rounded probabilities

logger = logging.getLogger(__name__)
SHARED_CLIPS = (
    "Test clips are validation clips too: the temperature stays 1 (multi-label: every threshold"
    " stays 0.5), because fitting on the reported clips would make the reported scores too good."
)


@dataclass(frozen=True)
class Calibration:
    """What is fitted on validation after training: temperature and thresholds."""

    temperature: float = 1.0
    thresholds: Floats | None = None  # of each label, (L,); None for 0.5
    origin: Mapping[str, Any] | None = None  # how it was fitted, for results.json


def fit_calibration(scores: Scores) -> Calibration:
    """Return the temperature and, if multi-label, the thresholds that are best on validation."""
    temperature = fit_temperature(scores)
    origin = {
        "fitted_on": "validation",
        "num_examples": len(scores.targets),
        "num_mistakes": count_mistakes(scores),
        "lowest_temperature": find_min_temperature(scores),
        "reached_limit": _find_limit(temperature),
    }
    thresholds = scores.with_tuned_thresholds().thresholds
    return Calibration(temperature, thresholds, origin)


def warn_of_limit(calibration: Calibration) -> None:
    """Warn where the fitted temperature is a limit of the search."""
    limit = (calibration.origin or {}).get("reached_limit")
    if limit is not None:
        text = (
            f"The temperature was fitted to {calibration.temperature:.2f}, the {limit} that is"
            f" tried: {LIMITS[limit]}. Do not rely on the calibrated scores."
        )
        warn(logger, text)


def _find_limit(temperature: float) -> str | None:
    """Return which limit of the search a temperature is at: "highest", "lowest" or None.

    The limit 1 of a validation with few mistakes is no failed search.
    """
    if temperature > MAX_TEMPERATURE * (1 - AT_LIMIT):
        return "highest"
    return "lowest" if temperature < (1 + AT_LIMIT) / MAX_TEMPERATURE else None


def count_mistakes(scores: Scores) -> int:
    """Return the number of wrong clips; if multi-label, of wrong clip-label pairs at 0.5."""
    if scores.is_multilabel:
        predictions = scores.probabilities >= DEFAULT_THRESHOLD
        return int((predictions != (scores.targets > 0)).sum())
    return int((~scores.is_correct).sum())


def find_min_temperature(scores: Scores) -> float:
    """Return the lowest temperature that may be fitted on these clips."""
    return 1.0 if count_mistakes(scores) < MIN_MISTAKES else 1 / MAX_TEMPERATURE


def fit_temperature(scores: Scores) -> float:
    """Return the temperature with the smallest log loss on these clips, to four decimals.

    The targets are smoothed and the temperature has a lower bound, see the module's docstring.

    Args:
        scores: Of validation clips; fitted on test clips, it would flatter their scores.
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

    bounds = (float(np.log(find_min_temperature(scores))), float(np.log(MAX_TEMPERATURE)))
    found = minimize_scalar(compute_loss, bounds=bounds, method="bounded")
    # A bounded search never tries the bound itself, where the minimum may be.
    best = min((found.x, bounds[0]), key=compute_loss)
    return round(float(np.exp(best)), 4)


def _smooth_targets(scores: Scores) -> Floats:
    """Return the target probability of each label, (N, L)."""
    num_clips, num_labels = scores.probabilities.shape
    share = 1 / (num_clips + 2)
    others = share if scores.is_multilabel else share / max(1, num_labels - 1)
    return np.asarray(np.where(one_hot_targets(scores.targets, num_labels), 1 - share, others))


def calibrate(scores: Scores, temperature: float) -> Scores:
    """Return the scores after a temperature, rounded again; no prediction changes."""
    if scores.is_multilabel:
        return _calibrate_labels(scores, temperature)
    scaled = apply_temperature(scores.probabilities, temperature).round(DECIMALS)
    return replace(scores, probabilities=_keep_predictions(scaled, scores.predictions))


def scale_thresholds(thresholds: Floats, temperature: float) -> Floats:
    """Return the thresholds (L,) that lead to the same predictions after the temperature."""
    scaled = apply_temperature(thresholds, temperature, is_multilabel=True).round(DECIMALS)
    return np.maximum(scaled, STEP)


def _calibrate_labels(scores: Scores, temperature: float) -> Scores:
    """Do what `calibrate` does if multi-label; thresholds are scaled, too."""
    thresholds = scale_thresholds(scores.label_thresholds, temperature)
    scaled = apply_temperature(scores.probabilities, temperature, is_multilabel=True).round(
        DECIMALS
    )
    # Rounding may make a probability equal to the threshold above it.
    below = np.minimum(scaled, (thresholds - STEP).round(DECIMALS))
    kept = np.where(scores.predictions > 0, np.maximum(scaled, thresholds), below)
    return replace(scores, probabilities=kept, thresholds=thresholds)


def _keep_predictions(probabilities: Floats, predictions: Ids) -> Floats:
    """Raise the predicted label by one step where rounding made an earlier label equal to it."""
    rows = np.flatnonzero(probabilities.argmax(axis=1) != predictions)
    kept = probabilities.copy()
    kept[rows, predictions[rows]] = (kept[rows].max(axis=1) + STEP).round(DECIMALS)
    return kept


def report_calibration(
    scores: Scores, calibration: Calibration, *, is_applied: bool
) -> dict[str, Any]:
    """Return the `calibration` part of results.json: test scores before and after.

    Args:
        scores: Of the test clips, before the temperature.
        calibration: The temperature, and how it was fitted.
        is_applied: The `test` part and predictions.csv are those after the temperature.
    """
    after = calibrate(scores, calibration.temperature)
    return {
        "temperature": calibration.temperature,
        **(calibration.origin or {}),
        "is_applied": is_applied,
        **{
            f"{name}_{when}": round(function(part.targets, part.probabilities), 4)
            for name, function in (("ece", expected_calibration_error), ("log_loss", log_loss))
            for when, part in (("before", scores), ("after", after))
        },
    }
