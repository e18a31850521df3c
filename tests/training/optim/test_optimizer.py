"""Learning-rate schedules, parameter groups and optimizers."""

from __future__ import annotations

import sys

import pytest
import torch
import transformers
from torch import nn

from audio_cls.config import OptimConfig
from audio_cls.errors import SettingError
from audio_cls.training.optim.lr_schedule import (
    learning_rate_factor,
    read_learning_rate,
    set_learning_rate,
)
from audio_cls.training.optim.optimizer import group_parameters, lr_multipliers, make_optimizer


@pytest.mark.parametrize("scheduler", ["linear", "cosine", "constant"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.33])
def test_the_schedule_is_that_of_transformers(scheduler: str, warmup: float) -> None:
    cfg = OptimConfig(scheduler=scheduler, warmup_ratio=warmup)  # type: ignore[arg-type]
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    name = "constant_with_warmup" if scheduler == "constant" else scheduler
    steps = -(-30 * round(warmup * 100) // 100)
    theirs = transformers.get_scheduler(name, optimizer, steps, 30)
    for step in range(30):
        expected = theirs.get_last_lr()[0]
        assert learning_rate_factor(step, 30, cfg) == pytest.approx(expected, abs=1e-12)
        optimizer.step()
        theirs.step()


def test_the_rate_is_0_after_the_last_step_and_warm_up_may_last_all_steps() -> None:
    assert learning_rate_factor(30, 30, OptimConfig(scheduler="linear")) == 0
    assert learning_rate_factor(29, 30, OptimConfig(warmup_ratio=1.0)) == pytest.approx(29 / 30)


def test_biases_and_norms_do_not_decay_and_frozen_parameters_are_in_no_group() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Conv1d(4, 2, 3))
    model[2].weight.requires_grad_(False)  # noqa: FBT003 (torch's own signature)
    decaying, plain = group_parameters(model, 0.1)
    assert [tuple(p.shape) for p in decaying["params"]] == [(4, 3)]
    assert [p.ndim for p in plain["params"]] == [1, 1, 1, 1]
    assert (decaying["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)


def test_weight_decay_shrinks_weights_that_get_no_gradient() -> None:
    model = nn.Linear(2, 2)
    before = model.weight.detach().clone()
    optimizer = make_optimizer(model, OptimConfig(learning_rate=0.1, weight_decay=0.5))
    (model.weight.sum() * 0).backward()
    optimizer.step()
    assert torch.allclose(model.weight, before * (1 - 0.1 * 0.5))


def test_wsd_is_constant_then_falls_over_the_decay_ratio() -> None:
    cfg = OptimConfig(scheduler="wsd", warmup_ratio=0.1, decay_ratio=0.4)
    factors = [learning_rate_factor(step, 10, cfg) for step in range(11)]
    assert factors == pytest.approx([0, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0])


def test_the_learning_rate_falls_with_each_layer_down_and_the_head_has_its_rate() -> None:
    depths = {"0.weight": 0, "1.weight": 1, "2.weight": 2, "2.bias": 2}
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False), nn.Linear(2, 2))
    cfg = OptimConfig(learning_rate=0.1, layer_decay=0.5, head_learning_rate=0.4)
    factors = lr_multipliers(depths, {"2.weight", "2.bias"}, cfg)
    assert factors == {"0.weight": 0.25, "1.weight": 0.5, "2.weight": 4.0, "2.bias": 4.0}
    optimizer = make_optimizer(model, cfg, factors)
    assert [group["lr"] for group in optimizer.param_groups] == [0.4, 0.4, 0.05, 0.025]
    set_learning_rate(optimizer, 0.01)
    assert [group["lr"] for group in optimizer.param_groups] == [0.04, 0.04, 0.005, 0.0025]
    assert read_learning_rate(optimizer) == pytest.approx(0.01)
    before = [layer.weight.detach().clone() for layer in model]  # type: ignore[union-attr]
    sum(weight.sum() for weight in model.parameters()).backward()  # type: ignore[union-attr]
    optimizer.step()  # AdamW's first step is as long as its learning rate
    moved = [float((a.weight - b).abs().mean()) for a, b in zip(model, before, strict=True)]  # type: ignore[operator, arg-type]
    assert moved == pytest.approx([0.0025, 0.005, 0.04], rel=1e-3)


def test_by_default_all_layers_have_one_learning_rate() -> None:
    cfg = OptimConfig()
    assert lr_multipliers({"low": 0, "high": 9}, set(), cfg) == {"low": 1.0, "high": 1.0}


def test_adamw_is_fused() -> None:
    assert make_optimizer(nn.Linear(2, 2), OptimConfig()).defaults["fused"] is True


def test_8_bit_moments_are_those_of_large_matrices() -> None:
    pytest.importorskip("bitsandbytes")
    model = nn.Linear(128, 64)
    before = model.weight.detach().clone()
    cfg = OptimConfig(optimizer="adamw-8bit", learning_rate=0.01, weight_decay=0.5)
    optimizer = make_optimizer(model, cfg)
    model(torch.ones(1, 128)).sum().backward()
    optimizer.step()
    assert optimizer.state[model.weight]["state1"].dtype == torch.uint8
    assert torch.allclose(model.weight, before * (1 - 0.01 * 0.5) - 0.01, atol=1e-4)


def test_the_error_without_bitsandbytes_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(SettingError, match=r"audio-cls\[eightbit\]"):
        make_optimizer(nn.Linear(2, 2), OptimConfig(optimizer="adamw-8bit"))
