"""Regression on log-mel statistics: the values of scikit-learn, and clips that are hard to fit."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from audio_cls.config import DataConfig, RunConfig, TrainConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.keyword_spotting.sampling import draw_first_epoch, make_epoch_subset
from audio_cls.evaluation.baseline import fit
from audio_cls.evaluation.baseline.fit import (
    DEFAULT_C,
    GRID,
    FittedBaseline,
    fit_baseline,
)
from audio_cls.evaluation.metrics.thresholds import tune_thresholds
from audio_cls.linear_probe.run import take_epoch_clips

RNG = np.random.default_rng(3)
STATISTICS = RNG.normal(size=(400, 12)).astype(np.float32)
CLASSES = (STATISTICS[:, :4] + RNG.normal(size=(400, 4))).argmax(axis=1)
TARGETS = (STATISTICS[:, :3] + RNG.normal(size=(400, 3)) > 0.5).astype(np.float32)


def read_rows(clips: Clips, numbers: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
    """Return the rows of these clips as their statistics."""
    return STATISTICS[clips.rows if numbers is None else clips.rows[numbers]]


@pytest.fixture(autouse=True)
def statistics() -> Iterator[None]:
    """Read no audio."""
    with mock.patch.object(fit, "read_statistics", read_rows):
        yield


def make_part(first: int, last: int, labels: NDArray[np.generic] = CLASSES) -> Clips:
    """Return the clips `first` to `last` of all."""
    rows = np.arange(first, last)
    return Clips(None, rows, labels[rows], rows.astype(str), rows, 16_000)  # type: ignore[arg-type]


def run(labels: NDArray[np.generic] = CLASSES, num_labels: int = 4) -> FittedBaseline:
    """Fit on the first 200 clips, validate on 100 and test on 100."""
    parts = [make_part(*bounds, labels) for bounds in ((0, 200), (200, 300), (300, 400))]
    return fit_baseline(*parts, num_labels)


def test_probabilities_are_those_of_scikit_learn_with_the_best_c() -> None:
    models = [make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000)) for c in GRID]
    for model in models:
        model.fit(STATISTICS[:200].astype(float), CLASSES[:200])
    losses = [log_loss(CLASSES[200:300], m.predict_proba(STATISTICS[200:300])) for m in models]
    best = int(np.argmin(losses))
    found = run()
    assert found.c == GRID[best] and 0 < best < len(GRID) - 1
    expected = models[best].predict_proba(STATISTICS[300:])
    np.testing.assert_allclose(found.test.probabilities, expected, atol=2e-3)
    assert found.validation is not None
    assert found.validation.loss == pytest.approx(losses[best], abs=1e-3)
    assert found.test.ids.tolist() == [str(number) for number in range(300, 400)]
    assert (found.num_train, found.num_available) == (200, 200)


def test_several_labels_have_a_regression_each_and_thresholds_of_validation() -> None:
    found = run(TARGETS, 3)
    reference = OneVsRestClassifier(LogisticRegression(C=found.c, max_iter=1000))
    model = make_pipeline(StandardScaler(), reference)
    model.fit(STATISTICS[:200].astype(float), TARGETS[:200].astype(int))
    expected = model.predict_proba(STATISTICS[300:])
    np.testing.assert_allclose(found.test.probabilities, expected, atol=2e-3)
    validation = found.validation
    assert validation is not None and found.test.thresholds is not None
    best = tune_thresholds(validation.targets, validation.probabilities)
    np.testing.assert_array_equal(found.test.thresholds, best)


def test_test_clips_that_are_validated_on_have_no_fitted_thresholds() -> None:
    train, part = make_part(0, 200, TARGETS), make_part(200, 300, TARGETS)
    assert fit_baseline(train, part, part, 3).test.thresholds is None


def test_labels_that_no_or_every_training_clip_has() -> None:
    known = np.flatnonzero(CLASSES[:200] != 2)
    found = fit_baseline(make_part(0, 200), make_part(200, 300), make_part(300, 400), 4, known)
    assert (found.test.probabilities[:, 2] == 0).all() and found.num_train == len(known)
    np.testing.assert_allclose(found.test.probabilities.sum(axis=1), 1, atol=1e-5)
    same = run(np.full(400, 1), 3)
    assert (same.test.probabilities == [0, 1, 0]).all() and same.test.is_correct.all()
    targets = TARGETS.copy()
    targets[:200, 0], targets[:200, 1] = 0, 1
    mixed = run(targets, 3).test.probabilities
    assert np.ptp(mixed, axis=0)[:2].tolist() == [0, 0] and np.ptp(mixed[:, 2]) > 0.1
    assert mixed[0, 0] < 0.01 and mixed[0, 1] > 0.99


def test_one_training_clip_and_no_validation_clip() -> None:
    one = fit_baseline(make_part(0, 1), make_part(200, 300), make_part(300, 400), 4)
    assert (one.test.predictions == CLASSES[0]).all()
    for none in (None, make_part(200, 200)):
        found = fit_baseline(make_part(0, 200), none, make_part(300, 400), 4)
        assert found.validation is None and found.c == DEFAULT_C
        model = make_pipeline(StandardScaler(), LogisticRegression(C=DEFAULT_C))
        expected = model.fit(STATISTICS[:200], CLASSES[:200]).predict_proba(STATISTICS[300:])
        np.testing.assert_allclose(found.test.probabilities, expected, atol=2e-3)


def test_of_many_clips_a_stratified_sample_is_used() -> None:
    with mock.patch.object(fit, "MAX_TRAIN_CLIPS", 40):
        found, again = run(), run()
        assert (found.num_train, found.num_available) == (40, 200)
        np.testing.assert_array_equal(found.test.probabilities, again.test.probabilities)
        assert run(TARGETS, 3).num_train == pytest.approx(40, abs=1)


def test_no_random_state_changes() -> None:
    before = np.random.get_state()[1].tolist()
    run()
    assert np.random.get_state()[1].tolist() == before


def test_keyword_spotting_uses_the_clips_of_the_first_epoch() -> None:
    names = ("go", "stop", "_unknown_")
    cfg = DataConfig(dataset="x", keywords=("go", "stop"), unknown_share=0.2)
    train = make_part(0, 200, np.minimum(CLASSES, 2))
    subset = make_epoch_subset(train.labels, names, cfg)
    used = draw_first_epoch(train.labels, names, cfg, 7)
    assert subset is not None and used is not None
    np.testing.assert_array_equal(used, subset.draw(7, 0))
    assert (train.labels[used] == 2).sum() < (train.labels == 2).sum()
    settings = RunConfig(data=cfg, train=TrainConfig(seed=7))
    probed = take_epoch_clips(train, names, settings)  # the linear probe has the same clips
    assert probed.ids.tolist() == train.ids[np.sort(used)].tolist()
    assert draw_first_epoch(train.labels, names, DataConfig(dataset="x"), 7) is None
