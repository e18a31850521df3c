"""Moving average of the weights: its numbers by hand and by torch, and skipped steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from audio_cls.training.optim.ema import ModelEma


def test_the_average_has_the_values_computed_by_hand() -> None:
    layer = nn.Linear(2, 2)
    ema = ModelEma(layer, 0.9)
    expected = layer.weight.detach().clone()
    for update in range(1, 30):
        with torch.no_grad():
            layer.weight += 1.0
        ema.update()
        decay = min(0.9, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * layer.weight.detach()
    assert torch.allclose(ema.module.weight, expected)  # type: ignore[arg-type]
    assert not any(weight.requires_grad for weight in ema.module.parameters())


def test_without_skipped_steps_the_average_is_that_of_torch() -> None:
    def average(mean: Tensor, value: Tensor, update: Tensor | int) -> Tensor:
        decay = torch.as_tensor((1 + update) / (10 + update)).clamp(max=0.9)
        return mean.lerp(value, 1 - decay) if value.is_floating_point() else value

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(2, 2, 3), nn.BatchNorm1d(2))
    ema, theirs = ModelEma(model, 0.9), AveragedModel(model, avg_fn=average, use_buffers=True)
    theirs.n_averaged.fill_(1)  # with 0 the first update copies the weights
    for _ in range(20):
        model(torch.randn(3, 2, 9))  # updates the running statistics of batch norm
        with torch.no_grad():
            for weight in model.parameters():
                weight += torch.randn_like(weight)
        ema.update()
        theirs.update_parameters(model)
    pairs = zip(ema.module.state_dict().items(), theirs.module.state_dict().values(), strict=True)
    for (name, value), other in pairs:
        assert torch.equal(value, other), name


def test_a_step_that_was_skipped_on_the_device_changes_nothing() -> None:
    layer = nn.Linear(2, 2)
    ema, other = ModelEma(layer, 0.9), ModelEma(layer, 0.9)
    for skipped in (False, True, False):
        with torch.no_grad():
            layer.weight += 1.0
        ema.update(torch.tensor(0.0 if skipped else 1.0))
        if not skipped:
            other.update()
    assert torch.equal(ema.module.weight, other.module.weight)  # type: ignore[arg-type]
    assert ema.state_dict()["updates"] == 2


def test_with_decay_0_the_average_is_the_model_itself() -> None:
    layer = nn.Linear(2, 2)
    assert ModelEma(layer, 0.0).module is layer
