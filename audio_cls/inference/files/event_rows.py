"""Events of recordings as rows, label files and cut segments."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from audio_cls.errors import AudioClsError
from audio_cls.inference.events.event import Event
from audio_cls.inference.files.predict_files import window_rows
from audio_cls.inference.files.rows import Row
from audio_cls.inference.prediction import WindowPrediction

Merge = Callable[[Iterable[WindowPrediction]], Iterable[Event]]
HandleEvents = Callable[[str, Sequence[Event]], None]  # a recording and its events


@dataclass(frozen=True)
class EventRows:
    """Makes the rows of a recording, of its windows or events, and handles its events."""

    merge: Merge
    has_window_rows: bool  # a row per window; False: a row per event
    handlers: Sequence[HandleEvents] = ()
    has_empty_rows: bool = False  # a recording without events has a row with its name only

    def __call__(self, file: str, windows: Iterable[WindowPrediction]) -> Iterator[Row]:
        """Yield the rows of a recording; then its events are handled."""
        kept: list[WindowPrediction] = []
        if self.has_window_rows:
            yield from window_rows(file, _keep(windows, kept))
            events = list(self.merge(kept))
        else:
            events = list(self.merge(windows))
            yield from map(event_row, events)
            if self.has_empty_rows and not events:
                yield {"file": file}
        for handle in self.handlers:
            handle(file, events)


def event_row(event: Event) -> Row:
    """Return the row of an event."""
    row = {"file": event.file, "start": event.start, "end": event.end}
    return {**row, "label": event.label, "score": event.score}


def _keep(
    windows: Iterable[WindowPrediction], kept: list[WindowPrediction]
) -> Iterator[WindowPrediction]:
    """Yield windows, and keep each without the scores of other labels than its own."""
    for one in windows:
        names = [one.label] if one.labels is None else one.labels
        scores = {name: one.scores[name] for name in names if name in one.scores}
        kept.append(replace(one, scores=scores))
        yield one


@dataclass
class LabelFiles:
    """Chooses the label file of each recording, and checks that no other file is overwritten.

    The name is that of the recording, without its suffix unless another recording in the same
    folder has that name too. Below `folder` are the same sub-folders as below the common folder of
    the recordings.
    """

    suffix: str  # ".txt"
    folder: Path | None = None  # None: next to each recording
    root: str = ""  # common folder of the recordings
    _owners: dict[Path, str] = field(default_factory=dict)

    def choose(self, recording: str) -> Path:
        """Return the label file of a recording; the same for each call."""
        path = Path(recording)
        parent = path.parent
        if self.folder is not None:
            parent = self.folder / os.path.relpath(os.path.abspath(parent), self.root)
        for name in (path.stem, path.name):
            file = parent / f"{name}{self.suffix}"
            if self._owners.setdefault(file, recording) == recording:
                break
        return file

    def check(self, recordings: Sequence[str]) -> None:
        """Check that no label file of the recordings exists.

        Raises:
            AudioClsError: One exists.
        """
        existing = [file for file in map(self.choose, recordings) if file.exists()]
        if existing:
            raise AudioClsError(
                f"'{existing[0]}' exists ({len(existing)} of {len(recordings)} label files): give"
                " --output-dir with another folder, or --overwrite to replace them."
            )


def find_root(recordings: Sequence[str]) -> str:
    """Return the common folder of recordings; their own where they have none in common."""
    parents = {os.path.dirname(os.path.abspath(path)) for path in recordings}
    try:
        return os.path.commonpath(parents)
    except ValueError:  # no recordings, or on several drives
        return os.getcwd()
