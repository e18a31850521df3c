"""Label rule: probabilities -> scores and labels, by temperature, thresholds and rejection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audio_cls.data.labels.label_text import join_names
from audio_cls.errors import ModelError, SettingError
from audio_cls.inference.aggregation import DECIMALS, apply_temperature
from audio_cls.inference.prediction import UNKNOWN

Floats = NDArray[np.float64]


class Decision(NamedTuple):
    """Label and scores; see `Prediction`."""

    label: str
    score: float
    scores: dict[str, float]
    labels: list[str] | None


@dataclass(frozen=True)
class LabelRule:
    """How the probabilities of a model become scores and labels; L labels."""

    names: tuple[str, ...]  # of the L labels
    is_multilabel: bool = False
    temperature: float = 1.0  # of the scores; 1: no temperature scaling
    thresholds: Floats | None = None  # (L,) before the temperature; None for 0.5
    reject_below: float | None = None  # the label is UNKNOWN where the score is below this

    def __post_init__(self) -> None:
        """Check the reject threshold."""
        check_reject_threshold(self.reject_below)

    def decide(self, probabilities: Floats) -> Decision:
        """Return label and scores for the probabilities (L,) of an input or a window.

        Raises:
            ModelError: They are not finite.
        """
        scores = self.scale(probabilities)
        plain = probabilities.round(DECIMALS)  # the temperature may make them equal
        best = int(plain.argmax())
        if scores.argmax() != best:  # the label has the largest score, as in evaluation
            scores[best] = (scores.max() + 10.0**-DECIMALS).round(DECIMALS)
        score = float(scores[best])
        named = dict(zip(self.names, scores.tolist(), strict=True))
        is_rejected = self.reject_below is not None and score < self.reject_below
        if not self.is_multilabel:
            return Decision(UNKNOWN if is_rejected else self.names[best], score, named, None)
        labels = [] if is_rejected else self.choose_labels(plain)
        return Decision(UNKNOWN if is_rejected else join_names(labels), score, named, labels)

    def scale(self, probabilities: Floats) -> Floats:
        """Apply the temperature, and round to six decimals as in predictions.csv.

        Raises:
            ModelError: They are not finite.
        """
        if not np.isfinite(probabilities).all():
            raise ModelError("the model's scores are not finite")
        if self.temperature != 1.0:
            probabilities = apply_temperature(
                probabilities, self.temperature, is_multilabel=self.is_multilabel
            )
        return np.asarray(probabilities.round(DECIMALS))

    @property
    def scaled_thresholds(self) -> Floats:
        """Return the thresholds of multi-label scores, (L,).

        The temperature is applied to them, too, so that it changes no prediction.
        """
        if self.thresholds is None:
            return np.full(len(self.names), 0.5)
        if self.temperature == 1.0:
            return self.thresholds
        scaled = apply_temperature(self.thresholds, self.temperature, is_multilabel=True)
        return np.asarray(scaled.round(DECIMALS))

    def choose_labels(self, probabilities: Floats) -> list[str]:
        """Return the labels that reach their thresholds, the most probable one first.

        Args:
            probabilities: Multi-label, before the temperature, with six decimals, (L,).
        """
        reached = np.flatnonzero(
            probabilities >= (0.5 if self.thresholds is None else self.thresholds)
        )
        return [self.names[n] for n in sorted(reached, key=lambda n: (-probabilities[n], n))]


def check_reject_threshold(value: float | None) -> None:
    """Check a reject threshold.

    Raises:
        SettingError: It is neither None nor a probability.
    """
    if value is not None and not (isinstance(value, int | float) and 0 <= value <= 1):
        raise SettingError(
            f"reject_below={value!r} is not possible: give a probability from 0 to 1, or None to"
            " accept every label."
        )
