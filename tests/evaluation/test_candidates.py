"""Choice of a candidate against numbers computed by hand and by scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import log_loss

from audio_cls.evaluation.candidates import (
    Candidate,
    choose_candidate,
    clip_losses,
    clip_weights,
    mean_loss,
    standard_error,
)
from audio_cls.evaluation.metrics.scores import Scores

RNG = np.random.default_rng(0)


def test_losses_of_clips_average_to_the_log_loss_of_scikit_learn() -> None:
    given = RNG.dirichlet(np.ones(3), size=20)
    true = RNG.integers(3, size=20)
    losses = clip_losses(Scores(np.arange(20).astype(str), true, given))
    assert losses.mean() == pytest.approx(log_loss(true, given, labels=[0, 1, 2]), abs=1e-5)


def test_multilabel_losses_are_means_over_labels() -> None:
    scores = Scores(np.array(["a"]), np.array([[1, 0]]), np.array([[0.5, 0.2]]))
    assert clip_losses(scores)[0] == pytest.approx((-math.log(0.5) - math.log(0.8)) / 2)


def test_groups_count_equally_and_clips_without_one_by_themselves() -> None:
    groups = np.array(["a", "a", "b", ""])
    assert clip_weights(4, groups).tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 3, 1 / 3])
    losses = np.array([1.0, 3.0, 5.0, 8.0])
    assert mean_loss(losses, groups) == pytest.approx((2 + 5 + 8) / 3)
    assert mean_loss(losses, None) == pytest.approx(17 / 4)


def test_standard_error_of_clips_is_that_of_scipy() -> None:
    values = RNG.normal(size=30)
    assert standard_error(values, None) == pytest.approx(stats.sem(values))
    few = np.repeat(["a", "b"], 15)  # two groups: over clips
    assert standard_error(values, few) == pytest.approx(stats.sem(values))
    assert standard_error(np.ones(1), None) == 0


def test_standard_error_of_five_groups_is_that_of_their_means() -> None:
    values = RNG.normal(size=30)
    groups = np.repeat(list("abcde"), [2, 4, 6, 8, 10])
    means = [values[groups == name].mean() for name in "abcde"]
    assert standard_error(values, groups) == pytest.approx(stats.sem(means))


def _choose(*losses: list[float]) -> tuple[int, list[float], str]:
    """Choose among candidates of complexity 0, 1, 2; return also the standard errors."""
    candidates = [Candidate(f"c{n}", n, np.array(one)) for n, one in enumerate(losses)]
    number, compared, reason = choose_candidate(candidates, None)
    return number, [one.standard_error for one in compared], reason


def test_a_simpler_candidate_within_one_standard_error_is_chosen() -> None:
    """The differences of c0 to c2 are 0.5, -0.3, 0.4, 0.0: mean 0.15, standard error 0.185."""
    best = [1.0, 1.0, 1.0, 1.0]
    number, errors, reason = _choose([1.5, 0.7, 1.4, 1.0], [3.0, 3.0, 3.0, 3.0], best)
    assert number == 0
    assert errors[0] == pytest.approx(np.std([0.5, -0.3, 0.4, 0.0], ddof=1) / 2)
    assert "0.1500 above the lowest (c2), with a standard error of 0.1848" in reason


def test_a_simpler_candidate_outside_of_it_is_not() -> None:
    """Mean difference 0.35; standard error 0.087 from 0.5, 0.2, 0.2, 0.5."""
    number, errors, reason = _choose([1.5, 1.2, 1.2, 1.5], [1.4, 1.4, 1.4, 1.4], [1.0] * 4)
    assert number == 2
    assert errors[0] == pytest.approx(0.0866, abs=1e-4)
    assert reason == (
        "It has the lowest log loss of the candidates; no simpler one is within one standard error."
    )
    assert _choose([1.0, 1.0], [1.4, 1.4])[2] == "It has the lowest log loss of the candidates."


def test_of_equally_simple_ones_the_better_is_chosen() -> None:
    losses = [np.array([1.0, 2.0]), np.array([1.1, 1.8])]
    candidates = [Candidate(name, 1, one) for name, one in zip("ab", losses, strict=True)]
    assert choose_candidate(candidates, None)[0] == 1
