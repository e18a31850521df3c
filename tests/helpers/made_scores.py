"""Made-up scores and runs for the tests of evaluation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audio_cls.data.clips.metadata import ClipMetadata
from audio_cls.evaluation.metrics.scores import Scores


def make_probabilities(
    rng: np.random.Generator, labels: NDArray[np.int64], num_labels: int, decimals: int = 6
) -> NDArray[np.float64]:
    """Return rows that favour the true label somewhat, rounded; few decimals make many ties."""
    logits = rng.normal(size=(len(labels), num_labels))
    logits[np.arange(len(labels)), labels] += 1.0
    powers = np.exp(logits)
    return np.asarray((powers / powers.sum(axis=1, keepdims=True)).round(decimals))


def make_scores(num_clips: int = 60, num_labels: int = 3, seed: int = 0) -> Scores:
    """Return scores of clips named clip-0 ..."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(num_labels, size=num_clips)
    ids = np.array([f"clip-{number}" for number in range(num_clips)])
    return Scores(ids, labels, make_probabilities(rng, labels, num_labels))


def make_metadata(
    num_clips: int = 60, num_groups: int | None = None, seed: int = 0
) -> ClipMetadata:
    """Return durations of 0.5 to 40 s, two sampling rates, and groups if wanted."""
    rng = np.random.default_rng(seed)
    groups = None
    if num_groups is not None:
        groups = np.array([f"speaker-{n}" for n in rng.integers(num_groups, size=num_clips)])
    return ClipMetadata(
        seconds=rng.uniform(0.5, 40, num_clips).round(3),
        sampling_rates=rng.choice([8_000, 44_100], num_clips),
        groups=groups,
    )
