"""Choice of the layer and of the regularisation, by the log loss of clip probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audio_cls.data.splits.iterative_stratification import LabelArray
from audio_cls.evaluation.metrics.probabilistic import log_loss, mean_average_precision
from audio_cls.inference.aggregation import DECIMALS, aggregate_windows
from audio_cls.linear_probe.cut import Candidate
from audio_cls.linear_probe.features import LayerFeatures
from audio_cls.linear_probe.folds import ChoiceFolds, Numbers
from audio_cls.linear_probe.regression import Floats, LinearLayer, ProbeRegression, Vectors
from audio_cls.progress import ProgressReport

C_GRID = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)  # of scikit-learn's C, on standardised vectors
DEFAULT_C = 1.0  # where no clips can be scored: scikit-learn's default
LOSS_DECIMALS = 4  # that are reported
TIE_DECIMALS = 3  # losses that are equal in these are a tie, which the smaller model wins


@dataclass(frozen=True)
class ProbeTask:
    """Labels and weights of the clips, which are numbered as the windows refer to them."""

    labels: LabelArray  # class ids (N,), or targets (N, L)
    num_labels: int  # L
    aggregate: str  # how the windows of a clip are combined, see `aggregate_windows`
    weights: Floats  # of the clips in the fit, (N,)
    pos_weights: Floats | None = None  # multi-label, (L,)

    @property
    def is_multilabel(self) -> bool:
        """Return whether a clip may have several labels."""
        return self.labels.ndim > 1

    @property
    def metric(self) -> str:
        """Return the key of the metric that is reported for each layer."""
        return "map" if self.is_multilabel else "accuracy"

    def make_regression(
        self, vectors: Vectors, features: LayerFeatures, used: Numbers
    ) -> ProbeRegression:
        """Return the regression on the windows of some clips.

        Args:
            vectors: Of all windows.
            features: What the vectors are of.
            used: Numbers of the clips to fit on.
        """
        rows = np.isin(features.clips, used)
        own = features.clips[rows]
        return ProbeRegression(
            vectors[rows],
            np.asarray(self.labels[own], np.int64),
            self.num_labels,
            features.clip_weights[rows] * self.weights[own],
            self.pos_weights,
        )

    def predict(self, layer: LinearLayer, vectors: Vectors, clips: Numbers) -> Floats:
        """Return the probabilities of clips, in ascending order of their numbers.

        Args:
            layer: Vectors to logits.
            vectors: Of windows, (W, H).
            clips: Number of each window's clip, (W,), ascending.
        """
        if not len(clips):
            return np.zeros((0, self.num_labels))
        starts = np.flatnonzero(np.diff(clips, prepend=-1))
        rows = np.split(layer(vectors), starts[1:])
        return np.stack(
            [
                aggregate_windows(one, self.aggregate, is_multilabel=self.is_multilabel)
                for one in rows
            ]
        )

    def score(self, probabilities: Floats, clips: Numbers) -> tuple[float, float]:
        """Return the log loss and the metric of clips, (loss, value)."""
        true, rounded = np.asarray(self.labels[clips], np.int64), probabilities.round(DECIMALS)
        loss = round(log_loss(true, rounded), LOSS_DECIMALS)
        if self.is_multilabel:
            return loss, mean_average_precision(true, rounded)
        return loss, float((rounded.argmax(axis=1) == true).mean())


@dataclass(frozen=True)
class CandidateScore:
    """How a candidate does on the clips that the choice is made on, with its best C."""

    candidate: Candidate
    c: float
    loss: float
    value: float  # of the task's metric
    start_c: float = DEFAULT_C  # of a head to fine-tune from, see `find_start`


def compare_candidates(
    features: LayerFeatures,
    candidates: Sequence[Candidate],
    task: ProbeTask,
    folds: ChoiceFolds,
    report: ProgressReport,
) -> list[CandidateScore]:
    """Score every candidate with its best C.

    Args:
        features: Vectors of the windows of all clips.
        candidates: In the order of the stored vectors.
        task: The clips' labels and weights.
        folds: Clips to fit on and to score.
        report: Is advanced by each candidate.
    """
    scores = []
    for number, candidate in enumerate(candidates):
        vectors = features.read(number)
        scores.append(CandidateScore(candidate, *_find_c(vectors, features, task, folds)))
        report.advance()
    return scores


def choose_candidate(scores: Sequence[CandidateScore]) -> CandidateScore:
    """Return the candidate with the smallest log loss; on a tie the one with fewer layers."""
    return min(scores, key=lambda one: (round(one.loss, TIE_DECIMALS), one.candidate))


def take_default(candidates: Sequence[Candidate]) -> CandidateScore:
    """Return the whole encoder with `DEFAULT_C`, for training clips that allow no comparison."""
    whole = max(candidates, key=lambda one: (one.layer, one.num_layers))
    return CandidateScore(whole, DEFAULT_C, math.nan, math.nan)


def find_start(tried: Sequence[tuple[float, float]], num_scored: int) -> float:
    """Return the smallest C whose metric is within one standard error of that of the best C.

    Its head has small weights and a training loss above 0. Fine-tuning from the head with the
    smallest validation loss can fail: where that has a training loss near 0, there is nothing to
    learn, and its large weights multiply the gradients of the encoder.

    Args:
        tried: C and metric, with ascending C; the last one is the best C.
        num_scored: Clips that the metric is of; its standard error is that of a proportion.

    >>> find_start([(0.001, 0.5), (0.01, 0.89), (0.1, 0.91), (1.0, 0.9)], 100)
    0.01
    """
    value = tried[-1][1]
    error = math.sqrt(max(0.0, value * (1 - value)) / num_scored)
    return next(c for c, found in tried if found >= value - error)


def _find_c(
    vectors: Vectors, features: LayerFeatures, task: ProbeTask, folds: ChoiceFolds
) -> tuple[float, float, float, float]:
    """Return the best C with its log loss and metric, and the C to fine-tune from.

    C rises from its smallest value until the loss does: a larger one takes longer to fit.
    """
    fits = [task.make_regression(vectors, features, used) for used, _ in folds.pairs]
    tests = [np.isin(features.clips, scored) for _, scored in folds.pairs]
    order = np.concatenate([np.sort(scored) for _, scored in folds.pairs])
    best: tuple[float, float, float] | None = None
    tried: list[tuple[float, float]] = []
    for c in C_GRID:
        parts = [
            task.predict(fit.fit(c), vectors[rows], features.clips[rows])
            for fit, rows in zip(fits, tests, strict=True)
        ]
        loss, value = task.score(np.concatenate(parts), order)
        if best is not None and loss >= best[1]:
            break
        best = (c, loss, value)
        tried.append((c, value))
    assert best is not None
    return *best, find_start(tried, len(order))
