"""Sharded models: all processes do the same number of forward passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from accelerate import DistributedType
from tiny_models import write_tiny_checkpoint

from audio_cls.config import AudioConfig, ModelConfig, RunConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.errors import SettingError
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.load import load_for_training
from audio_cls.training.sharding import check_lengths, restore_best

RATE = 16_000


def make_clips(*seconds: float) -> Clips:
    """Return clips of which only the lengths are known."""
    table: Any = None
    lengths = np.array([round(length * RATE) for length in seconds])
    rows = np.arange(len(lengths))
    return Clips(table, rows, rows, rows.astype(str), lengths, RATE)


def make_config(**values: Any) -> RunConfig:  # noqa: ANN401
    """Return settings with crops of one second."""
    return RunConfig.from_flat({"dataset": "x", "max_seconds": 1.0, **values})


def test_crops_of_unequal_length_are_refused_with_advice() -> None:
    for values in ({}, {"min_seconds": 0.5}):
        with pytest.raises(SettingError, match=r"--repeat-short, or a --max-seconds below 1"):
            check_lengths(make_config(**values), make_clips(0.5, 2.0))
    with pytest.raises(SettingError):
        check_lengths(make_config(min_seconds=0.5), make_clips(1.0, 2.0))
    with pytest.raises(SettingError):
        check_lengths(make_config(speed_range=(0.9, 1.1)), make_clips(1.0, 2.0))


def test_crops_of_one_length_are_accepted() -> None:
    check_lengths(make_config(), make_clips(1.0, 2.0))
    check_lengths(make_config(repeat_short=True), make_clips(0.5, 2.0))


def test_deepspeed_tests_a_whole_copy_of_the_best_model(tmp_path: Path) -> None:
    opened = open_checkpoint(ModelConfig(model=str(write_tiny_checkpoint("hubert", tmp_path))))
    trained = load_for_training(opened, AudioConfig(max_seconds=1.0), ("a", "b"))
    trained.save(tmp_path / "run")
    saved = {name: value.clone() for name, value in trained.model.state_dict().items()}
    with torch.no_grad():
        for weight in trained.model.parameters():
            weight.zero_()
    accelerator: Any = mock.Mock(distributed_type=DistributedType.DEEPSPEED)
    accelerator.prepare_model = mock.Mock(side_effect=lambda model, **_: model)
    best = restore_best(accelerator, trained, trained.model, tmp_path / "run")
    assert best is not trained.model
    assert not any(weight.any() for weight in trained.model.parameters())
    found = best.state_dict()
    assert all(torch.equal(found[name], value) for name, value in saved.items())
    accelerator.prepare_model.assert_called_once_with(best, evaluation_mode=True)
