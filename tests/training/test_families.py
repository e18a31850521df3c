"""Each model family: a whole run, and an exact resume after a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from tiny_models import FAMILIES, write_tiny_checkpoint
from tiny_runs import make_config, set_up

from audio_cls.training.loop import train

SMALL: dict[str, Any] = {
    "max_train_samples": 12, "max_eval_samples": 3, "max_seconds": 0.3, "epochs": 2,
}  # fmt: skip


class Killed(Exception):
    """Simulates a kill just after a checkpoint."""


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_trains_and_resumes_exactly_and_works_in_a_stock_pipeline(
    family: str, tone_folder: Path, tmp_path: Path
) -> None:
    given = write_tiny_checkpoint(family, tmp_path / "given")
    whole = set_up(make_config(tone_folder, given, tmp_path / "whole", **SMALL))
    train(whole)

    cut = set_up(make_config(tone_folder, given, tmp_path / "cut", **SMALL))
    cut.callbacks = mock.Mock(after_checkpoint=mock.Mock(side_effect=Killed))
    with pytest.raises(Killed):
        train(cut)
    rest = set_up(make_config(tone_folder, given, tmp_path / "cut", resume="auto", **SMALL))
    assert (rest.state.step, rest.num_steps) == (3, 6)
    train(rest)
    one, other = whole.model.state_dict(), rest.model.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert whole.state == rest.state
    saved = [load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut")]
    assert all(torch.equal(saved[0][name], saved[1][name]) for name in saved[0])

    classify = transformers.pipeline("audio-classification", str(tmp_path / "cut"), device="cpu")
    wave = np.random.default_rng(0).standard_normal(4800).astype(np.float32)
    answers = classify({"raw": wave, "sampling_rate": 16_000}, top_k=None)
    assert {answer["label"] for answer in answers} == {"low", "middle", "high"}
    assert sum(answer["score"] for answer in answers) == pytest.approx(1, abs=1e-5)
