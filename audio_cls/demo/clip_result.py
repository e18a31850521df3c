"""Classification of one uploaded clip: scores, figure, timeline and a message for the page."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from audio_cls.audio.waveform import Wave, decode_wave
from audio_cls.config import Seconds
from audio_cls.demo.clip_figure import draw_clip
from audio_cls.errors import AudioError, ModelError, count_of
from audio_cls.inference.base_classifier import BaseClassifier
from audio_cls.inference.prediction import WindowPrediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TIMELINE = ("start (s)", "end (s)", "label", "score")  # columns of `ClipResult.rows`
NOTHING = "Upload an audio file, record one, or choose an example."
MAX_ROWS = 1000  # of the timeline's table
MEGABYTE = 2**20  # bytes, as gradio counts


@dataclass(frozen=True)
class Limits:
    """The largest clip that the page accepts."""

    max_seconds: Seconds = 600.0
    max_megabytes: float = 50.0

    def describe(self) -> str:
        """Return the limits as text."""
        minutes = count_of(round(self.max_seconds / 60, 1), "minute")
        return f"at most {minutes} and {self.max_megabytes:g} MB"


@dataclass(frozen=True)
class ClipResult:
    """What the page shows for one clip."""

    message: str
    scores: dict[str, float] | None = None  # by label
    figure: Figure | None = None
    rows: list[list[object]] = field(default_factory=list)  # see TIMELINE; empty: one window


def classify_clip(
    classifier: BaseClassifier,
    path: str | None,
    limits: Limits,
    report: Callable[[float], object] = lambda _: None,
) -> ClipResult:
    """Classify an uploaded file. A file that cannot be classified gives a message, no exception.

    Args:
        classifier: The model.
        path: The file; None: there is none.
        limits: Longer and larger files are refused.
        report: Is called with the finished share of a long clip, from 0 to 1.
    """
    if path is None:
        return ClipResult(NOTHING)
    rate = classifier.sampling_rate
    try:
        wave = read_clip(path, rate, limits)
        total = len(wave) / rate
        prediction, windows = classifier.with_windows((wave, rate), lambda s: report(s / total))
    except (AudioError, ModelError) as error:
        return ClipResult(explain_refusal(error, limits))
    message = f"{total:.2f} s of audio, {count_of(len(windows), 'window')}."
    if classifier.is_multilabel:
        message += f" Labels that reach their thresholds: {prediction.label or 'none'}."
    if prediction.remark is not None:
        message += f" The scores are not reliable: {prediction.remark}."
    rows = [to_row(window) for window in windows] if len(windows) > 1 else []
    if len(rows) > MAX_ROWS:
        message += f" The table has the first {MAX_ROWS} windows."
    figure = draw_clip(wave, rate, windows)
    return ClipResult(message, prediction.scores, figure, rows[:MAX_ROWS])


def read_clip(path: str, sampling_rate: int, limits: Limits) -> Wave:
    """Decode an uploaded file: mono at `sampling_rate`, shape (T,).

    Raises:
        AudioError: The file is too large, too long, or cannot be decoded.
    """
    megabytes = os.path.getsize(path) / MEGABYTE
    if megabytes > limits.max_megabytes:
        raise AudioError("too large", f"{megabytes:.0f} MB")
    return decode_wave(None, path, sampling_rate, limits.max_seconds)


def explain_refusal(error: Exception, limits: Limits) -> str:
    """Return the message for a file that cannot be classified."""
    return (
        f"**This clip cannot be classified: {error}.** Choose a WAV, FLAC, MP3 or Ogg file,"
        f" {limits.describe()}."
    )


def to_row(window: WindowPrediction) -> list[object]:
    """Return the row of a window, see TIMELINE."""
    return [f"{window.start:.2f}", f"{window.end:.2f}", window.label, f"{window.score:.3f}"]
