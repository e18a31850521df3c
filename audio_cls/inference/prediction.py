"""Predictions: the label and scores of one input, or of one window of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import Hertz, Seconds

UNKNOWN = "unknown"  # label where the score is below `reject_below`


@dataclass(frozen=True)
class Prediction:
    """The prediction for one input, or the error that prevented it.

    Multi-label: `labels` are those that reach their thresholds, the most probable first; `label` is
    the same joined by `;` as in predictions.csv; `score` is the largest probability, even if no
    label reaches its threshold. Where `score` is below `reject_below`, `label` is `UNKNOWN` and
    `labels` is empty.
    """

    file: str  # the path as it was given; "<bytes>" or "<array>" for inputs without one
    label: str | None = None
    score: float | None = None  # the largest probability
    scores: dict[str, float] | None = None  # probability of every label
    error: str | None = None
    labels: list[str] | None = None  # multi-label: all predicted labels
    remark: str | None = None  # why the prediction is not reliable: silence, or too short
    seconds: Seconds | None = None  # length of the input; None where it cannot be read
    embedding: NDArray[np.float32] | None = None  # (D,), where it was asked for

    def to_row(self) -> dict[str, object]:
        """Return `{"file", "label", "score", "scores"}`, or `{"file", "error"}`.

        Multi-label: with `labels`, a list. With `remark` where there is one. Without the embedding.
        """
        if self.error is not None:
            return {"file": self.file, "error": self.error}
        prediction = {"label": self.label, "score": self.score, "scores": self.scores}
        labels = {} if self.labels is None else {"labels": self.labels}
        remark = {} if self.remark is None else {"remark": self.remark}
        return {"file": self.file, **prediction, **labels, **remark}


@dataclass(frozen=True)
class WindowPrediction:
    """The prediction for one window of an input; `label` and the rest as in `Prediction`."""

    file: str
    start_sample: int  # at `sampling_rate`, from the start of the input
    stop_sample: int  # exclusive; a window of a shorter input ends where the input ends
    sampling_rate: Hertz  # of the model
    label: str
    score: float
    scores: dict[str, float]
    labels: list[str] | None = None

    @property
    def start(self) -> Seconds:
        """Return the start of the window in seconds."""
        return self.start_sample / self.sampling_rate

    @property
    def end(self) -> Seconds:
        """Return the end of the window in seconds."""
        return self.stop_sample / self.sampling_rate
