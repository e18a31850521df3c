"""Choice of a layer: the clips that it is made on, the score of a clip, and ties."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax  # type: ignore[import-untyped]

from audio_cls.linear_probe import folds as folds_module
from audio_cls.linear_probe.choose import (
    C_GRID,
    CandidateScore,
    ProbeTask,
    choose_candidate,
    compare_candidates,
)
from audio_cls.linear_probe.cut import Candidate
from audio_cls.linear_probe.folds import choose_folds
from audio_cls.linear_probe.regression import LinearLayer
from audio_cls.progress import ProgressReport


def test_enough_validation_clips_are_used_as_they_are() -> None:
    folds = choose_folds(np.repeat([0, 1], 30), np.repeat([0, 1], 10), 2, None, seed=0)
    ((used, scored),) = folds.pairs
    assert used.tolist() == list(range(60))
    assert scored.tolist() == list(range(60, 80))
    assert folds.description == "20 validation clips"


def test_few_validation_clips_lead_to_folds_without_a_shared_group() -> None:
    labels = np.tile([0, 1], 30)
    groups = np.array([f"speaker {number // 6}" for number in range(60)])
    groups[:2] = ""
    folds = choose_folds(labels, labels[:19], 2, groups, seed=0)
    assert folds.description == "5-fold cross-validation by group of 60 training clips"
    assert sorted(folds.scored.tolist()) == list(range(60))
    for used, scored in folds.pairs:
        named = set(groups[used]) & set(groups[scored])
        assert named <= {""}
        assert set(labels[used]) == {0, 1}
    plain = choose_folds(labels, labels[:0], 2, None, seed=0)
    assert plain.description == "5-fold cross-validation of 60 training clips"
    assert {int(labels[scored].sum()) for _, scored in plain.pairs} == {6}  # stratified
    multi = choose_folds(np.eye(2)[labels], np.eye(2)[labels[:19]], 2, groups, seed=0)
    assert multi.description == "5-fold cross-validation by group of 60 training clips"


def test_of_many_training_clips_a_stratified_sample_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folds_module, "MAX_TRAIN_CLIPS", 20)
    labels = np.tile([0, 1], 30)
    folds = choose_folds(labels, labels[:19], 2, None, seed=0)
    assert folds.description == "5-fold cross-validation of 20 of 60 training clips"
    assert labels[folds.scored].sum() == 10
    assert len(set(folds.scored.tolist())) == 20
    ((used, scored),) = choose_folds(labels, labels[:40], 2, None, seed=0).pairs
    assert len(used) == 20
    assert scored.tolist() == list(range(60, 100))


def test_classes_of_one_clip_do_not_prevent_folds() -> None:
    folds = choose_folds(np.arange(7), np.arange(7), 7, None, seed=0)
    assert sorted(folds.scored.tolist()) == list(range(7))


def test_windows_of_a_clip_are_aggregated_as_in_evaluation() -> None:
    task = ProbeTask(np.array([0, 1]), 2, "mean-logit", np.ones(2))
    layer = LinearLayer(np.eye(2), np.zeros(2))
    vectors = np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 3.0]], np.float32)
    found = task.predict(layer, vectors, np.array([0, 0, 1]))
    assert found == pytest.approx(softmax([[1.0, 0.5], [1.0, 3.0]], axis=1))
    loss, accuracy = task.score(found, np.array([0, 1]))
    assert accuracy == 1
    assert loss == pytest.approx(-np.log([found[0, 0], found[1, 1]]).mean(), abs=1e-4)


def test_a_tie_is_won_by_the_smaller_model() -> None:
    rows = [
        CandidateScore(Candidate(3, 3), 0.1, 0.2, 0.9),
        CandidateScore(Candidate(2, 1), 0.1, 0.1, 0.9),
        CandidateScore(Candidate(1, 1), 1.0, 0.1003, 0.8),
    ]
    assert choose_candidate(rows) is rows[2]


def test_the_layer_that_separates_the_classes_is_chosen() -> None:
    rng, labels = np.random.default_rng(0), np.repeat([0, 1, 2], 20)
    noise = rng.standard_normal((2, 60, 4)).astype(np.float32)
    vectors = noise + np.stack([np.zeros((60, 4)), 2 * np.eye(3, 4)[labels]]).astype(np.float32)
    features: Any = SimpleNamespace(
        read=lambda number: vectors[number], clips=np.arange(60), clip_weights=np.ones(60)
    )
    task = ProbeTask(labels, 3, "mean-logit", np.ones(60))
    candidates = [Candidate(1, 1), Candidate(2, 2)]
    folds = choose_folds(labels, labels[:0], 3, None, seed=0)
    with ProgressReport("Layers", 2, logging.getLogger("audio_cls")) as report:
        scores = compare_candidates(features, candidates, task, folds, report)
    best = choose_candidate(scores)
    assert best.candidate == Candidate(2, 2)
    assert best.value > 0.8
    assert best.c in C_GRID
    assert scores[0].loss >= round(np.log(3), 1) - 0.1  # noise: no better than chance
