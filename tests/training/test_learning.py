"""Frozen layers and layer-wise learning rates in a run, also after a resume."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import write_tiny_checkpoint
from tiny_runs import make_config, set_up
from torch import Tensor

from audio_cls.training.loop import TrainingRun, train

WAKING: dict[str, Any] = {
    "freeze": "backbone", "unfreeze_after_epochs": 1, "epochs": 2, "save_every_steps": 3,
    "max_seconds": 0.3, "layer_decay": 0.8, "head_learning_rate": 5e-3, "ema_decay": 0.5,
    "weight_decay": 0.1, "learning_rate": 1e-3,
}  # fmt: skip


class Cut(Exception):
    """Simulates a kill."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_checkpoint("hubert", tmp_path_factory.mktemp("hubert"))


def train_until(run: TrainingRun, last: int) -> None:
    """Train until a kill after step `last`."""
    after_step = run.progress.after_step

    def stop(step: int, loss: Tensor) -> None:
        after_step(step, loss)
        if step == last:
            raise Cut

    run.progress.after_step = stop  # type: ignore[method-assign]
    with pytest.raises(Cut):
        train(run)


@pytest.fixture(scope="module")
def whole(
    tone_folder: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> TrainingRun:
    """Return a run of two epochs whose backbone is unfrozen in the second."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run = set_up(make_config(tone_folder, checkpoint, folder, **WAKING))
    train(run)
    return run


def test_a_frozen_backbone_is_trained_after_its_epochs(
    whole: TrainingRun, checkpoint: Path, tone_folder: Path, tmp_path: Path
) -> None:
    half = set_up(make_config(tone_folder, checkpoint, tmp_path / "run", **WAKING))
    steps = half.sampler.steps_per_epoch
    start = {name: value.clone() for name, value in half.model.state_dict().items()}
    train_until(half, steps)
    for name, value in half.model.state_dict().items():
        assert torch.equal(value, start[name]) == name.startswith("hubert."), name
    awake = whole.model.state_dict()
    moved = [name for name, value in awake.items() if not torch.equal(value, start[name])]
    assert sum(name.startswith("hubert.") for name in moved) > 30


@pytest.mark.parametrize("cut_at", [5, 17])  # before and after the backbone wakes at step 12
def test_a_run_resumed_before_or_after_unfreezing_equals_one_without_a_stop(
    whole: TrainingRun, cut_at: int, tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    cut = set_up(make_config(tone_folder, checkpoint, tmp_path, **WAKING))
    train_until(cut, cut_at)
    resumed = set_up(make_config(tone_folder, checkpoint, tmp_path, resume="auto", **WAKING))
    assert resumed.state.step == cut_at - cut_at % 3
    train(resumed)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    one, other = (load_file(run.folder.path / "model.safetensors") for run in (whole, resumed))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert whole.state == resumed.state


def test_every_layer_has_its_learning_rate_and_the_log_shows_the_common_one(
    whole: TrainingRun,
) -> None:
    rates = {
        id(weight): group["lr"]
        for group in whole.optimizer.param_groups
        for weight in group["params"]
    }
    of = {name: rates[id(weight)] for name, weight in whole.model.named_parameters()}
    common = float(
        list(csv.DictReader((whole.folder.path / "summary.csv").open()))[-1]["learning_rate"]
    )
    assert 0 < common < 1e-3  # the last step of a falling schedule
    head = of["classifier.weight"]
    first, second = (of[f"hubert.encoder.layers.{n}.attention.k_proj.weight"] for n in (0, 1))
    front = of["hubert.feature_extractor.conv_layers.0.conv.weight"]
    assert head == pytest.approx(5 * common, rel=1e-5)
    assert [second, first, front] == pytest.approx([common * 0.8**n for n in (1, 2, 3)], rel=1e-5)
    assert math.isfinite(whole.state.best.loss)  # type: ignore[union-attr]
