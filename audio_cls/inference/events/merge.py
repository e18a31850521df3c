"""Events from windows: neighbouring windows of one label are one event."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Protocol

from audio_cls.config import Seconds
from audio_cls.inference.events.event import Event
from audio_cls.inference.prediction import UNKNOWN

NO_EVENT = (UNKNOWN, "_unknown_", "_silence_")  # rejected; other words and noise of a spotter
TIME_NOISE: Seconds = 1e-6  # times in files have six decimals or more


class Window(Protocol):
    """A window of a recording and its prediction, see `WindowPrediction`."""

    @property
    def file(self) -> str:
        """Return the path of the recording."""

    @property
    def start(self) -> Seconds:
        """Return the start in the recording."""

    @property
    def end(self) -> Seconds:
        """Return the end in the recording."""

    @property
    def label(self) -> str | None:
        """Return the most probable label, or `unknown`."""

    @property
    def score(self) -> float | None:
        """Return the probability of the label."""

    @property
    def scores(self) -> Mapping[str, float] | None:
        """Return the probability of every label."""

    @property
    def labels(self) -> Sequence[str] | None:
        """Return the labels that reach their thresholds; None for a single-label model."""


def merge_windows(
    windows: Iterable[Window],
    *,
    threshold: float | None = None,
    max_gap: Seconds = 0.0,
    min_duration: Seconds = 0.0,
    no_event: Collection[str] = NO_EVENT,
) -> Iterator[Event]:
    """Merge the windows of each label into events.

    A window that starts at most `max_gap` after the end of an event of its label extends it. The
    event lasts from the start of its first window to the end of its last one, and its score is the
    largest of theirs. So events are as long as a window, or longer; those of two labels overlap
    where windows do.

    Args:
        windows: Those of one recording follow each other, in order of their starts.
        threshold: Least score of a window. None: the label of every window; if multi-label, the
            labels that reach the thresholds of the model. If single-label, only the most probable
            label of a window can be an event.
        max_gap: In seconds; 0 for windows that touch or overlap.
        min_duration: In seconds; shorter events are left out.
        no_event: Labels that are no events, such as that of background noise.

    Yields:
        The events of each recording, in order of start, end and label.
    """
    for _, recording in groupby(windows, key=lambda window: window.file):
        events = _merge_recording(recording, threshold, max_gap + TIME_NOISE, no_event)
        kept = [one for one in events if one.end - one.start >= min_duration - TIME_NOISE]
        yield from sorted(kept, key=lambda one: (one.start, one.end, one.label))


def _merge_recording(
    windows: Iterable[Window], threshold: float | None, max_gap: Seconds, no_event: Collection[str]
) -> list[Event]:
    """Return the events of one recording, in any order."""
    done: list[Event] = []
    last: dict[str, Event] = {}  # of each label
    for window in windows:
        for label, score in choose_labels(window, threshold):
            if label in no_event:
                continue
            event = last.get(label)
            if event is not None and window.start - event.end <= max_gap:
                best = max(score, event.score or 0.0)
                last[label] = replace(event, end=max(window.end, event.end), score=best)
                continue
            if event is not None:
                done.append(event)
            last[label] = Event(window.file, window.start, window.end, label, score)
    return [*done, *last.values()]


def choose_labels(window: Window, threshold: float | None) -> list[tuple[str, float]]:
    """Return the labels of a window that can be events, and their scores.

    Args:
        window: None of its labels counts where it was not scored.
        threshold: See `merge_windows`.
    """
    if window.label is None or window.score is None:
        return []
    if window.labels is None:
        is_kept = threshold is None or window.score >= threshold
        return [(window.label, window.score)] if is_kept else []
    scores = window.scores or dict.fromkeys(window.labels, window.score)
    if threshold is None:
        return [(label, scores[label]) for label in window.labels if label in scores]
    return [(label, score) for label, score in scores.items() if score >= threshold]
