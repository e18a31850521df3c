"""Scores of events: precision, recall, F1 and false alarms per hour, per class and in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from audio_cls.evaluation.events.matching import EventMatch


@dataclass(frozen=True)
class EventCounts:
    """Matched, missed and falsely predicted events of a class, or of all."""

    matched: int
    missed: int
    false_alarms: int

    @property
    def annotated(self) -> int:
        """Return the number of annotated events."""
        return self.matched + self.missed

    @property
    def predicted(self) -> int:
        """Return the number of predicted events."""
        return self.matched + self.false_alarms

    @property
    def precision(self) -> float | None:
        """Return the share of predicted events that are matched; None without any."""
        return self.matched / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        """Return the share of annotated events that are matched; None without any."""
        return self.matched / self.annotated if self.annotated else None

    @property
    def f1(self) -> float | None:
        """Return the harmonic mean of both: 2 matched / (annotated + predicted)."""
        number = self.annotated + self.predicted
        return 2 * self.matched / number if number else None

    def to_json(self, hours: float) -> dict[str, Any]:
        """Return counts and scores; `hours`: length of the recordings."""
        return {
            "annotated": self.annotated,
            "predicted": self.predicted,
            "matched": self.matched,
            "missed": self.missed,
            "false_alarms": self.false_alarms,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "false_alarms_per_hour": self.false_alarms / hours,
        }


def count_classes(matches: Iterable[EventMatch]) -> dict[str, EventCounts]:
    """Return the counts of each class that has events, in alphabetical order."""
    results = Counter((one.event.label, one.result) for one in matches)
    return {label: _make_counts(label, results) for label in sorted({name for name, _ in results})}


def _make_counts(label: str, results: Counter[tuple[str, Any]]) -> EventCounts:
    """Return the counts of a class."""
    names = ("matched", "missed", "false alarm")
    matched, missed, false_alarms = (results[label, name] for name in names)
    return EventCounts(matched, missed, false_alarms)


def sum_counts(classes: Iterable[EventCounts]) -> EventCounts:
    """Return the counts of all classes together, for micro averages."""
    parts = list(classes)
    return EventCounts(
        sum(one.matched for one in parts),
        sum(one.missed for one in parts),
        sum(one.false_alarms for one in parts),
    )


def average_f1(classes: Iterable[EventCounts]) -> float | None:
    """Return macro F1: the mean over the classes that have annotated events; None without any.

    >>> average_f1([EventCounts(2, 0, 0), EventCounts(0, 1, 0), EventCounts(0, 0, 9)])
    0.5
    """
    scores = [one.f1 for one in classes if one.annotated and one.f1 is not None]
    return sum(scores) / len(scores) if scores else None
