"""Training in bfloat16: a resumed run; tests/models/test_padding.py has batches and processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tiny_models import write_tiny_checkpoint
from tiny_runs import make_config, set_up
from torch import Tensor

from audio_cls.distributed import precision
from audio_cls.runs.resolved import read_resolved
from audio_cls.training import loop


class Cut(Exception):
    """Simulates a kill."""


def set_native(monkeypatch: pytest.MonkeyPatch, *, is_native: bool) -> None:
    """Let a processor have native bfloat16, or not."""
    monkeypatch.setattr(precision, "computes_bf16", lambda: is_native)


def test_a_run_that_began_in_bf16_is_resumed_in_it_bit_for_bit_on_any_machine(
    tone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_tiny_checkpoint("hubert", tmp_path / "model")
    changes: dict[str, Any] = {"max_steps": 6, "save_every_steps": 2, "max_seconds": 0.3,
                               "max_eval_samples": 4}  # fmt: skip
    set_native(monkeypatch, is_native=True)
    whole = set_up(make_config(tone_folder, model, tmp_path / "whole", **changes))
    assert whole.accelerator.mixed_precision == "bf16"
    loop.train(whole)
    cut = set_up(make_config(tone_folder, model, tmp_path / "cut", **changes))

    def stop(step: int, _loss: Tensor) -> None:
        if step == 3:
            raise Cut

    monkeypatch.setattr(cut.progress, "after_step", stop)
    with pytest.raises(Cut):
        loop.train(cut)
    tree = yaml.safe_load((tmp_path / "cut" / "run_config.yaml").read_text())
    assert (tree["train"]["mixed_precision"], tree["resolved"]["mixed_precision"]) == (
        "auto",
        "bf16",
    )
    set_native(monkeypatch, is_native=False)
    resumed = make_config(tone_folder, model, tmp_path / "cut", resume="auto", **changes)
    run = set_up(resumed)
    assert (run.accelerator.mixed_precision, run.state.step) == ("bf16", 2)
    loop.train(run)
    pairs = zip(whole.model.parameters(), run.model.parameters(), strict=True)
    assert all(torch.equal(left, right) for left, right in pairs)


def test_a_run_of_an_earlier_version_keeps_the_precision_of_its_launcher() -> None:
    tree = {"train": {"mixed_precision": "launcher"}, "resolved": {"metric": "accuracy"}}
    assert read_resolved(tree).mixed_precision == "launcher"
    tree["resolved"]["mixed_precision"] = "bf16"
    assert read_resolved(tree).mixed_precision == "bf16"
