"""Logistic regression on log-mel statistics: scikit-learn's, fitted on the clips of a run.

It takes seconds and has no network, so that a model that was trained for minutes or days can be
compared with it. Letters: N clips, D statistics, L labels.
"""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from audio_cls.config import DataConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.keyword_spotting.sampling import make_epoch_subset
from audio_cls.data.splits.train_test_split import limit_rows
from audio_cls.evaluation.baseline.features import Rows, Table, read_statistics
from audio_cls.evaluation.metrics.base import Floats, Ids
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.inference.aggregation import DECIMALS

GRID = (0.001, 0.01, 0.1, 1.0, 10.0)  # values of C that are tried, strongest regularisation first
DEFAULT_C = 0.1  # without validation clips
MAX_ITERATIONS = 300  # of lbfgs: a fit that is stopped there is used as it is
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


@dataclass(frozen=True)
class LogMelClassifier:
    """Fitted logistic regression on log-mel statistics."""

    scaler: StandardScaler
    models: tuple[Any, ...]  # one; multi-label: one for each label, of classes 0 and 1
    num_labels: int
    is_multilabel: bool

    def predict(self, statistics: Table) -> Floats:
        """Return the probabilities of clips, (N, L), from their statistics, (N, D)."""
        scaled = self.scaler.transform(statistics.astype(np.float64))
        width = 2 if self.is_multilabel else self.num_labels
        found = []
        for model in self.models:
            probabilities = np.zeros((len(scaled), width))
            probabilities[:, model.classes_] = model.predict_proba(scaled)
            found.append(probabilities)
        return np.stack([one[:, 1] for one in found], axis=1) if self.is_multilabel else found[0]


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

    A label that no training clip has gets probability 0, and one that all have 1.

    No random state is used or changed: the same clips always give the same scores.

    Args:
        train: The training clips; at least one.
        validation: The validation clips; None or none in it: C is `DEFAULT_C`, thresholds are 0.5.
        test: The test clips; they may be those of validation. Thresholds are 0.5 then.
        num_labels: L.
        numbers: Which training clips to use, see `choose_training`; None: all. More than
            `MAX_TRAIN_CLIPS` are sampled, stratified by label.
        seed: Chooses that sample.
    """
    started = time.perf_counter()
    available = np.arange(len(train)) if numbers is None else numbers
    used = limit_rows(available, train.labels, MAX_TRAIN_CLIPS, seed)
    with threadpool_limits(1, user_api="blas"):  # more are slower: the matrices are small
        statistics, labels = read_statistics(train, used), train.labels[used].astype(np.int64)
        has_validation = validation is not None and len(validation) > 0
        grid = GRID if has_validation else (DEFAULT_C,)
        classifiers = fit_classifiers(statistics, labels, num_labels, grid)
        validated, best = None, 0
        if validation is not None and has_validation:
            known = read_statistics(validation)
            scores = [_score(one, validation, known) for one in classifiers]
            best = min(range(len(grid)), key=lambda place: scores[place].loss)
            validated = scores[best].with_tuned_thresholds()
        tested = _score(classifiers[best], test, read_statistics(test))
    if validated is not None and not np.isin(test.ids, validated.ids).any():
        tested = replace(tested, thresholds=validated.thresholds)
    seconds = time.perf_counter() - started
    return FittedBaseline(validated, tested, grid[best], len(used), len(available), seconds)


def _score(classifier: LogMelClassifier, clips: Clips, statistics: Table) -> Scores:
    """Return the scores of the clips of a split."""
    probabilities = classifier.predict(statistics).round(DECIMALS)
    return Scores(clips.ids, clips.labels.astype(np.int64), probabilities)


def fit_classifiers(
    statistics: Table, labels: Ids, num_labels: int, grid: Sequence[float]
) -> list[LogMelClassifier]:
    """Fit one classifier for each C.

    Args:
        statistics: Of the training clips, (N, D).
        labels: Their class ids, (N,), or targets, (N, L).
        num_labels: L.
        grid: Values of C, in ascending order.
    """
    scaler = StandardScaler().fit(statistics.astype(np.float64))
    scaled = scaler.transform(statistics.astype(np.float64))
    is_multilabel = labels.ndim > 1
    paths = [_fit_path(scaled, one, grid) for one in (labels.T if is_multilabel else [labels])]
    return [
        LogMelClassifier(scaler, models, num_labels, is_multilabel)
        for models in zip(*paths, strict=True)
    ]


def _fit_path(scaled: Floats, labels: Ids, grid: Sequence[float]) -> list[Any]:
    """Return a model of class ids (N,) for each C; all are constant where there is one class."""
    if len(np.unique(labels)) == 1:
        return [DummyClassifier(strategy="prior").fit(scaled, labels)] * len(grid)
    # Each fit begins at the weights of the one before, whose regularisation is stronger.
    model, found = LogisticRegression(max_iter=MAX_ITERATIONS, warm_start=True), []
    for c in grid:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # see `MAX_ITERATIONS`
            model.set_params(C=c).fit(scaled, labels)
        found.append(copy.deepcopy(model))
    return found


def choose_training(train: Clips, names: Sequence[str], cfg: DataConfig, seed: int) -> Rows | None:
    """Return the training clips of the first epoch of a run; None where an epoch has all.

    Keyword spotting draws other clips without a keyword in each epoch.

    Args:
        train: The training clips.
        names: The classes.
        cfg: The keyword settings.
        seed: Of the run.
    """
    subset = make_epoch_subset(train.labels, names, cfg)
    return None if subset is None else subset.draw(seed, 0)
