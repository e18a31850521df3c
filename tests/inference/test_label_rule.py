"""Label rule: temperature, thresholds and rejection by hand."""

from __future__ import annotations

import numpy as np
import pytest

from audio_cls.errors import ModelError, SettingError
from audio_cls.inference.label_rule import LabelRule
from audio_cls.inference.prediction import UNKNOWN

NAMES = ("a", "b;c", "d")


def test_the_largest_score_gives_the_label() -> None:
    found = LabelRule(NAMES).decide(np.array([0.2, 0.7, 0.1]))
    assert found == ("b;c", 0.7, {"a": 0.2, "b;c": 0.7, "d": 0.1}, None)


def test_a_score_below_the_reject_threshold_is_unknown_and_keeps_its_scores() -> None:
    rule = LabelRule(NAMES, reject_below=0.71)
    found = rule.decide(np.array([0.2, 0.7, 0.1]))
    assert (found.label, found.score, found.scores["b;c"]) == (UNKNOWN, 0.7, 0.7)
    assert rule.decide(np.array([0.71, 0.2, 0.09])).label == "a"


def test_several_labels_reach_their_thresholds_and_are_sorted_by_score() -> None:
    rule = LabelRule(NAMES, is_multilabel=True, thresholds=np.array([0.3, 0.5, 0.9]))
    found = rule.decide(np.array([0.3, 0.6, 0.8]))
    assert (found.labels, found.label, found.score) == (["b;c", "a"], "b\\;c;a", 0.8)
    rejecting = LabelRule(NAMES, is_multilabel=True, reject_below=0.9)
    assert rejecting.decide(np.array([0.3, 0.6, 0.8]))[::3] == (UNKNOWN, [])


def test_the_temperature_changes_scores_and_no_label() -> None:
    probabilities, thresholds = np.array([0.3, 0.6, 0.8]), np.array([0.3, 0.7, 0.79])
    plain = LabelRule(NAMES, is_multilabel=True, thresholds=thresholds)
    scaled = LabelRule(NAMES, is_multilabel=True, thresholds=thresholds, temperature=3.0)
    assert plain.decide(probabilities).labels == scaled.decide(probabilities).labels == ["d", "a"]
    odds = (0.8 / 0.2) ** (1 / 3)
    assert scaled.decide(probabilities).score == pytest.approx(odds / (1 + odds), abs=1e-6)


def test_labels_are_those_of_evaluation_where_the_temperature_makes_scores_equal() -> None:
    found = LabelRule(NAMES, temperature=4.0).decide(np.array([0.333333, 0.333334, 0.333333]))
    assert (found.label, found.score, found.scores["a"]) == ("b;c", 0.333334, 0.333333)
    thresholds = np.array([0.500001, 0.5, 0.499999])
    rule = LabelRule(NAMES, is_multilabel=True, temperature=4.0, thresholds=thresholds)
    assert rule.decide(np.array([0.5, 0.5, 0.5])).labels == ["b;c", "d"]


def test_scores_that_are_not_finite_give_no_label() -> None:
    with pytest.raises(ModelError, match="not finite"):
        LabelRule(NAMES).decide(np.array([0.5, np.nan, 0.5]))


@pytest.mark.parametrize("value", [-0.1, 1.5, "0.5", float("nan")])
def test_a_reject_threshold_that_is_no_probability_is_refused(value: float) -> None:
    with pytest.raises(SettingError, match="from 0 to 1"):
        LabelRule(NAMES, reject_below=value)
