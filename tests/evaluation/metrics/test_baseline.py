"""Majority baseline: what scikit-learn's DummyClassifier reaches on the same clips."""

from __future__ import annotations

import numpy as np
import pytest
from made_scores import make_scores
from sklearn import metrics as reference
from sklearn.dummy import DummyClassifier

from audio_cls.config import EvalConfig, OptimConfig
from audio_cls.evaluation.metrics.baseline import (
    advise_training,
    compute_baselines,
    compute_chance_loss,
    find_majority,
    read_majority,
    warn_if_above_chance,
)
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.reports.report import report_scores
from audio_cls.run_warnings import collect_warnings

NAMES = ("a", "b", "c")


@pytest.mark.parametrize("seed", range(5))
def test_one_label_per_clip_has_the_accuracy_of_the_dummy_classifier(seed: int) -> None:
    rng = np.random.default_rng(seed)
    train, test = rng.integers(4, size=30), rng.integers(4, size=20)
    dummy = DummyClassifier(strategy="most_frequent").fit(np.zeros((30, 1)), train)
    expected = dummy.score(np.zeros((20, 1)), test)
    found = compute_baselines(test, find_majority(train))
    assert found == {"majority_accuracy": pytest.approx(expected)}
    assert compute_baselines(test)["majority_accuracy"] == np.bincount(test).max() / 20


@pytest.mark.parametrize("seed", range(5))
def test_several_labels_have_its_subset_accuracy_and_the_map_of_equal_scores(seed: int) -> None:
    rng = np.random.default_rng(seed)
    train, test = ((rng.random((n, 3)) < (0.8, 0.1, 0.3)).astype(np.int64) for n in (31, 20))
    dummy = DummyClassifier(strategy="most_frequent").fit(np.zeros((31, 1)), train)
    predicted = dummy.predict(np.zeros((20, 1)))
    found = compute_baselines(test, find_majority(train.astype(np.float32)))
    assert found["majority_accuracy"] == pytest.approx(reference.accuracy_score(test, predicted))
    has = test.any(axis=0)
    expected = reference.average_precision_score(test[:, has], np.zeros((20, int(has.sum()))))
    assert found["baseline_map"] == pytest.approx(expected, abs=1e-6)


def test_the_report_has_the_class_and_where_it_was_counted() -> None:
    scores = Scores(np.arange(4).astype(str), np.array([0, 0, 0, 1]), np.eye(3)[[0, 1, 2, 1]])
    here = report_scores(scores, NAMES, EvalConfig(), None)
    assert (here["majority_class"], here["majority_from"]) == ("a", "these clips")
    assert here["majority_accuracy"] == 0.75
    known = report_scores(scores, NAMES, EvalConfig(), None, find_majority(np.array([1, 1, 0])))
    assert (known["majority_class"], known["majority_from"]) == ("b", "train")
    assert known["majority_accuracy"] == 0.25
    # A later evaluation finds it again by name, whatever the order of the labels.
    assert read_majority(known, ("c", "b")) == 1
    assert read_majority(here, NAMES) is None
    assert read_majority(known, ("x", "y")) is None
    targets = {"majority_class": ["c", "a"], "majority_from": "train"}
    assert read_majority(targets, NAMES).tolist() == [1, 0, 1]  # type: ignore[union-attr]
    none = {"majority_class": [], "majority_from": "train"}
    assert read_majority(none, NAMES).tolist() == [0, 0, 0]  # type: ignore[union-attr]


def test_a_model_that_always_predicts_one_class_is_warned_of() -> None:
    labels = np.array([0, 1, 2, 1])
    texts = collect_warnings()
    stuck = Scores(np.arange(4).astype(str), labels, np.tile([0.2, 0.3, 0.5], (4, 1)))
    report = report_scores(stuck, NAMES, EvalConfig(), None)
    assert report["accuracy"] == 0.25 and report["majority_accuracy"] == 0.5
    assert len(texts) == 1 and texts[0].startswith("The model predicts 'c' for all 4 clips")
    targets = (np.arange(12).reshape(4, 3) % 2).astype(np.int64)
    report_scores(Scores(stuck.ids, targets, stuck.probabilities), NAMES, EvalConfig(), None)
    assert len(texts) == 2 and "the same labels for all 4 clips" in texts[1]
    assert texts[0].endswith("if they are, use another model.")  # of an evaluation
    del texts[:]
    report_scores(stuck, NAMES, EvalConfig(), None, advice="Try another --model.")
    assert texts[0].endswith("the classes. Try another --model.")
    del texts[:]
    report_scores(make_scores(), NAMES, EvalConfig(), None)
    assert texts == []


def test_only_options_that_the_training_did_not_have_are_advised() -> None:
    unequal, equal = np.array([0, 0, 0, 1]), np.array([0, 0, 1])
    targets = np.array([[1, 0], [1, 0], [1, 1]])
    advice = [
        advise_training(optim, labels, is_probe=False)
        for optim, labels in (
            (OptimConfig(), unequal),
            (OptimConfig(), targets),
            (OptimConfig(), equal),
            (OptimConfig(class_weights="balanced"), unequal),
            (OptimConfig(sampler="balanced"), unequal),
            (OptimConfig(pos_weight="auto"), targets),
        )
    ]
    end = "since the numbers of clips of the classes are unequal."
    assert advice[0].endswith(f"--learning-rate or --class-weights balanced, {end}")
    assert advice[1].endswith(f"--learning-rate or --pos-weight auto, {end}")
    assert set(advice[2:]) == {"Train for more epochs, or try another --learning-rate."}
    assert "--learning-rate" not in advise_training(OptimConfig(), unequal, is_probe=True)


def test_classes_without_a_clip_have_no_scores_and_come_last() -> None:
    texts = collect_warnings()
    scores = Scores(np.arange(3).astype(str), np.array([0, 2, 2]), np.eye(3)[[0, 1, 2]])
    report = report_scores(scores, NAMES, EvalConfig(), None)
    assert list(report["per_class"]) == ["a", "c", "b"]
    assert report["per_class"]["b"] == {"precision": None, "recall": None, "f1": None, "support": 0}
    assert report["untested_labels"] == ["b"]
    assert texts == ["1 of 3 classes has no clip in the evaluated split and is not tested: b."]
    # scikit-learn's macro F1 counts a class that was predicted: (1 + 0 + 2/3) / 3.
    assert report["f1_macro"] == pytest.approx((1 + 0 + 2 / 3) / 3, abs=1e-6)


def test_log_loss_of_the_class_shares_is_that_of_the_prior_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    train, test = rng.permutation([0, 1, 1, 2, 2, 2, 2]), rng.integers(3, size=20)
    prior = DummyClassifier(strategy="prior").fit(np.zeros((7, 1)), train)
    expected = reference.log_loss(test, prior.predict_proba(np.zeros((20, 1))), labels=[0, 1, 2])
    assert compute_chance_loss(test, train) == pytest.approx(expected, abs=1e-6)
    targets = np.array([[1, 0], [1, 1], [0, 0], [1, 0]], np.float32)  # shares 0.75 and 0.25
    expected = -np.log([0.75, 0.75, 0.25, 0.75, 0.75, 0.25, 0.75, 0.75]).mean()
    assert compute_chance_loss(targets, targets) == pytest.approx(expected, abs=1e-6)


def test_a_log_loss_above_that_of_the_class_shares_has_a_warning() -> None:
    texts, labels = collect_warnings(), np.array([0, 1])
    warn_if_above_chance(0.69, labels, labels)
    assert texts == []
    warn_if_above_chance(0.7, labels, labels)
    assert "0.7000, is above 0.6931" in texts[0]
    assert "--group-column" in texts[0]
