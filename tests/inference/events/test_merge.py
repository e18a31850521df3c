"""Windows are merged into events by the rule that `merge_windows` states."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from audio_cls.inference.events.event import Event
from audio_cls.inference.events.merge import merge_windows


@dataclass(frozen=True)
class Row:
    """A window with its prediction."""

    start: float
    end: float
    label: str | None
    score: float | None
    file: str = "a.wav"
    scores: dict[str, float] | None = None
    labels: list[str] | None = None


def test_windows_that_touch_or_overlap_are_one_event_with_the_largest_score() -> None:
    rows = [Row(0, 2, "dog", 0.6), Row(1, 3, "dog", 0.9), Row(3, 5, "dog", 0.7)]
    assert list(merge_windows(rows)) == [Event("a.wav", 0, 5, "dog", 0.9)]


def test_a_gap_longer_than_max_gap_starts_a_new_event() -> None:
    rows = [Row(0, 1, "dog", 0.6), Row(1, 2, "cat", 0.5), Row(2, 3, "dog", 0.9)]
    apart = [Event("a.wav", 0, 1, "dog", 0.6), Event("a.wav", 2, 3, "dog", 0.9)]
    cat = Event("a.wav", 1, 2, "cat", 0.5)
    assert list(merge_windows(rows, max_gap=0.99)) == [apart[0], cat, apart[1]]
    assert list(merge_windows(rows, max_gap=1)) == [Event("a.wav", 0, 3, "dog", 0.9), cat]


def test_times_with_float_noise_still_touch() -> None:
    rows = [Row(0.1 * n, 0.1 * n + 0.1, "dog", 0.5) for n in range(50)]
    rows = [Row(round(one.start, 6), one.end, "dog", 0.5) for one in rows]
    assert len(list(merge_windows(rows))) == 1


def test_a_window_below_the_threshold_ends_an_event() -> None:
    rows = [Row(0, 1, "dog", 0.6), Row(1, 2, "dog", 0.49), Row(2, 3, "dog", 0.5)]
    found = list(merge_windows(rows, threshold=0.5))
    assert [(one.start, one.end) for one in found] == [(0, 1), (2, 3)]


def test_rejected_windows_noise_and_windows_without_scores_are_no_events() -> None:
    rows = [Row(0, 1, "unknown", 0.3), Row(1, 2, "_silence_", 1), Row(2, 3, None, None)]
    assert not list(merge_windows(rows))
    assert len(list(merge_windows(rows, no_event=()))) == 2


def test_short_events_are_left_out_after_merging() -> None:
    rows = [Row(0, 1, "dog", 0.6), Row(1, 2, "dog", 0.6), Row(3, 4, "dog", 0.6)]
    found = list(merge_windows(rows, min_duration=1.5))
    assert found == [Event("a.wav", 0, 2, "dog", 0.6)]


def test_recordings_are_never_merged_with_each_other() -> None:
    rows = [Row(0, 1, "dog", 0.6, "a.wav"), Row(1, 2, "dog", 0.6, "b.wav")]
    assert [one.file for one in merge_windows(rows, max_gap=10)] == ["a.wav", "b.wav"]


@pytest.mark.parametrize(
    ("threshold", "found"),
    [
        (None, [("dog", 0.6, 0, 2), ("cat", 0.3, 1, 2)]),  # the labels that the model chose
        (0.25, [("cat", 0.3, 0, 2), ("dog", 0.6, 0, 2)]),
        (0.55, [("dog", 0.6, 1, 2)]),
        (0.7, []),
    ],
)
def test_each_label_of_a_multi_label_model_has_its_own_events(
    threshold: float | None, found: list[tuple[str, float, float, float]]
) -> None:
    rows = [
        Row(0, 1, "dog", 0.5, scores={"dog": 0.5, "cat": 0.26}, labels=["dog"]),
        Row(1, 2, "dog;cat", 0.6, scores={"dog": 0.6, "cat": 0.3}, labels=["dog", "cat"]),
    ]
    events = merge_windows(rows, threshold=threshold)
    assert [(one.label, one.score, one.start, one.end) for one in events] == found
