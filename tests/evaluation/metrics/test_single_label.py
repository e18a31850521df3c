"""Every metric against scikit-learn: random cases, an empty class, one clip, ties."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from made_scores import make_probabilities
from numpy.typing import NDArray
from scipy.interpolate import interp1d  # type: ignore[import-untyped]
from scipy.optimize import brentq  # type: ignore[import-untyped]
from sklearn import metrics as reference

from audio_cls.config import METRIC_SPECS, select_metrics
from audio_cls.evaluation.metrics import registry
from audio_cls.evaluation.metrics.multi_label import MULTI_LABEL_METRICS
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.metrics.single_label import (
    SINGLE_LABEL_METRICS,
    tabulate_classes,
)
from audio_cls.inference.aggregation import MIN_PROBABILITY

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


def compute_metrics(true: Ids, scores: Floats, keys: list[str] | None = None) -> dict[str, float]:
    """Compute metrics of the package from arrays."""
    return registry.compute_metrics(Scores(np.arange(len(true)).astype(str), true, scores), keys)


def make_case(name: str) -> tuple[Ids, Floats]:
    """Return true labels (N,) and probabilities (N, L) of a kind of case."""
    rng = np.random.default_rng(sum(map(ord, name)))
    num_labels = 2 if name == "two classes" else 7
    num_clips = 1 if name == "one clip" else 80
    labels = rng.integers(num_labels, size=num_clips)
    if name == "an empty class":
        labels[labels == 3] = 4
    decimals = 1 if name == "ties" else 6
    return labels, make_probabilities(rng, labels, num_labels, decimals)


CASES = ("random", "two classes", "an empty class", "one clip", "ties", "random again")


def expect_by_class(key: str, true: Ids, predicted: Ids) -> float:
    """Compute a label metric by scikit-learn."""
    if key == "accuracy":
        return float(reference.accuracy_score(true, predicted))
    if key in ("balanced_accuracy", "uar"):
        return float(reference.balanced_accuracy_score(true, predicted))
    kind, average = key.split("_")
    function = getattr(reference, f"{kind}_score")
    # A class without a clip has no recall, so that macro recall is balanced accuracy.
    undefined = np.nan if key == "recall_macro" else 0
    return float(function(true, predicted, average=average, zero_division=undefined))


def expect_by_score(key: str, true: Ids, scores: Floats) -> float:
    """Compute a metric of probabilities by scikit-learn, class by class where it cannot at once."""
    num_labels = scores.shape[1]
    if key.startswith("top"):
        # scikit-learn gives a tie to the larger label, we to the smaller: mirror the labels.
        mirrored = num_labels - 1 - true
        return float(
            reference.top_k_accuracy_score(
                mirrored, scores[:, ::-1], k=int(key[3]), labels=range(num_labels)
            )
        )
    if key == "log_loss":
        own = np.clip(scores, MIN_PROBABILITY, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rounded rows do not sum to 1 exactly
            return float(reference.log_loss(true, own, labels=range(num_labels)))
    if key == "eer":
        false_alarms, hits, _ = reference.roc_curve(true, scores[:, 1], drop_intermediate=False)
        curve = interp1d(false_alarms, hits)
        return float(brentq(lambda x: 1 - x - curve(x), 0, 1))
    function = reference.roc_auc_score if key == "roc_auc" else reference.average_precision_score
    values = [function(true == k, scores[:, k]) for k in np.unique(true) if not (true == k).all()]
    return float(np.mean(values)) if values else float("nan")


@pytest.mark.parametrize("case", CASES)
def test_every_label_metric_is_that_of_scikit_learn(case: str) -> None:
    true, scores = make_case(case)
    predicted = scores.argmax(axis=1)
    found = compute_metrics(true, scores)
    keys = [key for key, metric in SINGLE_LABEL_METRICS.items() if not metric.uses_probabilities]
    assert len(keys) >= 12
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a prediction that is in no true label
        expected = {key: expect_by_class(key, true, predicted) for key in keys}
    assert {key: found[key] for key in keys} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_every_score_metric_is_that_of_scikit_learn(case: str) -> None:
    true, scores = make_case(case)
    found = compute_metrics(true, scores)
    keys = [key for key in found if SINGLE_LABEL_METRICS[key].uses_probabilities and key != "ece"]
    assert set(keys) >= {"roc_auc", "map", "log_loss"}
    for key in keys:
        if case == "one clip" and key == "map":
            assert found[key] == 1.0  # one positive and nothing below it
            continue
        expected = expect_by_score(key, true, scores)
        assert found[key] == pytest.approx(expected, abs=1e-9, nan_ok=True), key


def test_macro_recall_and_uar_are_one_value_when_a_predicted_class_has_no_clip() -> None:
    # Class 0 has recall 1/2, class 1 has 1; class 2 is predicted once and has no clip.
    true, scores = np.array([0, 0, 1]), np.eye(3)[[0, 2, 1]]
    found = compute_metrics(true, scores)
    assert found["uar"] == found["recall_macro"] == found["balanced_accuracy"] == 0.75


def test_registry_lists_every_metric_with_its_bounds_and_no_count() -> None:
    assert set(METRIC_SPECS) == {*SINGLE_LABEL_METRICS, *MULTI_LABEL_METRICS, "loss"}
    true, scores = make_case("random")
    for key, value in compute_metrics(true, scores).items():
        spec = METRIC_SPECS[key]
        assert spec.lowest <= value <= spec.highest
    part = {
        **{"accuracy": 1, "loss": 0.2, "roc_auc": None, "f1_macro": float("nan"), "mine": 3.0},
        **{"num_examples": 8, "num_groups": 4, "majority_accuracy": 0.5, "epoch": 2.0},
        **{"accuracy_ci95": [0.5, 1.0], "intervals": {}, "is_new": True},
    }
    assert select_metrics(part) == {"accuracy": 1, "loss": 0.2}
    assert select_metrics(part, "mine") == {"accuracy": 1, "loss": 0.2, "mine": 3.0}


def test_equal_error_rate_is_that_of_the_roc_curve_on_many_draws() -> None:
    rng = np.random.default_rng(5)
    for decimals in (6, 6, 2, 1):
        true = rng.integers(2, size=51)
        scores = make_probabilities(rng, true, 2, decimals)
        found = compute_metrics(true, scores, ["eer"])["eer"]
        assert found == pytest.approx(expect_by_score("eer", true, scores), abs=1e-9)


def test_what_cannot_be_ranked_is_nan() -> None:
    true, scores = np.array([1, 1]), np.array([[0.2, 0.8], [0.6, 0.4]])
    found = compute_metrics(true, scores)
    assert np.isnan(found["roc_auc"])
    assert np.isnan(found["eer"])


def test_metrics_that_say_nothing_for_the_number_of_labels_are_left_out() -> None:
    three = compute_metrics(*make_three())
    assert "eer" not in three
    assert "top3_accuracy" not in three
    assert "top5_accuracy" in compute_metrics(*make_case("random"))


def make_three() -> tuple[Ids, Floats]:
    """Return six clips of three labels."""
    labels = np.array([0, 1, 2, 0, 1, 2])
    return labels, make_probabilities(np.random.default_rng(0), labels, 3)


def test_calibration_error_is_the_mean_gap_on_paper() -> None:
    # Two clips at 0.9, one right: gap 0.4; two at 0.6, both right: gap 0.4.
    scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    assert compute_metrics(np.array([0, 1, 0, 0]), scores, ["ece"])["ece"] == pytest.approx(0.4)


def test_class_table_has_scikit_learns_numbers_and_none_for_an_absent_class() -> None:
    true, scores = make_case("an empty class")
    predicted = scores.argmax(axis=1)
    table = tabulate_classes(true, predicted, [f"class {n}" for n in range(7)])
    tested = [0, 1, 2, 4, 5, 6]
    assert list(table) == [f"class {n}" for n in (*tested, 3)]
    columns = reference.precision_recall_fscore_support(
        true, predicted, labels=tested, zero_division=0
    )
    rows = list(table.values())
    for name, column in zip(("precision", "recall", "f1", "support"), columns, strict=True):
        assert [row[name] for row in rows[:-1]] == pytest.approx(column.tolist(), abs=1e-6)
    assert rows[-1] == {"precision": None, "recall": None, "f1": None, "support": 0}
