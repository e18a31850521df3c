"""Regression of a linear probe: scikit-learn's probabilities from one linear layer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from audio_cls.linear_probe.regression import ProbeRegression, Vectors

NUM_ROWS, WIDTH = 90, 6


def make_data(num_labels: int) -> tuple[Vectors, np.ndarray]:
    """Return vectors of different scale and offset, and overlapping classes."""
    rng = np.random.default_rng(num_labels)
    labels = rng.integers(0, num_labels, NUM_ROWS)
    centres = rng.standard_normal((num_labels, WIDTH))
    vectors = (centres[labels] + rng.standard_normal((NUM_ROWS, WIDTH))) * 10.0 ** np.arange(-2, 4)
    return (vectors + 50).astype(np.float32), labels


@pytest.mark.parametrize("num_labels", [2, 4])
def test_classes_have_the_probabilities_of_scikit_learn(num_labels: int) -> None:
    vectors, labels = make_data(num_labels)
    weights = np.random.default_rng(0).uniform(0.2, 1, NUM_ROWS)
    regression = ProbeRegression(vectors, labels, num_labels, weights)
    regression.fit(0.01)  # the next fit starts from it
    layer = regression.fit(0.5)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=1000))
    model.fit(vectors.astype(np.float64), labels, logisticregression__sample_weight=weights)
    expected = model.predict_proba(vectors)
    assert softmax(layer(vectors), axis=1) == pytest.approx(expected, abs=2e-3)


def test_a_class_without_clips_has_probability_0() -> None:
    vectors, labels = make_data(3)
    labels = np.array([0, 2, 3])[labels]  # class 1 is missing
    found = softmax(
        ProbeRegression(vectors, labels, 4, np.ones(NUM_ROWS)).fit(1.0)(vectors), axis=1
    )
    assert found[:, 1].max() == 0
    assert (found.argmax(axis=1) == labels).mean() > 0.6
    only = ProbeRegression(vectors, np.full(NUM_ROWS, 2), 4, np.ones(NUM_ROWS)).fit(1.0)
    assert softmax(only(vectors), axis=1)[:, 2] == pytest.approx(1)


def test_each_label_of_a_multi_label_task_has_a_regression() -> None:
    vectors, labels = make_data(3)
    targets = np.stack([labels == 0, labels > 0, labels < 5, labels > 5], axis=1).astype(np.int64)
    gains = np.array([3.0, 1.0, 1.0, 1.0])
    found = expit(ProbeRegression(vectors, targets, 4, np.ones(NUM_ROWS), gains).fit(0.1)(vectors))
    weights = np.where(labels == 0, 3.0, 1.0)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    model.fit(vectors.astype(np.float64), targets[:, 0], logisticregression__sample_weight=weights)
    assert found[:, 0] == pytest.approx(model.predict_proba(vectors)[:, 1], abs=2e-3)
    assert found[:, 2] == pytest.approx((NUM_ROWS + 0.5) / (NUM_ROWS + 1))  # all clips have it
    assert found[:, 3] == pytest.approx(0.5 / (NUM_ROWS + 1))  # none has
