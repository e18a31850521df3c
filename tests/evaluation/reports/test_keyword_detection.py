"""Tests of audio_cls.evaluation.reports.keyword_detection."""

from __future__ import annotations

import numpy as np
import pytest

from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.reports.keyword_detection import (
    bound_hourly,
    find_operating_point,
    report_detection,
)

NAMES = ("yes", "no", "_silence_", "_unknown_")
# Ten keyword clips: eight fire their own word with 0.95, 0.9 ... 0.6, one is taken for the other
# word, one for silence. Four clips without a keyword, whose best keyword has 0.92, 0.72, 0.3, 0.01.
KEYWORDS = [[p, 0.01, 0.02, 0.97 - p] for p in np.arange(0.95, 0.59, -0.05)]
KEYWORDS += [[0.1, 0.8, 0.05, 0.05], [0.2, 0.1, 0.6, 0.1]]
OTHERS = [[0.92, 0, 0.04, 0.04], [0.1, 0.72, 0.1, 0.08], [0.3, 0.3, 0.2, 0.2], [0.01, 0, 0.9, 0.09]]
TRUE = np.array([0] * 10 + [3, 3, 3, 2])
SCORES = np.array(KEYWORDS + OTHERS)
IS_KEYWORD = np.array([True, True, False, False])


def make_scores(true: np.ndarray, probabilities: np.ndarray) -> Scores:
    """Return scores of numbered clips."""
    return Scores(np.array([f"c{n}" for n in range(len(true))]), true, probabilities)


@pytest.mark.parametrize(
    ("allowed", "threshold", "rejects", "accepts"),
    [
        (0.5, 0.75, 0.5, 1),  # 0.95 to 0.75 fire: five; of the others only 0.92 does
        (0.4, 0.7, 0.4, 2),  # 0.72 fires as well
        (0.2, 0.6, 0.2, 2),  # all eight own words
        (0.1, 0.2, 0.1, 3),  # and the one taken for silence, by its keyword's 0.2
    ],
)
def test_the_threshold_is_the_highest_that_misses_few_enough(
    allowed: float, threshold: float, rejects: float, accepts: int
) -> None:
    point = find_operating_point(TRUE, SCORES, IS_KEYWORD, allowed)
    assert point is not None
    assert point.threshold == pytest.approx(threshold)
    assert (point.false_rejects, point.false_accepts) == (pytest.approx(rejects), accepts)


def test_a_keyword_taken_for_another_cannot_be_found_by_any_threshold() -> None:
    assert find_operating_point(TRUE, SCORES, IS_KEYWORD, 0.05) is None


def test_missing_all_keywords_accepts_nothing() -> None:
    point = find_operating_point(TRUE, SCORES, IS_KEYWORD, 1.0)
    assert point is not None and (point.false_rejects, point.false_accepts) == (1.0, 0)


def test_false_accepts_are_per_hour_of_audio_without_keywords() -> None:
    seconds = np.array([1.0] * 10 + [2.0, 2.0, 2.0, 3.0])
    report = report_detection(make_scores(TRUE, SCORES), NAMES, seconds)["detection"]
    assert (report["keyword_clips"], report["other_clips"], report["other_seconds"]) == (10, 4, 9.0)
    assert [point["allowed_false_rejects"] for point in report["points"]] == [0.01, 0.05, 0.1]
    assert report["points"][0]["threshold"] is None
    last = report["points"][2]
    assert (last["false_accepts"], last["false_accepts_per_hour"]) == (3, 1200.0)


def test_none_in_an_hour_still_allows_almost_four() -> None:
    assert bound_hourly(0, 1.0) == (0.0, pytest.approx(3.689, abs=1e-3))
    assert bound_hourly(0, 10.0)[1] == pytest.approx(0.3689, abs=1e-4)
    low, high = bound_hourly(10, 1.0)
    assert (low, high) == (pytest.approx(4.795, abs=1e-3), pytest.approx(18.39, abs=1e-2))


@pytest.mark.parametrize("names", [("a", "b", "c", "d"), ("yes", "no", "up", "go")])
def test_a_classifier_of_other_things_has_no_detection(names: tuple[str, ...]) -> None:
    assert report_detection(make_scores(TRUE, SCORES), names, np.ones(14)) == {}


def test_without_lengths_or_without_both_kinds_of_clips_nothing_is_reported() -> None:
    assert report_detection(make_scores(TRUE, SCORES), NAMES, None) == {}
    for rows in (slice(0, 10), slice(10, 14)):
        own = make_scores(TRUE[rows], SCORES[rows])
        assert report_detection(own, NAMES, np.ones(len(own.targets))) == {}
