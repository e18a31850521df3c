"""One command, several runs."""

from __future__ import annotations

import pytest

from audio_cls.config import RunConfig
from audio_cls.errors import SettingError
from audio_cls.training.plan import plan_runs


def test_one_run_is_left_as_it_is() -> None:
    cfg = RunConfig.from_flat({"dataset": "a/b", "folds": 5, "fold": "2"})
    assert plan_runs(cfg) == [cfg]


def test_every_fold_gets_every_seed_and_a_folder_of_its_own() -> None:
    cfg = RunConfig.from_flat({"dataset": "a/b", "folds": 2, "seeds": (0, 7), "output_dir": "r"})
    runs = plan_runs(cfg)
    found = [(run.data.fold, run.train.seed, run.train.output_dir) for run in runs]
    assert found == [
        ("1", 0, "r/fold-1-seed-0"),
        ("1", 7, "r/fold-1-seed-7"),
        ("2", 0, "r/fold-2-seed-0"),
        ("2", 7, "r/fold-2-seed-7"),
    ]
    assert all(plan_runs(run) == [run] for run in runs)


@pytest.mark.parametrize("other", [{"push_to_hub": True}, {"resume": "some/checkpoint"}])
def test_what_only_one_run_can_have_is_refused(other: dict[str, object]) -> None:
    cfg = RunConfig.from_flat({"dataset": "a/b", "seeds": (0, 1), **other})
    with pytest.raises(SettingError, match="is for one run"):
        plan_runs(cfg)
