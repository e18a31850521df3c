"""One temperature: found where it is known, and harmless to predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_scores import make_scores

from audio_cls.evaluation.calibration import (
    apply_temperature,
    calibrate,
    fit_temperature,
    report_calibration,
)
from audio_cls.evaluation.scoring import Scores


def draw_honest(num_clips: int, num_labels: int = 4) -> Scores:
    """Draw clips whose labels come about with the very probabilities that are told."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, size=(num_clips, num_labels))
    powers = np.exp(logits)
    honest = powers / powers.sum(axis=1, keepdims=True)
    labels = (honest.cumsum(axis=1) < rng.random((num_clips, 1))).sum(axis=1)
    ids = np.array([str(number) for number in range(num_clips)])
    return Scores(ids, labels, honest.round(6))


@pytest.mark.parametrize("heat", [0.5, 1.0, 2.5])
def test_temperature_that_was_put_in_is_found_again(heat: float) -> None:
    honest = draw_honest(20_000)
    told = apply_temperature(honest.probabilities, 1 / heat).round(6)
    assert fit_temperature(replace(honest, probabilities=told)) == pytest.approx(heat, rel=0.03)


def test_temperature_of_mean_logits_is_the_softmax_of_logits_divided() -> None:
    logits = np.array([[2.0, -1.0, 0.5]])
    soft = np.exp(logits) / np.exp(logits).sum()
    warm = np.exp(logits / 1.7) / np.exp(logits / 1.7).sum()
    assert apply_temperature(soft, 1.7) == pytest.approx(warm)


def test_calibration_changes_no_prediction_even_where_rounding_would_tie() -> None:
    scores = make_scores(200, 5)
    tied = np.array([[0.333333, 0.333334, 0.333333]])
    some = Scores(np.array(["a"]), np.array([1]), tied)
    for one in (scores, some):
        hot = calibrate(one, 15.0)
        assert (hot.predictions == one.predictions).all()
        assert hot.probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)


def test_calibration_error_falls_on_clips_that_were_not_fitted() -> None:
    honest = draw_honest(6_000)
    sure = replace(honest, probabilities=apply_temperature(honest.probabilities, 0.4).round(6))
    first, second = (
        Scores(sure.ids[part], sure.labels[part], sure.probabilities[part])
        for part in (slice(3_000), slice(3_000, None))
    )
    told = report_calibration(second, fit_temperature(first), is_applied=False)
    assert told["ece_before"] > 0.1
    assert told["ece_after"] < 0.03
    assert told["log_loss_after"] < told["log_loss_before"]
