"""Choice of a layer: the clips that it is made on, the score of a clip, and ties."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax  # type: ignore[import-untyped]
from sklearn.model_selection import StratifiedKFold

from audio_cls.linear_probe import folds as folds_module
from audio_cls.linear_probe.choose import (
    C_GRID,
    CandidateScore,
    ProbeTask,
    choose_candidate,
    compare_candidates,
    take_default,
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
    folds = choose_folds(labels, labels[:18], 2, groups, seed=0)
    assert folds.description == "5-fold cross-validation by group of 60 training clips"
    assert sorted(folds.scored.tolist()) == list(range(60))
    for used, scored in folds.pairs:
        named = set(groups[used]) & set(groups[scored])
        assert named <= {""}
        assert set(labels[used]) == {0, 1}
    plain = choose_folds(labels, labels[:0], 2, None, seed=0)
    assert plain.description == "5-fold cross-validation of 60 training clips"
    assert {int(labels[scored].sum()) for _, scored in plain.pairs} == {6}  # stratified
    multi = choose_folds(np.eye(2)[labels], np.eye(2)[labels[:18]], 2, groups, seed=0)
    assert multi.description == "5-fold cross-validation by group of 60 training clips"


def test_folds_of_clips_with_several_labels_have_their_shares_of_each_label() -> None:
    targets = np.zeros((60, 3))
    targets[:30, 0], targets[20:40, 1], targets[55:, 2] = 1, 1, 1  # 30, 20 and 5 clips
    groups = np.array([f"speaker {number // 2}" for number in range(60)])
    plain, grouped = (choose_folds(targets, targets[:0], 3, by, seed=0) for by in (None, groups))
    counts = np.array([targets[scored].sum(axis=0) for _, scored in plain.pairs])
    assert counts[:, 1:].tolist() == [[4, 1]] * 5  # exact for the rare labels
    assert abs(counts[:, 0] - 6).max() <= 2
    for used, scored in grouped.pairs:
        assert not set(groups[used]) & set(groups[scored])
        assert abs(targets[scored].sum(axis=0) - [6, 4, 1]).max() <= 2


def test_of_many_training_clips_a_stratified_sample_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folds_module, "MAX_TRAIN_CLIPS", 20)
    labels = np.tile([0, 1], 30)
    folds = choose_folds(labels, labels[:18], 2, None, seed=0)
    assert folds.description == "5-fold cross-validation of 20 of 60 training clips"
    assert labels[folds.scored].sum() == 10
    assert len(set(folds.scored.tolist())) == 20
    ((used, scored),) = choose_folds(labels, labels[:40], 2, None, seed=0).pairs
    assert len(used) == 20
    assert scored.tolist() == list(range(60, 100))


def test_folds_are_those_of_scikit_learn_for_the_smallest_class() -> None:
    for smallest, expected in ((2, 2), (3, 3), (7, 5)):
        labels = np.concatenate([np.repeat([0, 1], 10), np.full(smallest, 2)])
        folds = choose_folds(labels, labels[:0], 3, None, seed=3)
        splitter = StratifiedKFold(expected, shuffle=True, random_state=3)
        wanted = [(f.tolist(), s.tolist()) for f, s in splitter.split(labels, labels)]
        assert [(f.tolist(), s.tolist()) for f, s in folds.pairs] == wanted
        assert folds.description.startswith(f"{expected}-fold cross-validation of ")


def test_a_class_with_one_clip_is_fitted_on_and_not_scored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 2])
    folds = choose_folds(labels, labels[:0], 3, None, seed=0)
    assert sorted(folds.scored.tolist()) == [0, 1, 2, 3, 4, 5]
    assert all(6 in fit for fit, _ in folds.pairs)
    splitter = StratifiedKFold(3, shuffle=True, random_state=0)
    wanted = [scored.tolist() for _, scored in splitter.split(labels[:6], labels[:6])]
    assert [scored.tolist() for _, scored in folds.pairs] == wanted
    assert caplog.text.count("1 class has one training clip and is not scored") == 1


def test_a_scored_class_is_always_fitted_on_with_groups() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
    groups = np.array(["a", "a", "b", "c", "a", "b", "b", "c", "c", "c"])  # class 2: one group
    folds = choose_folds(labels, labels[:0], 3, groups, seed=0)
    assert sorted(folds.scored.tolist()) == list(range(8))
    for fit, scored in folds.pairs:
        assert set(labels[scored]) <= set(labels[fit])
        assert not set(groups[scored]) & set(groups[fit])
    alone = choose_folds(labels[:8], labels[:0], 2, np.repeat(["a", "b"], 4), seed=0)
    assert alone.description == "4-fold cross-validation of 8 training clips"  # not by group


def test_groups_are_ignored_where_only_a_small_class_has_several() -> None:
    # Speakers are one group, the split of the authors; each recording of silence is one.
    labels = np.concatenate([np.repeat([0, 1], 20), [2, 2, 2, 2]])
    one, recordings = np.full(40, "train"), np.array(["boiler", "boiler", "fan", "fan"])
    for silence in (recordings, np.array([""] * 4)):
        folds = choose_folds(labels, labels[:0], 3, np.concatenate([one, silence]), seed=0)
        assert sorted(folds.scored.tolist()) == list(range(44))
        assert folds.description == "4-fold cross-validation of 44 training clips"


def test_without_a_class_of_two_clips_the_last_layer_is_used() -> None:
    assert choose_folds(np.arange(7), np.arange(7), 7, None, seed=0).pairs == ()
    taken = take_default([Candidate(1, 1), Candidate(3, 2), Candidate(2, 2), Candidate(3, 3)])
    assert (taken.candidate, taken.c) == (Candidate(3, 3), 1.0)


def test_validation_is_used_if_it_has_ten_clips_of_the_median_class_of_training() -> None:
    train = np.repeat([0, 1, 2], [30, 30, 5])
    for counts, is_used in (([60, 10, 0], True), ([9, 10, 60], True), ([60, 9, 9], False)):
        validation = np.repeat([0, 1, 2], counts)
        folds = choose_folds(train, validation, 4, None, seed=0)  # class 3 has no training clip
        assert folds.description.endswith("validation clips") == is_used
        targets = choose_folds(np.eye(4)[train], np.eye(4)[validation], 4, None, seed=0)
        assert targets.description == folds.description


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
    assert best.start_c in C_GRID[: C_GRID.index(best.c) + 1]
    # The head to fine-tune from separates as well, and has a training loss to learn from.
    fits = task.make_regression(vectors[1], features, np.arange(60))
    (loss, value), (start_loss, start_value) = (
        task.score(task.predict(fits.fit(c), vectors[1], features.clips), np.arange(60))
        for c in (best.c, best.start_c)
    )
    assert start_loss >= loss
    assert start_value > value - 0.1
    assert scores[0].loss >= round(np.log(3), 1) - 0.1  # noise: no better than chance
