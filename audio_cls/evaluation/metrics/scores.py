"""Scores: labels, probabilities and loss of every clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_cls.errors import ModelError
from audio_cls.evaluation.metrics.probabilistic import log_loss
from audio_cls.evaluation.metrics.thresholds import DEFAULT_THRESHOLD


@dataclass(frozen=True)
class Scores:
    """One row a clip, in the clips' order."""

    ids: NDArray[np.str_]  # (N,)
    labels: NDArray[np.int64]  # ids (N,); multi-label: 1 where a clip has the label, (N, L)
    probabilities: NDArray[np.float64]  # (N, L), rounded to six decimals
    # Multi-label: the probability from which on each label counts as there, (L,); None for 0.5.
    thresholds: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Refuse probabilities that are not finite: NaN would be predicted as the first label.

        Raises:
            ModelError: A probability is NaN or infinite.
        """
        is_bad = ~np.isfinite(self.probabilities).all(axis=1)
        if is_bad.any():
            raise ModelError(
                f"The model's scores of {int(is_bad.sum())} of {len(self.ids)} clips are not finite"
                f" (first: {self.ids[is_bad][0]}). The weights may have diverged: train with a"
                " lower --learning-rate, or evaluate with --mixed-precision no."
            )

    @property
    def is_multilabel(self) -> bool:
        """Tell whether a clip may have several labels, or none."""
        return self.labels.ndim > 1

    @property
    def loss(self) -> float:
        """Return the mean over clips of -log p(label), from the rounded probabilities."""
        return log_loss(self.labels, self.probabilities)

    @property
    def predictions(self) -> NDArray[np.int64]:
        """Return the most probable label of each clip, (N,); ties go to the smaller label.

        Multi-label: 1 where a label's probability reaches its threshold, (N, L).
        """
        if self.is_multilabel:
            reached = self.probabilities >= self.own_thresholds
            return np.asarray(reached, dtype=np.int64)
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def own_thresholds(self) -> NDArray[np.float64]:
        """Return the thresholds, (L,), 0.5 where none were tuned."""
        if self.thresholds is None:
            return np.full(self.probabilities.shape[1], DEFAULT_THRESHOLD)
        return self.thresholds

    @property
    def is_right(self) -> NDArray[np.bool_]:
        """Return which clips were answered rightly, with all their labels, (N,)."""
        same = self.labels == self.predictions
        return np.asarray(same.all(axis=1) if self.is_multilabel else same)
