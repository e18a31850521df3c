"""Event: a part of a recording that has one label."""

from __future__ import annotations

from dataclasses import dataclass

from audio_cls.config import Seconds


@dataclass(frozen=True)
class Event:
    """A part of a recording with one label; two events of a recording may overlap."""

    file: str  # path of the recording
    start: Seconds  # from the start of the recording
    end: Seconds
    label: str
    score: float | None = None  # the largest of its windows; None for an annotation
