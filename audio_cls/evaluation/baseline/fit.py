"""Logistic regression on log-mel statistics: scikit-learn's, fitted on the clips of a run.

It takes seconds and has no network, so that a model that was trained for minutes or days can be
compared with it. Letters: N clips, D statistics, L labels.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, softmax  # type: ignore[import-untyped]

from audio_cls.data.clips.clips import Clips
from audio_cls.data.splits.train_test_split import limit_rows
from audio_cls.evaluation.baseline.features import Rows, Table, read_statistics
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.inference.aggregation import DECIMALS
from audio_cls.linear_probe.regression import LinearLayer, ProbeRegression

GRID = (0.001, 0.01, 0.1, 1.0, 10.0)  # values of C that are tried, strongest regularisation first
DEFAULT_C = 0.1  # without validation clips
MAX_TRAIN_CLIPS = 5000  # of a larger training split, a stratified sample


@dataclass(frozen=True)
class FittedBaseline:
    """Scores of a fitted baseline, and how it was fitted."""

    validation: Scores | None  # None without validation clips
    test: Scores
    c: float  # inverse strength of the regularisation, as in scikit-learn
    num_train: int  # training clips that were used
    num_available: int  # training clips of an epoch
    seconds: float  # for statistics, which may be cached, and fits


def fit_baseline(
    train: Clips,
    validation: Clips | None,
    test: Clips,
    num_labels: int,
    numbers: Rows | None = None,
    seed: int = 0,
) -> FittedBaseline:
    """Fit the baseline, and score validation and test. Writes the cache of the statistics.

    Statistics are standardised, then each value of `GRID` is fitted, and the one with the smallest
    log loss on validation is kept. Multi-label: one regression for each label, all with the same C,
    and thresholds that are the best ones on validation, as those of a trained model are.

    A class that no training clip has gets probability 0. A label of a multi-label task that no or
    every training clip has gets the same probability for all clips.

    No random state is used or changed: the same clips always give the same scores.

    Args:
        train: The training clips; at least one.
        validation: The validation clips; None or none in it: C is `DEFAULT_C`, thresholds are 0.5.
        test: The test clips; they may be those of validation. Thresholds are 0.5 then.
        num_labels: L.
        numbers: Which training clips to use, see `draw_first_epoch`; None: all. More than
            `MAX_TRAIN_CLIPS` are sampled, stratified by label.
        seed: Chooses that sample.
    """
    started = time.perf_counter()
    available = np.arange(len(train)) if numbers is None else numbers
    used = limit_rows(available, train.labels, MAX_TRAIN_CLIPS, seed)
    labels = train.labels[used].astype(np.int64)
    regression = ProbeRegression(
        read_statistics(train, used), labels, num_labels, weights=np.ones(len(used))
    )
    validated = None
    if validation is None or len(validation) == 0:
        c, layer = DEFAULT_C, regression.fit(DEFAULT_C)
    else:
        known = read_statistics(validation)
        layers = {c: regression.fit(c) for c in GRID}
        scores = {c: _score(layer, validation, known) for c, layer in layers.items()}
        c = min(GRID, key=lambda c: scores[c].loss)
        layer, validated = layers[c], scores[c].with_tuned_thresholds()
    tested = _score(layer, test, read_statistics(test))
    if validated is not None and not np.isin(test.ids, validated.ids).any():
        tested = replace(tested, thresholds=validated.thresholds)
    seconds = time.perf_counter() - started
    return FittedBaseline(validated, tested, c, len(used), len(available), seconds)


def _score(layer: LinearLayer, clips: Clips, statistics: Table) -> Scores:
    """Return the scores of the clips of a split."""
    logits = layer(statistics)
    probabilities = softmax(logits, axis=1) if clips.labels.ndim == 1 else expit(logits)
    return Scores(clips.ids, clips.labels.astype(np.int64), probabilities.round(DECIMALS))
