"""Tests of audio_cls.models.kernels.attention."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import write_tiny_checkpoint
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.models.hubert.modeling_hubert import HubertAttention

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.kernels import attention, dropout
from audio_cls.models.kernels.attention import NAME, ClipAttention, attend
from audio_cls.models.kernels.dropout import DropoutMasks, SeededDropout, draw_seed
from audio_cls.models.kernels.install import install_fast_kernels
from audio_cls.models.load import load_for_training

SHARE = 0.3
MASKS = ("none", "keys", "added", "heads")


def make_inputs(num_queries: int = 37, num_keys: int = 37) -> list[Tensor]:
    """Make queries, keys and values as a model views them, (3, 4, T, 16)."""
    torch.manual_seed(0)
    lengths = (num_queries, num_keys, num_keys)
    return [torch.randn(3, n, 4, 16).transpose(1, 2).requires_grad_() for n in lengths]


def make_mask(kind: str, num_queries: int, num_keys: int) -> Tensor | None:
    """Make a mask of which one clip ends early."""
    seen = torch.ones(3, 1, 1, num_keys, dtype=torch.bool)
    seen[1, ..., num_keys // 2 :] = False
    if kind == "none":
        return None
    if kind == "keys":
        return seen
    added = torch.zeros(3, 1, 1, num_keys).masked_fill(~seen, torch.finfo(torch.float32).min)
    return added if kind == "added" else added + torch.randn(3, 4, num_queries, num_keys)


def attend_plainly(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Compute the same on the whole batch by autograd, with the same dropout."""
    scores = query @ key.transpose(2, 3)
    if mask is not None:
        is_bool = mask.dtype == torch.bool
        scores = scores.masked_fill(~mask, -1e30) if is_bool else scores + mask
    weights = scores.softmax(dim=-1)
    masks, kept = DropoutMasks(SHARE, draw_seed()), torch.empty_like(weights)
    for clip, heads in attention._split_heads(query, key):
        kept[clip, heads] = masks.draw(torch.empty_like(kept[clip, heads]))
    assert 0.6 < float(kept.mean()) < 0.8
    return (weights * kept * masks.scale @ value).transpose(1, 2)


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("num_keys", [37, 21])
@pytest.mark.parametrize("cached", [1, 3000, 2**19])
def test_clip_by_clip_gives_the_outputs_and_gradients_of_the_whole_batch(
    kind: str, num_keys: int, cached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "CACHED_SCORES", cached)
    inputs, mask = make_inputs(37, num_keys), make_mask(kind, 37, num_keys)
    function: Any = ClipAttention.apply
    results = []
    for compute in (attend_plainly, lambda *given: function(*given, SHARE)):
        torch.manual_seed(1)
        out = compute(*inputs, mask)
        results.append([out, *torch.autograd.grad(out, inputs, torch.cos(out.detach()))])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_without_dropout_sdpa_of_transformers_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "ClipAttention", None)
    module = HubertAttention(64, 4)  # of a class that is known exactly
    query, key, value = make_inputs()
    found, _ = attend(module, query, key, value, None, dropout=0.0, scaling=0.5)
    expected = ((query @ key.transpose(2, 3) * 0.5).softmax(dim=-1) @ value).transpose(1, 2)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(AttributeError):
        attend(module, query, key, value, None, dropout=0.1)
    unknown = type("Own", (HubertAttention,), {})(64, 4)
    attend(unknown, query, key, value, None, dropout=0.1)
    attend(module, query, key, value, None, dropout=0.1, position_bias=torch.zeros(3, 4, 37, 37))
    halves = [one.bfloat16() for one in (query, key, value)]
    assert attend(module, *halves, None, dropout=0.1)[0].dtype == torch.bfloat16


@pytest.mark.parametrize("family", ["hubert", "whisper", "audio-spectrogram-transformer"])
def test_a_classifier_is_trained_with_it_and_saved_without_it(family: str, tmp_path: Path) -> None:
    write_tiny_checkpoint(family, tmp_path)
    audio_model = load_for_training(
        open_checkpoint(ModelConfig(model=str(tmp_path))), AudioConfig(max_seconds=1.0), ("a", "b")
    )
    model: Any = audio_model.model
    assert model.config._attn_implementation == NAME
    model.save_pretrained(tmp_path / "saved")
    assert NAME not in (tmp_path / "saved" / "config.json").read_text()
    chosen = ModelConfig(model=str(tmp_path), attention="sdpa")
    own = load_for_training(open_checkpoint(chosen), AudioConfig(max_seconds=1.0), ("a", "b"))
    assert own.model.config._attn_implementation == "sdpa"


def test_dropout_keeps_its_share_scales_the_rest_and_drops_the_same_gradients() -> None:
    torch.manual_seed(0)
    values = torch.rand(3, 500, 700).add_(1).transpose(1, 2).requires_grad_()
    function: Any = SeededDropout.apply
    out = function(values, 0.1)
    out.backward(torch.ones_like(out))
    assert values.grad is not None
    kept = out != 0
    assert abs(float(kept.float().mean()) - 0.9) < 0.002  # 2 in 1000 are 7 standard errors
    torch.testing.assert_close(out[kept], values[kept] / 0.9, rtol=1e-4, atol=0)
    assert torch.equal(values.grad != 0, kept)
    torch.testing.assert_close(
        values.grad[kept], torch.full_like(out[kept], 1 / 0.9), rtol=1e-4, atol=0
    )
    columns = kept.float().mean(dim=(0, 2))
    assert float(columns.std()) < 2 * (0.1 * 0.9 / 1500) ** 0.5  # no pattern by place


@pytest.mark.parametrize("share", [0.5, 0.1, 0.001])
def test_neighbours_are_dropped_independently(share: float) -> None:
    dropped = 1 - DropoutMasks(share, 7).draw(torch.empty(2**20))
    together = float((dropped[1:] * dropped[:-1]).mean())
    assert abs(together - share**2) < 6 * share / 2**10


def test_a_seed_of_torch_repeats_dropout_and_a_checkpointed_layer_draws_it_again() -> None:
    layer = nn.Sequential(nn.Linear(64, 64), nn.Dropout(0.5))
    assert install_fast_kernels(layer) == 1
    given = torch.randn(2048, 64)
    found = []
    for compute in (layer, layer, lambda rows: checkpoint(layer, rows, use_reentrant=False)):
        torch.manual_seed(3)
        layer.zero_grad()
        out = compute(given)
        out.square().sum().backward()
        found.append((out.detach(), layer[0].weight.grad))
    for out, grad in found[1:]:
        assert torch.equal(out, found[0][0])
        torch.testing.assert_close(grad, found[0][1])
    assert not torch.equal(layer(given), layer(given))


def test_small_tensors_and_evaluation_use_stock_dropout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer = nn.Dropout(0.5)
    install_fast_kernels(layer)
    given = torch.ones(1000)
    torch.manual_seed(0)
    expected = nn.functional.dropout(given, 0.5)
    torch.manual_seed(0)
    assert torch.equal(layer(given), expected)
    monkeypatch.setattr(dropout, "draw_seed", None)  # would raise if it were called
    large = torch.ones(2**17)
    assert torch.equal(layer.eval()(large), large)
    with pytest.raises(TypeError):
        layer.train()(large)
