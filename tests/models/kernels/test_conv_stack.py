"""Tests of audio_cls.models.kernels.conv_stack."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import write_tiny_checkpoint
from torch import Tensor, nn
from transformers import AutoModelForAudioClassification

from audio_cls.models.kernels import conv_stack, install
from audio_cls.models.kernels.install import install_fast_kernels


def load(folder: Path) -> Any:  # noqa: ANN401
    """Load a classifier as transformers makes it."""
    return AutoModelForAudioClassification.from_pretrained(folder).eval()


@pytest.mark.parametrize(
    ("norm", "has_bias"), [("group", "none"), ("layer", "bias"), ("layer", "none")]
)
@pytest.mark.parametrize("size", [(2, 30_000), (13, 2_345)])  # pieces of a clip, clips together
def test_a_classifier_keeps_its_logits_gradients_and_names(
    norm: str,
    has_bias: str,
    size: tuple[int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conv_stack, "FRAMES_AT_ONCE", 1000)
    shape = {"feat_extract_norm": norm, "conv_bias": has_bias == "bias"}
    shape["num_conv_pos_embeddings"] = 64
    write_tiny_checkpoint("wav2vec2", tmp_path, **shape)
    stock, own = load(tmp_path), load(tmp_path)
    own.load_state_dict(stock.state_dict())
    assert install_fast_kernels(own) == 2  # and the convolution over positions
    waves = torch.randn(size) + 0.5  # with a mean
    waves[1] /= 100
    results = []
    for model in (stock, own):
        logits = model(waves).logits
        logits.square().sum().backward()
        results.append((logits, {n: p.grad for n, p in model.named_parameters()}))
    (logits, grads), (own_logits, own_grads) = results
    torch.testing.assert_close(own_logits, logits, rtol=1e-4, atol=1e-5)
    compared = 0
    for name, grad in grads.items():
        if grad is not None and grad.abs().max() > 1e-5:
            assert (own_grads[name] - grad).abs().max() < 1e-3 * grad.abs().max(), name
            compared += 1
    assert compared > 20
    assert own.state_dict().keys() == stock.state_dict().keys()
    own.save_pretrained(tmp_path / "saved")
    again = load(tmp_path / "saved")
    torch.testing.assert_close(again(waves).logits, logits, rtol=1e-4, atol=1e-5)


def test_a_copy_of_a_classifier_uses_the_weights_of_the_copy(tmp_path: Path) -> None:
    write_tiny_checkpoint("hubert", tmp_path)
    model = load(tmp_path)
    install_fast_kernels(model)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for name, weight in twin.named_parameters():
            if "conv_layers" in name:
                weight.zero_()
    waves = torch.randn(1, 8000)
    assert "forward" in vars(twin.hubert.feature_extractor)
    assert twin.hubert.feature_extractor(waves).abs().max() == 0
    assert model.hubert.feature_extractor(waves).abs().max() > 0


def test_what_is_not_in_float32_runs_the_stock_forward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_checkpoint("hubert", tmp_path)
    model, waves = load(tmp_path), torch.randn(1, 8000)
    install_fast_kernels(model)
    encoder = model.hubert.feature_extractor
    monkeypatch.setattr(install, "run_conv_stack", None)  # would raise if it were called
    with torch.autocast("cpu", torch.bfloat16):
        encoder(waves)
    with pytest.raises(TypeError):
        encoder(waves)


def test_inference_has_the_stock_numbers(tmp_path: Path) -> None:
    write_tiny_checkpoint("hubert", tmp_path)
    model, waves = load(tmp_path).eval(), torch.randn(3, 9000)
    encoder = model.hubert.feature_extractor
    with torch.inference_mode():
        expected = encoder(waves)
        install_fast_kernels(model, is_trained=False)
        assert "forward" in vars(encoder)
        found = encoder(waves)
    assert not found.requires_grad
    assert torch.allclose(found, expected, atol=1e-5)


def count_kept_bytes(model: Any, waves: Tensor) -> int:  # noqa: ANN401
    """Count what the feature encoder keeps for the backward pass, each storage once."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.base_model.feature_extractor(waves)
    return sum(kept.values())


def test_a_stack_of_convolutions_keeps_a_fraction_of_what_pytorch_keeps(tmp_path: Path) -> None:
    write_tiny_checkpoint("hubert", tmp_path)
    stock, own = load(tmp_path).train(), load(tmp_path).train()
    install_fast_kernels(own)
    waves = torch.randn(2, 16_000)
    assert count_kept_bytes(own, waves) < 0.3 * count_kept_bytes(stock, waves)


@pytest.mark.parametrize("learns", ["norm", "second convolution"])
def test_a_stack_of_which_a_part_is_frozen_gives_the_gradients_of_the_rest(
    learns: str, tmp_path: Path
) -> None:
    write_tiny_checkpoint("hubert", tmp_path)
    grads = []
    for is_own in (False, True):
        torch.manual_seed(0)
        model = load(tmp_path)
        if is_own:
            install_fast_kernels(model)
        layers = model.hubert.feature_extractor.conv_layers
        part = layers[0].layer_norm if learns == "norm" else layers[1].conv
        model.requires_grad_(requires_grad=False)
        part.requires_grad_(requires_grad=True)
        model(torch.randn(2, 8000)).logits.square().sum().backward()
        assert sum(weight.grad is not None for weight in model.parameters()) == len(
            list(part.parameters())
        )
        grads.append(part.weight.grad)
    assert float((grads[1] - grads[0]).abs().max()) < 1e-4 * float(grads[0].abs().max())


def test_a_norm_over_time_is_folded_as_exactly_as_pytorch_takes_it() -> None:
    torch.manual_seed(0)
    time = torch.arange(20_000) / 16_000
    tone = (200 * time).sin() + 1e-3 * torch.randn(len(time))
    waves = torch.stack([tone, torch.zeros_like(tone)])
    conv, norm = nn.Conv1d(1, 8, 10, stride=5, bias=False), nn.GroupNorm(8, 8)
    with torch.no_grad():
        conv.weight[0] = 0
        conv.weight[0, 0, 4:6] = torch.tensor([0.7, -0.7])  # leaves a thousandth of the sound
        norm.weight.normal_()
        norm.bias.normal_()
    weights, biases = conv_stack.fold_norm(conv.weight[:, 0], norm, waves.unfold(1, 10, 5))
    found = waves.unfold(1, 10, 5) @ weights + biases
    exact = norm.double()(conv.double()(waves[:, None].double())).transpose(1, 2)
    assert (found - exact).abs().max() < 1e-4 * exact.abs().max()
    conv.float(), norm.float()
    stock = norm(conv(waves[:, None])).transpose(1, 2)
    assert (found - exact).abs().max() < 2 * (stock - exact).abs().max()
