"""Temperature scaling: a known temperature is found, and no prediction changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_scores import make_scores

from audio_cls.evaluation.metrics.calibration import (
    MIN_MISTAKES,
    Calibration,
    calibrate,
    fit_temperature,
    report_calibration,
    warn_of_limit,
)
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.validate import calibrate_model, fit_calibration
from audio_cls.inference.aggregation import apply_temperature
from audio_cls.run_warnings import collect_warnings


def draw_calibrated(num_clips: int, num_labels: int = 4) -> Scores:
    """Draw clips whose labels occur with exactly the given probabilities."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, size=(num_clips, num_labels))
    powers = np.exp(logits)
    calibrated = powers / powers.sum(axis=1, keepdims=True)
    labels = (calibrated.cumsum(axis=1) < rng.random((num_clips, 1))).sum(axis=1)
    ids = np.array([str(number) for number in range(num_clips)])
    return Scores(ids, labels, calibrated.round(6))


@pytest.mark.parametrize("expected", [0.5, 1.0, 2.5])
def test_temperature_that_was_put_in_is_found_again(expected: float) -> None:
    calibrated = draw_calibrated(20_000)
    sharpened = apply_temperature(calibrated.probabilities, 1 / expected).round(6)
    assert fit_temperature(replace(calibrated, probabilities=sharpened)) == pytest.approx(
        expected, rel=0.03
    )


def test_temperature_of_mean_logits_is_the_softmax_of_logits_divided() -> None:
    logits = np.array([[2.0, -1.0, 0.5]])
    soft = np.exp(logits) / np.exp(logits).sum()
    scaled = np.exp(logits / 1.7) / np.exp(logits / 1.7).sum()
    assert apply_temperature(soft, 1.7) == pytest.approx(scaled)


def test_calibration_changes_no_prediction_even_where_rounding_would_tie() -> None:
    scores = make_scores(200, 5)
    tied = np.array([[0.333333, 0.333334, 0.333333]])
    some = Scores(np.array(["a"]), np.array([1]), tied)
    for one in (scores, some):
        scaled = calibrate(one, 15.0)
        assert (scaled.predictions == one.predictions).all()
        assert scaled.probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)


def test_calibration_error_falls_on_clips_that_were_not_fitted() -> None:
    calibrated = draw_calibrated(6_000)
    overconfident = replace(
        calibrated, probabilities=apply_temperature(calibrated.probabilities, 0.4).round(6)
    )
    first, second = (
        Scores(
            overconfident.ids[part], overconfident.targets[part], overconfident.probabilities[part]
        )
        for part in (slice(3_000), slice(3_000, None))
    )
    report = report_calibration(second, fit_calibration(first), is_applied=False)
    assert report["ece_before"] > 0.1
    assert report["ece_after"] < 0.03
    assert report["log_loss_after"] < report["log_loss_before"]


def make_confident(num_clips: int, num_mistakes: int, confidence: float) -> Scores:
    """Return clips of three labels, all predicted with one confidence, the first ones wrongly."""
    labels = np.arange(num_clips) % 3
    predicted = np.where(np.arange(num_clips) < num_mistakes, (labels + 1) % 3, labels)
    rest = (1 - confidence) / 2
    probabilities = np.where(np.eye(3)[predicted] > 0, confidence, rest).round(6)
    return Scores(np.arange(num_clips).astype(str), labels, probabilities)


@pytest.mark.parametrize("confidence", [0.4, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("num_mistakes", [0, MIN_MISTAKES - 1])
def test_a_validation_with_hardly_a_mistake_cannot_push_the_temperature_below_1(
    num_mistakes: int, confidence: float
) -> None:
    calibration = fit_calibration(make_confident(300, num_mistakes, confidence))
    assert calibration.temperature >= 1
    assert calibration.origin is not None
    assert calibration.origin["lowest_temperature"] == 1
    assert calibration.origin["num_mistakes"] == num_mistakes


def test_few_clips_without_a_mistake_are_taken_for_less_than_certain() -> None:
    # Every clip has the same probabilities, so that the fit reaches the smoothed target: of 30
    # clips, 1 - 1 / 32. With logits d apart that is the softmax of d / T.
    few = make_confident(30, 0, 0.995)
    distance = np.log(0.995 / 0.0025)
    expected = distance / np.log((31 / 32) / (1 / 64))
    assert fit_temperature(few) == pytest.approx(expected, rel=1e-3)
    many = make_confident(100_000, 0, 0.995)
    assert fit_temperature(many) == 1


def test_multilabel_scores_without_a_mistake_cannot_push_the_temperature_below_1_either() -> None:
    targets = (np.arange(80).reshape(40, 2) % 3 == 0).astype(np.int64)
    scores = Scores(np.arange(40).astype(str), targets, np.where(targets > 0, 0.7, 0.3))
    assert fit_temperature(scores) == 1
    # 0.995 against the target 1 - 1 / 42.
    overconfident = replace(scores, probabilities=np.where(targets > 0, 0.995, 0.005))
    assert fit_temperature(overconfident) == pytest.approx(np.log(199) / np.log(41), rel=1e-3)


def test_nothing_is_fitted_on_clips_that_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    texts = collect_warnings()
    scores = make_confident(60, 20, 0.99)

    class Known:
        """A scorer that has the scores already."""

        def score(self, model: object, clips: Scores) -> Scores:
            """Return them."""
            return clips

    calibration = calibrate_model(Known(), None, scores, scores)  # type: ignore[arg-type]
    assert (calibration.temperature, calibration.thresholds) == (1, None)
    report = report_calibration(scores, calibration, is_applied=False)
    assert report["fitted_on"] is None and report["ece_after"] == report["ece_before"]
    assert len(texts) == 1 and "stays 1" in texts[0]
    other = replace(scores, ids=np.array([f"x{n}" for n in range(60)]))
    calibration = calibrate_model(Known(), None, other, scores)  # type: ignore[arg-type]
    assert calibration.temperature > 1
    assert report_calibration(scores, calibration, is_applied=False)["fitted_on"] == "validation"


@pytest.mark.parametrize(("confidence", "limit"), [(0.999, "highest"), (0.34, "lowest")])
def test_a_temperature_at_a_limit_of_the_search_is_announced(confidence: float, limit: str) -> None:
    texts = collect_warnings()
    # As many right as by chance, but certain; or nearly all right, but uncertain.
    scores = make_confident(300, 200 if limit == "highest" else 12, confidence)
    calibration = fit_calibration(scores)
    assert calibration.origin is not None and calibration.origin["reached_limit"] == limit
    assert calibration.temperature == pytest.approx(20 if limit == "highest" else 0.05, rel=0.01)
    warn_of_limit(calibration)
    warn_of_limit(Calibration(origin={"reached_limit": None}))
    assert len(texts) == 1 and f"the {limit} that is tried" in texts[0]
