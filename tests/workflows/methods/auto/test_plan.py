"""The plan of the candidates of --method auto."""

from __future__ import annotations

import pytest

from audio_cls.config import RunConfig
from audio_cls.workflows.methods.auto.halving import share_of_plan
from audio_cls.workflows.methods.auto.plan import (
    Rung,
    list_cases,
    make_candidate_config,
    plan_halving,
)


def count_epochs(rungs: list[Rung]) -> int:
    """Return the epochs that all candidates train together."""
    starts = [0, *(rung.epoch for rung in rungs)]
    pairs = zip(rungs, starts, strict=False)
    return sum(rung.num_cases * (rung.epoch - start) for rung, start in pairs)


def test_epochs_of_all_candidates() -> None:
    assert (count_epochs(plan_halving(10)), count_epochs(plan_halving(4))) == (12, 5)


@pytest.mark.parametrize("epochs", [*range(1, 30), 50, 100])
def test_candidates_train_at_most_a_quarter_more_than_one_fine_tuning(epochs: int) -> None:
    rungs = plan_halving(epochs)
    assert count_epochs(rungs) <= 1.25 * epochs
    assert [rung.num_cases for rung in rungs] in ([4, 2, 1], [2, 1], [1])
    ends = [rung.epoch for rung in rungs]
    assert ends == sorted(set(ends))
    assert ends[-1] >= 0.65 * epochs


@pytest.mark.parametrize("epochs", [2, 5, 10, 16])
def test_each_share_of_the_time_that_is_left_is_that_of_its_epochs(epochs: int) -> None:
    rungs = tuple(plan_halving(epochs))
    left, start = 1.0, 0
    total = count_epochs(list(rungs))
    for rung in rungs:
        for place in range(rung.num_cases):
            used = share_of_plan(rungs, rung, start, place) * left
            assert used == pytest.approx((rung.epoch - start) / total)
            left -= used
        start = rung.epoch
    assert left == pytest.approx(0)


def test_first_case_has_the_rate_of_the_user_and_stronger_values_stay() -> None:
    cfg = RunConfig.from_flat({"learning_rate": 1e-4, "weight_decay": 0.2, "layer_decay": 0.9})
    first, second, third, fourth = list_cases(cfg, 4)
    assert first == {
        "learning_rate": 1e-4,
        "layer_decay": 0.9,
        "weight_decay": 0.2,
        "mixup_alpha": 0.0,
    }
    assert [one["learning_rate"] for one in (second, third, fourth)] == pytest.approx(
        [1e-4 / 3, 1e-4, 1e-4 / 3]
    )
    assert [one["mixup_alpha"] for one in (second, third, fourth)] == [0.0, 0.3, 0.3]
    assert fourth["weight_decay"] == 0.2
    assert list_cases(RunConfig(), 1)[0]["layer_decay"] == 0.75


def test_a_candidate_is_an_ordinary_run_from_the_probe() -> None:
    cfg = RunConfig.from_flat(
        {"dataset": "clips", "method": "auto", "model": "a/b", "overwrite": True, "epochs": 8,
         "max_train_minutes": 5.0, "max_seconds": 2.0, "feature_cache_gb": 1.0}
    )  # fmt: skip
    case = list_cases(cfg, 2)[1]
    found = make_candidate_config(cfg, case, "run/candidates/probe", "run/candidates/x", 40)
    assert found.train.method == "fine-tune"
    assert (found.model.model, found.train.output_dir) == (
        "run/candidates/probe",
        "run/candidates/x",
    )
    assert (found.train.resume, found.train.overwrite, found.train.max_steps) == ("auto", False, 40)
    assert found.train.max_train_minutes is None
    assert found.eval.metric == "log_loss"
    assert found.optim.learning_rate == pytest.approx(5e-5 / 3)
    assert found.augment.mixup_alpha == 0.0
    assert found.data == cfg.data
    assert found.audio == cfg.audio
