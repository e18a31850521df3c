"""Tests of audio_cls.models.kernels.conv1d."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from audio_cls.models.kernels import install
from audio_cls.models.kernels.install import install_fast_kernels

LAYERS = {
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


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(40, 24, 64, padding=32),  # not grouped
        nn.Conv1d(32, 32, 31, groups=4),  # short
        nn.Conv1d(32, 32, 64, groups=4, stride=2),
        nn.Conv1d(32, 32, 64, groups=4, dilation=2),
        nn.Conv1d(32, 32, 64, groups=4, padding="same"),
        nn.Conv1d(32, 32, 64, groups=4, padding=3, padding_mode="reflect"),
        nn.Conv1d(32, 32, 64, groups=32),  # of one channel each
    ],
    ids=str,
)
def test_other_convolutions_keep_their_forward(layer: nn.Module) -> None:
    assert install_fast_kernels(layer) == 0


def test_under_autocast_the_stock_convolution_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    conv = nn.Conv1d(32, 32, 64, groups=4)
    install_fast_kernels(conv)
    monkeypatch.setattr(install, "fft_grouped_conv1d", None)  # would raise if it were called
    frames = torch.randn(1, 32, install.MANY_FRAMES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert conv(frames).dtype == torch.bfloat16
    with pytest.raises(TypeError):
        conv(frames)


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
