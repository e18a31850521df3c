"""Scores: true labels and predicted probabilities of every clip of a split."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audio_cls.errors import ModelError
from audio_cls.evaluation.metrics.base import Floats, Ids
from audio_cls.evaluation.metrics.probabilistic import log_loss
from audio_cls.evaluation.metrics.thresholds import DEFAULT_THRESHOLD, tune_thresholds


@dataclass(frozen=True)
class Scores:
    """True labels and probabilities, in the order of the clips."""

    ids: NDArray[np.str_]  # clip ids, (N,)
    targets: Ids  # label ids (N,); multi-label: 1 where a clip has a label, (N, L)
    probabilities: Floats  # (N, L), rounded to six decimals
    # Multi-label: the smallest probability at which each label is predicted, (L,); None for 0.5.
    thresholds: Floats | None = None

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
        """Return whether a clip may have several labels, or none."""
        return self.targets.ndim > 1

    @property
    def loss(self) -> float:
        """Return the log loss of the rounded probabilities."""
        return log_loss(self.targets, self.probabilities)

    @property
    def predictions(self) -> Ids:
        """Return the most probable label of each clip, (N,); ties go to the smaller label.

        Multi-label: 1 where the probability of a label reaches its threshold, (N, L).
        """
        if self.is_multilabel:
            return np.asarray(self.probabilities >= self.label_thresholds, dtype=np.int64)
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def label_thresholds(self) -> Floats:
        """Return the threshold of each label, (L,); 0.5 where none were tuned."""
        if self.thresholds is None:
            return np.full(self.probabilities.shape[1], DEFAULT_THRESHOLD)
        return self.thresholds

    @property
    def is_correct(self) -> NDArray[np.bool_]:
        """Return which clips are predicted correctly, in all their labels, (N,)."""
        is_same = self.targets == self.predictions
        return np.asarray(is_same.all(axis=1) if self.is_multilabel else is_same)

    def with_tuned_thresholds(self) -> Scores:
        """Return the scores with the best thresholds for these very clips, if multi-label."""
        if not self.is_multilabel:
            return self
        return replace(self, thresholds=tune_thresholds(self.targets, self.probabilities))
