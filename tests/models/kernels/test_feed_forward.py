"""Tests of audio_cls.models.kernels.feed_forward."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from tiny_models import write_tiny_checkpoint
from torch import Tensor, nn
from transformers import AutoModelForAudioClassification

from audio_cls.models.kernels import feed_forward
from audio_cls.models.kernels.dropout import DropoutMasks, draw_seed
from audio_cls.models.kernels.feed_forward import is_feed_forward
from audio_cls.models.kernels.install import install_fast_kernels

SHARE = 0.25


def make_pair(tmp_path: Path, family: str = "hubert") -> tuple[Any, Any]:
    """Return a feed-forward part as transformers made it, and one laid out as here."""
    write_tiny_checkpoint(family, tmp_path)
    model = AutoModelForAudioClassification.from_pretrained(tmp_path)
    stock = next(module for module in model.modules() if is_feed_forward(module)).train()
    own = copy.deepcopy(stock)
    install_fast_kernels(own)
    assert "forward" in vars(own)
    return stock, own


def run(part: nn.Module, frames: Tensor) -> list[Tensor]:
    """Return output and gradients of a fixed sum of it, for one drawing of the dropout."""
    given = frames.clone().requires_grad_()
    part.zero_grad()
    torch.manual_seed(2)
    out = part(given)
    out.backward(torch.sin(out.detach()))
    assert given.grad is not None
    return [out.detach(), given.grad, *(w.grad for w in part.parameters() if w.grad is not None)]


class Same(nn.Module):
    """Dropout that draws as the feed-forward part does, a few frames at a time."""

    def forward(self, wide: Tensor) -> Tensor:
        """Drop as `RecomputedFeedForward` does."""
        masks, rows = DropoutMasks(SHARE, draw_seed()), wide.flatten(0, -2)
        kept = [
            masks.draw(torch.empty_like(part)) for part in rows.split(feed_forward.FRAMES_AT_ONCE)
        ]
        factors: Tensor = torch.cat(kept) * masks.scale
        return wide * factors.view(wide.shape)


@pytest.mark.parametrize("family", ["hubert", "wav2vec2", "unispeech-sat", "data2vec-audio"])
@pytest.mark.parametrize("share", [0.0, SHARE])
@pytest.mark.parametrize("at_once", [7, 256])
def test_it_gives_the_outputs_and_gradients_of_pytorch(
    family: str, share: float, at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_forward, "FRAMES_AT_ONCE", at_once)
    stock, own = make_pair(tmp_path, family)
    for part in (stock, own):
        part.output_dropout.p = 0.0
        part.intermediate_dropout.p = share
    if share:
        stock.intermediate_dropout = Same()
    frames = torch.randn(3, 50, stock.output_dense.out_features)
    for expected, found in zip(run(stock, frames), run(own, frames), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_nothing_wider_than_a_frame_is_kept(tmp_path: Path) -> None:
    _, own = make_pair(tmp_path)
    own.output_dropout.p = 0.0
    width = own.output_dense.out_features
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        own(torch.randn(4, 300, width, requires_grad=True))
    weights = {weight.data_ptr() for weight in own.parameters()}
    assert sum(one.numel() for one in kept if one.data_ptr() not in weights) == 1200 * width


def test_frozen_weights_get_no_gradient_and_evaluation_runs_the_stock_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, own = make_pair(tmp_path)
    own.intermediate_dense.requires_grad_(requires_grad=False)
    frames = torch.randn(2, 30, own.output_dense.out_features, requires_grad=True)
    own(frames).sum().backward()
    assert own.intermediate_dense.weight.grad is None
    assert own.output_dense.weight.grad is not None
    monkeypatch.setattr(feed_forward, "RecomputedFeedForward", None)  # would raise if it were used
    with torch.no_grad():
        own(frames)
    with pytest.raises(AttributeError):
        own(frames)


def test_lora_adapters_on_its_linear_layers_are_trained(tmp_path: Path) -> None:
    _, own = make_pair(tmp_path)
    own.requires_grad_(requires_grad=False)
    inject_adapter_in_model(LoraConfig(r=2, target_modules=["output_dense"]), own)
    own(torch.randn(2, 30, own.intermediate_dense.in_features)).sum().backward()
    adapters = [weight for name, weight in own.named_parameters() if "lora_B" in name]
    assert len(adapters) == 1
    assert adapters[0].grad is not None
    assert float(adapters[0].grad.abs().max()) > 0
