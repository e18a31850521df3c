"""A classifier for tests: scores follow from the bytes of a file; no sound is decoded."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from audio_cls.inference.prediction import Prediction, WindowPrediction

LABELS = ("cat", "dog", "eel")
RATE = 100  # Hz


class StubClassifier:
    """Scores are made from the checksum of the content; an empty file cannot be read.

    A file of N bytes has N windows of one second.
    """

    labels = LABELS
    sampling_rate = RATE
    is_multilabel = False

    def __init__(self) -> None:
        self.calls: list[int] = []  # number of inputs of each call

    def __call__(self, inputs: Iterable[str], *, with_embeddings: bool = False) -> Any:  # noqa: ANN401
        """Return predictions as `BaseClassifier` does."""
        made = (self.predict(path, with_embeddings=with_embeddings) for path in inputs)
        if isinstance(inputs, Iterator):
            return made
        found = list(made)
        self.calls.append(len(found))
        return found

    def predict(self, path: str, *, with_embeddings: bool = False) -> Prediction:
        """Return the prediction for a file."""
        try:
            content = Path(path).read_bytes()
        except OSError:
            return Prediction(path, error=f"missing file: {path}")
        if not content:
            return Prediction(path, error="empty")
        scores = make_scores(zlib.crc32(content))
        label = max(scores, key=lambda name: scores[name])
        vector = np.float32([*scores.values(), len(content)])
        embedding = vector if with_embeddings else None
        return Prediction(path, label, scores[label], scores, seconds=1.0, embedding=embedding)


def make_scores(number: int) -> dict[str, float]:
    """Return scores that sum to 1."""
    parts = np.float64([1 + number % 97, 1 + number // 97 % 89, 1 + number // 8633 % 83])
    return dict(zip(LABELS, (parts / parts.sum()).round(6).tolist(), strict=True))


def make_windows(file: str, labels: Iterable[str]) -> list[WindowPrediction]:
    """Return windows of one second, one after the other, with the given labels."""
    windows = []
    for number, label in enumerate(labels):
        scores = {name: 0.8 if name == label else 0.1 for name in LABELS}
        place = (number * RATE, (number + 1) * RATE, RATE)
        windows.append(WindowPrediction(file, *place, label, 0.8, scores))
    return windows
