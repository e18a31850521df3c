"""Events are matched one to one, with as many pairs as possible, the closest of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from audio_cls.evaluation.events.matching import match_events, match_onsets
from audio_cls.evaluation.events.scores import average_f1, count_classes, sum_counts
from audio_cls.inference.events.event import Event


@pytest.mark.parametrize("seed", range(20))
def test_the_number_of_pairs_is_that_of_a_maximum_matching(seed: int) -> None:
    rng = np.random.default_rng(seed)
    annotated, predicted = (np.sort(rng.uniform(0, 30, rng.integers(0, 60))) for _ in range(2))
    pairs = match_onsets(annotated, predicted, 0.5)
    is_near = np.abs(annotated[:, None] - predicted[None]) <= 0.5
    expected = maximum_bipartite_matching(csr_array(is_near), perm_type="column")
    assert len(pairs) == (expected >= 0).sum()
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(is_near[pair] for pair in pairs)


def test_of_the_matchings_with_most_pairs_the_closest_is_chosen() -> None:
    assert match_onsets(np.array([1.0]), np.array([0.6, 1.1, 1.4]), 0.5) == [(0, 1)]
    # 1.0 could have 1.05, but then 1.5 would have no pair
    assert match_onsets(np.array([1.0, 1.5]), np.array([0.6, 1.05]), 0.5) == [(0, 0), (1, 1)]


def test_the_tolerance_includes_its_value_and_thousands_of_events_are_quick() -> None:
    assert match_onsets(np.array([0.1]), np.array([0.3]), 0.2) == [(0, 0)]
    assert match_onsets(np.array([0.1]), np.array([0.301]), 0.2) == []
    onsets = np.arange(4_000) * 0.3
    assert len(match_onsets(onsets, onsets + 0.1, 0.5)) == 4_000


def test_scores_by_hand() -> None:
    annotated = [
        Event("a", 1.0, 2.0, "dog"),
        Event("a", 5.0, 6.0, "dog"),
        Event("b", 1.0, 2.0, "dog"),
        Event("b", 1.0, 2.0, "cat"),
    ]
    predicted = [
        Event("a", 1.4, 2.0, "dog", 0.9),  # matched
        Event("a", 0.8, 2.0, "dog", 0.8),  # the closer one: matched, and 1.4 is a false alarm
        Event("a", 1.0, 2.0, "cat", 0.7),  # another label
        Event("b", 4.0, 9.0, "dog", 0.6),  # too late
        Event("b", 1.0, 9.0, "cat", 0.5),  # matched: ends are not compared
        Event("b", 7.0, 9.0, "cow", 0.5),  # a class without annotations
    ]
    matches = match_events(annotated, predicted, 0.5)
    found = [(one.event.file, one.event.start, one.event.label, one.result) for one in matches]
    assert found == [
        ("a", 1.0, "cat", "false alarm"),
        ("a", 1.0, "dog", "matched"),
        ("a", 1.4, "dog", "false alarm"),
        ("a", 5.0, "dog", "missed"),
        ("b", 1.0, "cat", "matched"),
        ("b", 1.0, "dog", "missed"),
        ("b", 4.0, "dog", "false alarm"),
        ("b", 7.0, "cow", "false alarm"),
    ]
    classes = count_classes(matches)
    assert list(classes) == ["cat", "cow", "dog"]
    dog, cat, cow = classes["dog"], classes["cat"], classes["cow"]
    assert (dog.precision, dog.recall, dog.f1) == (1 / 3, 1 / 3, 1 / 3)
    assert (cat.precision, cat.recall, cat.f1) == (1 / 2, 1, 2 / 3)
    assert (cow.precision, cow.recall, cow.f1) == (0, None, 0)
    micro = sum_counts(classes.values())
    assert (micro.precision, micro.recall, micro.f1) == (2 / 6, 2 / 4, 4 / 10)
    assert average_f1(classes.values()) == pytest.approx((1 / 3 + 2 / 3) / 2)  # without cow
    assert dog.to_json(hours=0.5)["false_alarms_per_hour"] == 4
