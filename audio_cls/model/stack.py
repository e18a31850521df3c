"""A stack of convolutions over the wave, a thousand frames at a time, with little kept.

Comes in: the feature encoder of wav2vec 2.0, HuBERT and their like: layers of a convolution, maybe
a norm, and an activation. Their outputs are the most memory of a step: 260 MB for a clip of ten
seconds. Here a thousand frames go through a layer's norm and activation and the next layer's
convolution at once, while they are in the cache, and only what that convolution gives is kept; the
backward pass makes the norms and activations again, which cost little, and the first convolution,
which has a single channel. A group norm over time fits in by `fold_norm`: what it makes of the
first convolution is another convolution. Letters: B clips, C and O channels, K taps, T and F
frames.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from audio_cls.model.rows import Kernel

PARTS = {"conv", "layer_norm", "activation"}  # of a layer, the norm not in all
FRAMES_AT_ONCE = 1024  # of a convolution's output; what they see is 4 MB at 512 channels
Inner = Callable[..., Tensor]  # rows (T, C'), what it learns -> rows (T, C), each from its own row


def is_stack(module: nn.Module) -> bool:
    """Tell whether a module is a stack of convolutions as here, and nothing else."""
    layers = getattr(module, "conv_layers", None)
    if not isinstance(layers, nn.ModuleList) or len(layers) < 2:
        return False
    parts: list[Any] = list(layers)
    return [name for name, _ in module.named_children()] == ["conv_layers"] and all(
        {name for name, _ in layer.named_children()} in (PARTS, PARTS - {"layer_norm"})
        and _is_plain_convolution(layer.conv)
        and (layer is not parts[0] or layer.conv.in_channels == 1)
        and _is_known_norm(layer, is_first=layer is parts[0])
        and not list(layer.activation.parameters())
        for layer in parts
    )


def _is_plain_convolution(conv: Any) -> bool:  # noqa: ANN401
    """Tell whether a module is a convolution without groups, dilation and padding."""
    if not isinstance(conv, nn.Conv1d):
        return False
    return (conv.groups, conv.dilation, conv.padding) == (1, (1,), (0,))


def _is_known_norm(layer: Any, *, is_first: bool) -> bool:  # noqa: ANN401
    """Tell whether a layer has no norm, one of each frame, or, the first, of each channel."""
    norm = getattr(layer, "layer_norm", None)
    if isinstance(norm, nn.GroupNorm):
        return is_first and norm.affine and norm.num_groups == norm.num_channels
    if isinstance(norm, nn.LayerNorm):
        return norm.weight is not None and norm.bias is not None
    return norm is None


def hear(layers: Sequence[Any], waves: Tensor) -> Tensor:
    """Run the layers of a stack: (B, T) -> (B, C, F), the channels last in memory."""
    first = layers[0]
    rows = waves.unfold(1, first.conv.kernel_size[0], first.conv.stride[0])  # (B, F, K), no copy
    inner, params = _start(first, rows)
    for before, layer in itertools.pairwise(layers):
        if before is not first:
            inner, params = partial(_finish, before), _list_params(before)
        own = [param.expand(len(rows), *param.shape[1:]) for param in params]
        stage: Any = Stage.apply
        rows = stage(rows, layer.conv.weight, layer.conv.stride[0], inner, *own)
    last = [param[0] for param in _list_params(layers[-1])]
    return _finish(layers[-1], rows, *last).transpose(1, 2)


def _list_params(layer: Any) -> list[Tensor]:  # noqa: ANN401
    """Return what a layer learns beside its convolution's weights, each of shape (1, C)."""
    found = [layer.conv.bias, *getattr(layer, "layer_norm", nn.Module()).parameters()]
    return [param[None] for param in found if param is not None]


def _finish(layer: Any, rows: Tensor, *params: Tensor) -> Tensor:  # noqa: ANN401
    """Run a layer from its convolution's output on, (..., F, C) to the same."""
    rest = list(params)
    if layer.conv.bias is not None:
        rows = rows + rest.pop(0)
    if rest:
        weight, bias = rest
        rows = functional.layer_norm(rows, rows.shape[-1:], weight, bias, layer.layer_norm.eps)
    activated: Tensor = layer.activation(rows)
    return activated


def _start(layer: Any, windows: Tensor) -> tuple[Inner, list[Tensor]]:  # noqa: ANN401
    """Return the first layer as a function of the windows (F, K) of a clip, and what it learns."""
    weight = layer.conv.weight[:, 0]
    if isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
        params = fold_norm(weight, layer.layer_norm, windows)
        return lambda own, taps, bias: layer.activation(torch.addmm(bias, own, taps)), params
    params = [weight.t()[None], *_list_params(layer)]
    return lambda own, taps, *rest: _finish(layer, own @ taps, *rest), params


def fold_norm(weight: Tensor, norm: nn.GroupNorm, windows: Tensor) -> list[Tensor]:
    """Make one convolution of a convolution and a norm over time, for each clip its own.

    The mean and the variance that a channel will have follow from those of the K samples under the
    kernel: mean w . m, variance w C w. A bias of the convolution would fall out. In float64, as a
    kernel that takes neighbours from each other leaves little of a large C.

    Args:
        weight: Shape (C, K).
        norm: A group a channel.
        windows: Shape (B, F, K).

    Returns:
        Weights, (B, K, C), and biases, (B, C).
    """
    means, spreads = [], []
    for clip in windows.detach():
        samples = clip.double()
        means.append(samples.mean(dim=0))
        samples -= means[-1]
        spreads.append(samples.t() @ samples / len(samples))
    taps = weight.double()
    middle = torch.stack(means) @ taps.t()  # (B, C)
    variance = ((taps @ torch.stack(spreads)) * taps).sum(dim=2)
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    folded = (taps * scale[:, :, None]).transpose(1, 2)
    return [folded.to(windows.dtype), (norm.bias - middle * scale).to(windows.dtype)]


class Stage(torch.autograd.Function):
    """An inner function of rows, made again when it is wanted, and a convolution of its output."""

    @staticmethod
    def forward(  # noqa: D417
        ctx: Any,  # noqa: ANN401
        rows: Tensor,
        weight: Tensor,
        stride: int,
        inner: Inner,
        *params: Tensor,
    ) -> Tensor:
        """Keep the rows alone.

        Args:
            rows: Shape (B, T, C').
            weight: Shape (O, C, K).
            stride: Of the convolution.
            inner: (T', C') and its params -> (T', C), row by row.
            *params: What `inner` learns, for each clip: (B, ...).
        """
        ctx.save_for_backward(rows, weight, *params)
        ctx.stride, ctx.inner = stride, inner
        kernel = Kernel.lay_out(weight, stride)
        out = rows.new_empty(len(rows), kernel.count_frames(rows.shape[1]), len(weight))
        for clip, frames, seen in _split(kernel, out):
            heard = inner(rows[clip, seen].contiguous(), *(param[clip] for param in params))
            kernel.convolve(heard[None], out[clip : clip + 1, frames])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Return the gradients of rows, weights and what the inner function learns."""
        rows, weight, *params = ctx.saved_tensors
        has_rows, has_weight, _, _, *has_params = ctx.needs_input_grad
        kernel = Kernel.lay_out(weight, ctx.stride)
        d_matrix = torch.zeros_like(kernel.matrix) if has_weight else None
        d_rows = torch.zeros_like(rows) if has_rows else None
        pairs = zip(params, has_params, strict=True)
        d_params = [torch.zeros_like(param) if has_it else None for param, has_it in pairs]
        for clip, frames, seen in _split(kernel, grads[0]):
            given = [rows[clip, seen].contiguous(), *(param[clip] for param in params)]
            needs = (has_rows, *has_params)
            leaves = [v.detach().requires_grad_(n) for v, n in zip(given, needs, strict=True)]
            with torch.enable_grad():
                heard = ctx.inner(*leaves)
            grad = grads[0][clip : clip + 1, frames].contiguous()
            if d_matrix is not None:
                kernel.correlate(heard.detach()[None], grad, d_matrix)
            if not heard.requires_grad:
                continue
            wanted = [leaf for leaf in leaves if leaf.requires_grad]
            slopes = kernel.spread(grad, len(heard))[0]
            found = list(torch.autograd.grad(heard, wanted, slopes))
            if d_rows is not None:
                d_rows[clip, seen] += found.pop(0)
            for total in d_params:
                if total is not None:
                    total[clip] += found.pop(0)
        d_weight = None if d_matrix is None else kernel.restore(d_matrix)
        return d_rows, d_weight, None, None, *d_params


def _split(kernel: Kernel, out: Tensor) -> Iterator[tuple[int, slice, slice]]:
    """Yield clip, frames of its output (B, F, O), and the rows that they see."""
    for clip, first in itertools.product(range(len(out)), range(0, out.shape[1], FRAMES_AT_ONCE)):
        end = min(first + FRAMES_AT_ONCE, out.shape[1])
        seen = slice(first * kernel.stride, (end - 1) * kernel.stride + kernel.num_taps)
        yield clip, slice(first, end), seen
