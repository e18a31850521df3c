"""Whether 0.9 means right nine times of ten: one temperature, fitted on validation.

Guo et al. 2017 (arXiv:1706.04599), section 4.2. It is applied to a clip's probabilities, after its
windows were brought together: p**(1 / temperature), scaled to sum 1. For mean-logit that is the
softmax of the mean logits divided by the temperature. Where each label has a probability of its
own, its log odds are divided instead, and its threshold moves along. No prediction changes by it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]
from torch import nn

from audio_cls.data.clips import Clips
from audio_cls.data.windows import apply_temperature
from audio_cls.evaluation.judging import tune
from audio_cls.evaluation.scores import expected_calibration_error, log_loss
from audio_cls.evaluation.scoring import DECIMALS, Scorer, Scores

__all__ = ["apply_temperature", "calibrate", "fit_temperature", "report_calibration"]

HOTTEST = 20.0  # a temperature beyond this, or below its inverse, says that nothing was learnt


def fit_temperature(scores: Scores) -> float:
    """Return the temperature with the smallest log loss on these clips, to four decimals.

    Args:
        scores: Of validation clips: on test clips the fit would flatter itself.
    """

    def judge(log_temperature: float) -> float:
        warm = apply_temperature(
            scores.probabilities,
            float(np.exp(log_temperature)),
            is_multilabel=scores.is_multilabel,
        )
        return log_loss(scores.labels, warm)

    limit = float(np.log(HOTTEST))
    found = minimize_scalar(judge, bounds=(-limit, limit), method="bounded")
    return round(float(np.exp(found.x)), 4)


def fit_decision(scores: Scores) -> tuple[float, NDArray[np.float64] | None]:
    """Return the temperature, and each label's threshold (L,), that are best on these clips.

    There are no thresholds where a clip has one label.
    """
    return fit_temperature(scores), tune(scores).thresholds


def judge_test(
    scorer: Scorer, model: nn.Module, validation: Clips, test: Clips
) -> tuple[float, Scores]:
    """Score the test clips by what is best on validation. Call on every process.

    Returns:
        The temperature, not yet applied, and the scores with their thresholds.
    """
    temperature, thresholds = fit_decision(scorer.score(model, validation))
    return temperature, replace(scorer.score(model, test), thresholds=thresholds)


def calibrate(scores: Scores, temperature: float) -> Scores:
    """Return the scores at a temperature, rounded like those that were given."""
    if scores.is_multilabel:
        return _calibrate_marks(scores, temperature)
    warm = apply_temperature(scores.probabilities, temperature).round(DECIMALS)
    # Rounding may tie the two best labels; the prediction must stay what it was.
    return replace(scores, probabilities=_keep_best(warm, scores.predictions))


def warm_thresholds(thresholds: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return the thresholds (L,) that draw the same lines after the temperature."""
    warm = apply_temperature(thresholds, temperature, is_multilabel=True).round(DECIMALS)
    return np.maximum(warm, 10.0**-DECIMALS)


def _calibrate_marks(scores: Scores, temperature: float) -> Scores:
    """Move each label's probabilities and its threshold, and no prediction."""
    thresholds = warm_thresholds(scores.own_thresholds, temperature)
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


def report_calibration(scores: Scores, temperature: float, *, is_applied: bool) -> dict[str, Any]:
    """Return the `calibration` part of results.json: the test before and after the temperature.

    Args:
        scores: Of the test clips, as the model gave them.
        temperature: Fitted on validation.
        is_applied: The `test` part and predictions.csv are those after.
    """
    after = calibrate(scores, temperature)
    return {
        "temperature": temperature,
        "is_applied": is_applied,
        **{
            f"{name}_{when}": round(function(some.labels, some.probabilities), 4)
            for name, function in (("ece", expected_calibration_error), ("log_loss", log_loss))
            for when, some in (("before", scores), ("after", after))
        },
    }
