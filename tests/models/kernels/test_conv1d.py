"""Tests of audio_cls.models.kernels.conv1d."""

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

LAYERS = {
    "first": lambda: nn.Conv1d(1, 24, 10, stride=5, bias=False),
    "strided": lambda: nn.Conv1d(40, 24, 3, stride=2),
    "halved": lambda: nn.Conv1d(40, 24, 2, stride=2, bias=False),
    "padded": lambda: nn.Conv1d(40, 24, 3, padding=1),
    "skipping": lambda: nn.Conv1d(40, 24, 2, stride=3),
    "pointwise": lambda: nn.Conv1d(40, 24, 1),
    "grouped": lambda: nn.Conv1d(32, 48, 64, padding=32, groups=4),
    "odd": lambda: nn.Conv1d(32, 32, 33, padding=16, groups=2, bias=False),
}


def run(layer: nn.Module, frames: Tensor) -> list[Tensor]:
    """Return a layer's output and every gradient of a fixed sum of it."""
    frames = frames.clone(memory_format=torch.preserve_format).requires_grad_()
    layer.zero_grad()
    out = layer(frames)
    out.backward(torch.randn(out.shape, generator=torch.Generator().manual_seed(1)))
    assert frames.grad is not None
    return [out.detach(), frames.grad, *(p.grad for p in layer.parameters() if p.grad is not None)]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("num_frames", [70, 333, 1201])
def test_a_layer_on_rows_gives_the_outputs_and_gradients_of_pytorch(
    kind: str, num_frames: int
) -> None:
    torch.manual_seed(0)
    stock = LAYERS[kind]()
    for weight in stock.parameters():
        nn.init.normal_(weight)
    own = copy.deepcopy(stock)
    assert install_fast_kernels(own) == 1
    rows = torch.randn(3, num_frames, stock.in_channels) + 3
    for expected, found in zip(
        run(stock, rows.transpose(1, 2).contiguous()), run(own, rows.transpose(1, 2)), strict=True
    ):
        scale = float(expected.abs().max())
        assert found.shape == expected.shape
        assert float((found - expected).abs().max()) < 2e-5 * scale


def load(folder: Path) -> Any:  # noqa: ANN401
    """Load a classifier as transformers makes it."""
    return AutoModelForAudioClassification.from_pretrained(folder).eval()


@pytest.mark.parametrize(
    ("norm", "has_bias"), [("group", "none"), ("layer", "bias"), ("layer", "none")]
)
@pytest.mark.parametrize("size", [(2, 30_000), (13, 2_345)])  # pieces of a clip, clips in a block
def test_a_classifier_keeps_its_logits_gradients_and_names(
    norm: str, has_bias: str, size: tuple[int, int], tmp_path: Path
) -> None:
    shape = {"feat_extract_norm": norm, "conv_bias": has_bias == "bias"}
    shape["num_conv_pos_embeddings"] = 64
    write_tiny_checkpoint("wav2vec2", tmp_path, **shape)
    stock, own = load(tmp_path), load(tmp_path)
    own.load_state_dict(stock.state_dict())
    assert install_fast_kernels(own) >= 9  # and its dropouts
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
    assert twin.hubert.feature_extractor(waves).abs().max() == 0
    assert model.hubert.feature_extractor(waves).abs().max() > 0


def test_under_autocast_the_stock_convolution_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    conv = nn.Conv1d(40, 24, 3, stride=2)
    install_fast_kernels(conv)
    monkeypatch.setattr(install.MatmulConv1d, "apply", None)  # would raise if it were called
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert conv(torch.randn(1, 40, 50)).dtype == torch.bfloat16
    with pytest.raises(TypeError):
        conv(torch.randn(1, 40, 50))


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


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_on_a_gpu_positions_are_convolved_in_float32_and_returned_in_the_stock_dtype(
    kind: torch.dtype,
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv1d(32, 32, 48, padding=24, groups=4)
    frames = torch.randn(3, 32, 200, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=kind == torch.bfloat16):
        with torch.inference_mode():
            found = install.convolve_exactly(conv, frames)  # an evaluation may come first
        found = install.convolve_exactly(conv, frames)
        assert found.dtype == conv(frames).dtype == kind
    tolerance = 1e-5 if kind == torch.float32 else 1e-2  # of rounding to bf16, at the end alone
    wanted = conv(frames)
    assert torch.allclose(found.float(), wanted, atol=tolerance, rtol=tolerance)
    inputs = (frames, conv.weight, conv.bias)
    slopes = torch.randn_like(wanted).to(torch.bfloat16)
    own = torch.autograd.grad(found, inputs, slopes.to(kind))
    stock = torch.autograd.grad(wanted, inputs, slopes.float())
    for gradient, other in zip(own, stock, strict=True):
        assert torch.allclose(gradient, other, atol=1e-3, rtol=1e-3)


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
