"""--refit: one more training on training and validation clips, for the steps that were chosen."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import make_config, write_quiet_checkpoint

from audio_cls.config import RunConfig
from audio_cls.errors import Paused, SettingError
from audio_cls.evaluation.scorer import Scorer
from audio_cls.runs.results import read_results
from audio_cls.training import loop
from audio_cls.workflows.summary import summarize_scores
from audio_cls.workflows.train import run_all

Weights = dict[str, torch.Tensor]
# The largest loss is "best", so that the first of two epochs of 12 steps is chosen.
CHOICE = {"epochs": 2, "metric": "log_loss", "metric_goal": "max", "log": "quiet"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_quiet_checkpoint(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def scored() -> list[tuple[str, ...]]:
    return []


@pytest.fixture(scope="module")
def refitted(
    tone_folder: Path,
    checkpoint: Path,
    tmp_path_factory: pytest.TempPathFactory,
    scored: list[tuple[str, ...]],
) -> Path:
    """Train with a refit, and note the clips of every evaluation."""
    score = Scorer.score

    def note(self: Scorer, model: Any, clips: Any, **options: Any) -> Any:  # noqa: ANN401
        scored.append(tuple(clips.ids))
        return score(self, model, clips, **options)

    path = tmp_path_factory.mktemp("refit") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scorer, "score", note)
        run_all(make_config(tone_folder, checkpoint, path, refit=True, **CHOICE))
    return path


def read_ids(run: Path, role: str) -> list[str]:
    """Return the clips of a split of a run."""
    return (run / "splits" / f"{role}.txt").read_text("utf-8").splitlines()


def assert_equal(one: Weights, other: Weights) -> None:
    """Check that all weights are the same."""
    assert one.keys() == other.keys()
    for name, weight in one.items():
        assert torch.equal(weight, other[name]), name


def test_the_model_is_that_of_a_training_on_both_splits(
    refitted: Path, tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    both = sorted(read_ids(refitted, "train") + read_ids(refitted, "validation"))
    test = read_ids(refitted, "test")
    lists = {"train": both, "validation": test[:1], "test": test[1:]}  # one clip must validate
    (tmp_path / "lists").mkdir()
    for role, names in lists.items():
        (tmp_path / "lists" / f"{role}.txt").write_text("\n".join(names), "utf-8")
    changes = {**CHOICE, "max_steps": 24, "save_every_steps": 1, "keep_checkpoints": 99}
    changes["split_files"] = str(tmp_path / "lists")
    run_all(make_config(tone_folder, checkpoint, tmp_path / "run", **changes))
    expected = load_file(tmp_path / "run" / "checkpoints" / "step-12" / "model.safetensors")
    assert_equal(load_file(refitted / "model.safetensors"), expected)


def test_results_output_and_card_say_what_was_trained(
    refitted: Path, scored: list[tuple[str, ...]]
) -> None:
    results = read_results(refitted / "results.json")
    count = len(read_ids(refitted, "train")) + len(read_ids(refitted, "validation"))
    assert (results.validation["step"], results.timing.steps) == (12, 24)
    assert results.refit == {"num_examples": count, "epoch": round(12 / 14, 4), "step": 12}
    assert results.calibration["fitted_on"] == "validation"
    assert scored.count(tuple(read_ids(refitted, "test"))) == 1
    line, clips = summarize_scores(results)[1], f"{count} clips"
    assert line == f"Refit on {clips} of training and validation for 12 steps: tested and saved"
    card = (refitted / "README.md").read_text("utf-8")
    assert card.count(f"training and validation clips together ({clips}), for the same 12") == 1
    assert "Selected checkpoint: epoch 1 (step 12)" in card
    assert "The selected checkpoint is in bold." in card
    assert sorted(path.name for path in (refitted / "refit").iterdir()) == [
        "plan.json",
        "summary.csv",
    ]


def pause_at(patch: pytest.MonkeyPatch, number: int) -> None:
    """Send SIGTERM in the given training step of this process, counted from 1."""
    training_step: Callable[..., Any] = loop.training_step
    calls = iter(range(1, 1000))

    def step(*args: Any) -> Any:  # noqa: ANN401
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGTERM)
        return training_step(*args)

    patch.setattr(loop, "training_step", step)


def test_both_trainings_continue_after_a_signal(
    refitted: Path, tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    path, resume = tmp_path / "run", "never"
    # In the first training; in the second one, after 14 + 5 steps; then between two of its epochs.
    for number in (10, 14 + 5, 3):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Paused, match=str(path)):
            pause_at(patch, number)
            run_all(make_config(tone_folder, checkpoint, path, refit=True, resume=resume, **CHOICE))
        resume = "auto"
    assert not (path / "README.md").exists()
    run_all(make_config(tone_folder, checkpoint, path, refit=True, resume=resume, **CHOICE))
    assert_equal(load_file(path / "model.safetensors"), load_file(refitted / "model.safetensors"))
    old, new = (read_results(one / "results.json") for one in (refitted, path))
    assert (old.test, old.validation, old.refit) == (new.test, new.validation, new.refit)


@pytest.mark.parametrize(
    ("other", "text"),
    [
        ({"max_train_minutes": 3.0}, "--max-train-minutes would cut short"),
        ({"resume": "runs/a/checkpoints/step-3"}, "give --resume auto"),
        ({"folds": 3, "fold_validation": "none"}, "leaves no validation clips"),
        ({"streaming": True, "max_steps": 3}, "cannot be used with --refit"),
    ],
)
def test_what_a_refit_excludes_is_refused(other: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingError, match=text):
        RunConfig.from_flat({"dataset": "a/b", "refit": True, **other})


def test_validation_clips_that_are_tested_are_not_trained_on(
    tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    changes = {"refit": True, "test_split": "validation"}
    cfg = make_config(tone_folder, checkpoint, tmp_path / "run", **changes)
    with pytest.raises(SettingError, match="which --test-split validation also tests on"):
        run_all(cfg)
