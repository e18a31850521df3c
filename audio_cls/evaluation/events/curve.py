"""Threshold curve: counts of events for several thresholds of the windows' scores."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from audio_cls.config import Seconds
from audio_cls.evaluation.events.matching import EventMatch, match_events
from audio_cls.evaluation.events.scores import EventCounts, average_f1, count_classes, sum_counts
from audio_cls.inference.events.event import Event
from audio_cls.inference.events.merge import NO_EVENT, Window, merge_windows

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class EventRule:
    """How windows become events, and when an event is found."""

    tolerance: Seconds  # largest difference of the onsets
    max_gap: Seconds = 0.0
    min_duration: Seconds = 0.0
    no_event: Collection[str] = NO_EVENT

    def match(
        self, windows: Iterable[Window], annotated: Iterable[Event], threshold: float | None
    ) -> list[EventMatch]:
        """Merge windows and match the events, see `merge_windows` and `match_events`."""
        rule: dict[str, Any] = {"max_gap": self.max_gap, "min_duration": self.min_duration}
        events = merge_windows(windows, threshold=threshold, no_event=self.no_event, **rule)
        return match_events(annotated, events, self.tolerance)


@dataclass(frozen=True)
class CurvePoint:
    """The counts for one threshold; None: the labels of every window."""

    threshold: float | None
    counts: EventCounts  # of all classes
    macro_f1: float | None
    hours: float  # of the recordings

    @property
    def false_alarms_per_hour(self) -> float:
        """Return the false alarms of all classes per hour of recordings."""
        return self.counts.false_alarms / self.hours

    def to_json(self) -> dict[str, Any]:
        """Return the threshold, counts and scores."""
        own = self.counts.to_json(self.hours)
        return {"threshold": self.threshold, **own, "macro_f1": self.macro_f1}


def make_point(threshold: float | None, matches: Iterable[EventMatch], hours: float) -> CurvePoint:
    """Return the point of matched events."""
    classes = count_classes(matches).values()
    return CurvePoint(threshold, sum_counts(classes), average_f1(classes), hours)


def sweep_thresholds(
    rule: EventRule, windows: Sequence[Window], annotated: Sequence[Event], hours: float
) -> list[CurvePoint]:
    """Return a point per threshold of `THRESHOLDS`."""
    return [make_point(t, rule.match(windows, annotated, t), hours) for t in THRESHOLDS]
