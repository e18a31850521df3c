"""One temperature: found where it is known, and harmless to predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_scores import make_scores

from audio_cls.evaluation.metrics.calibration import (
    MIN_MISTAKES,
    calibrate,
    fit_temperature,
    report_calibration,
)
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.validate import evaluate_test, fit_calibration
from audio_cls.inference.aggregation import apply_temperature
from audio_cls.run_warnings import collect_warnings


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
        Scores(sure.ids[part], sure.targets[part], sure.probabilities[part])
        for part in (slice(3_000), slice(3_000, None))
    )
    told = report_calibration(second, fit_calibration(first), is_applied=False)
    assert told["ece_before"] > 0.1
    assert told["ece_after"] < 0.03
    assert told["log_loss_after"] < told["log_loss_before"]


def make_sure(num_clips: int, num_mistakes: int, confidence: float) -> Scores:
    """Return clips of three labels, all predicted with one confidence, the first ones wrongly."""
    labels = np.arange(num_clips) % 3
    said = np.where(np.arange(num_clips) < num_mistakes, (labels + 1) % 3, labels)
    rest = (1 - confidence) / 2
    probabilities = np.where(np.eye(3)[said] > 0, confidence, rest).round(6)
    return Scores(np.arange(num_clips).astype(str), labels, probabilities)


@pytest.mark.parametrize("confidence", [0.4, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("num_mistakes", [0, MIN_MISTAKES - 1])
def test_a_validation_with_hardly_a_mistake_cannot_push_the_temperature_below_1(
    num_mistakes: int, confidence: float
) -> None:
    decision = fit_calibration(make_sure(300, num_mistakes, confidence))
    assert decision.temperature >= 1
    assert decision.origin is not None
    assert decision.origin["lowest_temperature"] == 1
    assert decision.origin["num_mistakes"] == num_mistakes


def test_few_clips_without_a_mistake_are_taken_for_less_than_certain() -> None:
    # Every clip has the same probabilities, so that the fit reaches the smoothed target: of 30
    # clips, 1 - 1 / 32. With logits d apart that is the softmax of d / T.
    few = make_sure(30, 0, 0.995)
    distance = np.log(0.995 / 0.0025)
    expected = distance / np.log((31 / 32) / (1 / 64))
    assert fit_temperature(few) == pytest.approx(expected, rel=1e-3)
    many = make_sure(100_000, 0, 0.995)
    assert fit_temperature(many) == 1


def test_marks_without_a_mistake_cannot_push_the_temperature_below_1_either() -> None:
    marks = (np.arange(80).reshape(40, 2) % 3 == 0).astype(np.int64)
    scores = Scores(np.arange(40).astype(str), marks, np.where(marks > 0, 0.7, 0.3))
    assert fit_temperature(scores) == 1
    # 0.995 against the target 1 - 1 / 42.
    sure = replace(scores, probabilities=np.where(marks > 0, 0.995, 0.005))
    assert fit_temperature(sure) == pytest.approx(np.log(199) / np.log(41), rel=1e-3)


def test_nothing_is_fitted_on_clips_that_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    texts = collect_warnings()
    scores = make_sure(60, 20, 0.99)

    class Known:
        """A scorer that has the scores already."""

        def score(self, model: object, clips: Scores) -> Scores:
            """Return them."""
            return clips

    decision, found = evaluate_test(Known(), None, scores, scores)  # type: ignore[arg-type]
    assert (decision.temperature, decision.thresholds) == (1, None)
    told = report_calibration(found, decision, is_applied=False)
    assert told["fitted_on"] is None and told["ece_after"] == told["ece_before"]
    assert len(texts) == 1 and "stays 1" in texts[0]
    other = replace(scores, ids=np.array([f"x{n}" for n in range(60)]))
    decision, _ = evaluate_test(Known(), None, other, scores)  # type: ignore[arg-type]
    assert decision.temperature > 1
    assert report_calibration(found, decision, is_applied=False)["fitted_on"] == "validation"
