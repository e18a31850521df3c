"""Live detection: blocks of sound -> windows -> detections, by threshold, patience and debounce.

A microphone, a file and a pipe are all iterables of blocks, so that they give the same answers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from audio_cls.config import Hertz, Seconds
from audio_cls.inference.base_classifier import BaseClassifier
from audio_cls.inference.events.event import Event
from audio_cls.inference.events.merge import NO_EVENT, TIME_NOISE, choose_labels
from audio_cls.inference.prediction import WindowPrediction

Block = NDArray[Any]  # (T,) or (T, C)


@dataclass
class _Run:
    """Windows of one label that belong to one detection."""

    event: Event  # from the first window to the last one so far
    num_in_row: int = 1  # windows up to the last one
    is_reported: bool = False


class DetectionFilter:
    """Chooses which windows are detections; keeps state from window to window.

    A label is detected when it has reached the threshold in `patience` windows in a row, and once:
    again only when it has been absent for `debounce` seconds.
    """

    def __init__(
        self,
        threshold: float | None = 0.5,
        patience: int = 1,
        debounce: Seconds = 0.0,
        no_event: Collection[str] = NO_EVENT,
    ) -> None:
        """Set the rule.

        Args:
            threshold: Least score of a window; None: the label of every window, see
                `merge_windows`.
            patience: Windows in a row, 1 or more.
            debounce: Between the end of the last window of a label and the start of the next one;
                0: windows that overlap or touch are one detection.
            no_event: Labels that are no detections.
        """
        self.threshold = threshold
        self.patience = patience
        self.debounce = debounce
        self.no_event = no_event
        self._runs: dict[str, _Run] = {}

    def reset(self) -> None:
        """Forget all windows, as before the first one."""
        self._runs.clear()

    def update(self, window: WindowPrediction) -> list[Event]:
        """Return the detections of the next window.

        Their start is that of the first window of the label, their end that of this one, and their
        score the largest so far.
        """
        found = dict(choose_labels(window, self.threshold))
        for label, run in self._runs.items():
            if label not in found:
                run.num_in_row = 0
        detections = []
        for label, score in found.items():
            if label in self.no_event:
                continue
            run = self._extend(label, score, window)
            if not run.is_reported and run.num_in_row >= self.patience:
                run.is_reported = True
                detections.append(run.event)
        return detections

    def _extend(self, label: str, score: float, window: WindowPrediction) -> _Run:
        """Add a window to the run of its label, or start a new one."""
        run = self._runs.get(label)
        if run is None or window.start - run.event.end > self.debounce + TIME_NOISE:
            event = Event(window.file, window.start, window.end, label, score)
            run = self._runs[label] = _Run(event)
            return run
        start = run.event.start
        if not run.is_reported and run.num_in_row == 0:
            start = window.start
        best = max(score, run.event.score or 0.0)
        run.event = replace(run.event, start=start, end=window.end, score=best)
        run.num_in_row += 1
        return run


@dataclass(frozen=True)
class LiveDetector:
    """Detects sounds in blocks; the windows are those of `BaseClassifier.stream`."""

    classifier: BaseClassifier
    filter: DetectionFilter
    window_seconds: Seconds | None = None
    hop_seconds: Seconds | None = None
    overlap: float | None = None

    def run(
        self, blocks: Iterable[Block], sampling_rate: Hertz, start: Seconds = 0.0
    ) -> Iterator[tuple[WindowPrediction, list[Event]]]:
        """Yield each window as soon as its samples are there, and its detections.

        Args:
            blocks: Sound without a gap, (T,) or (T, C). Nothing of an earlier call is kept: its
                samples and its windows are forgotten.
            sampling_rate: Of the blocks, in Hz.
            start: Time of the first sample.

        Raises:
            AudioError: There is no sample, or one that cannot be used.
        """
        self.filter.reset()
        windows = self.classifier.stream(
            blocks,
            sampling_rate,
            window_seconds=self.window_seconds,
            hop_seconds=self.hop_seconds,
            overlap=self.overlap,
        )
        offset = round(start * self.classifier.sampling_rate)
        for one in windows:
            first, last = one.start_sample + offset, one.stop_sample + offset
            window = replace(one, start_sample=first, stop_sample=last)
            yield window, self.filter.update(window)
