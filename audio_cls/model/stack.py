"""A stack of convolutions over the wave, clip by clip, with little kept for the backward pass.

Comes in: the feature encoder of wav2vec 2.0, HuBERT and their like: layers of a convolution, maybe
a norm, and an activation. Their outputs are the most memory of a step: 260 MB for a clip of ten
seconds. Here a clip goes through a layer's norm and activation and the next layer's convolution at
once, and only what that convolution gives is kept; the backward pass makes the norms and
activations again, which cost little, and the first convolution, which has a single channel.
Letters: B clips, C and O channels, T and F frames.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from audio_cls.model.rows import convolve, correlate, count_frames, spread

PARTS = {"conv", "layer_norm", "activation"}  # of a layer, the norm not in all


def is_stack(module: nn.Module) -> bool:
    """Tell whether a module is a stack of convolutions as here, and nothing else."""
    layers = getattr(module, "conv_layers", None)
    if not isinstance(layers, nn.ModuleList) or len(layers) < 2:
        return False
    return [name for name, _ in module.named_children()] == ["conv_layers"] and all(
        {name for name, _ in layer.named_children()} in (PARTS, PARTS - {"layer_norm"})
        and _is_plain_convolution(layer.conv)
        for layer in layers
    )


def _is_plain_convolution(conv: Any) -> bool:  # noqa: ANN401
    """Tell whether a module is a convolution without groups, dilation and padding."""
    if not isinstance(conv, nn.Conv1d):
        return False
    return (conv.groups, conv.dilation, conv.padding) == (1, (1,), (0,))


def hear(layers: Sequence[Any], waves: Tensor) -> Tensor:
    """Run the layers of a stack: (B, T) -> (B, C, F), the channels last in memory."""
    rows = waves[:, :, None]
    for before, layer in itertools.pairwise(layers):
        is_first = before is layers[0]
        inner = partial(_start if is_first else _finish, before)
        parts = before if is_first else getattr(before, "layer_norm", nn.Module())
        stage: Any = Stage.apply
        rows = stage(rows, layer.conv.weight, layer.conv.stride[0], inner, *parts.parameters())
        rows = rows if layer.conv.bias is None else rows + layer.conv.bias
    return _finish(layers[-1], rows).transpose(1, 2)


def _start(layer: Any, waves: Tensor) -> Tensor:  # noqa: ANN401
    """Run a whole layer over waves as rows, (B, T, 1) -> (B, F, C)."""
    return _finish(layer, layer.conv(waves.transpose(1, 2)).transpose(1, 2))


def _finish(layer: Any, rows: Tensor) -> Tensor:  # noqa: ANN401
    """Run a layer from its convolution's output on, (B, F, C) to the same."""
    norm = getattr(layer, "layer_norm", None)
    if isinstance(norm, nn.LayerNorm):
        rows = norm(rows)
    elif norm is not None:
        rows = norm(rows.transpose(1, 2)).transpose(1, 2)
    activated: Tensor = layer.activation(rows)
    return activated


class Stage(torch.autograd.Function):
    """An inner function of rows, made again when it is wanted, and a convolution of its output."""

    @staticmethod
    def forward(  # noqa: D417
        ctx: Any,  # noqa: ANN401
        rows: Tensor,
        weight: Tensor,
        stride: int,
        inner: Callable[[Tensor], Tensor],
        *params: Tensor,
    ) -> Tensor:
        """Keep the rows alone.

        Args:
            rows: Shape (B, T, C').
            weight: Shape (O, C, K).
            stride: Of the convolution.
            inner: (B, T, C') -> (B, T', C).
            *params: What `inner` learns.
        """
        ctx.save_for_backward(rows, weight, *params)
        ctx.stride, ctx.inner = stride, inner
        out = None
        for number in range(len(rows)):
            heard = inner(rows[number : number + 1]).contiguous()
            if out is None:
                frames = count_frames(heard, weight, stride)
                out = rows.new_empty(len(rows), frames, weight.shape[0])
            convolve(heard, weight, stride, out[number : number + 1])
        assert out is not None
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Return the gradients of rows, weights and what the inner function learns."""
        rows, weight, *params = ctx.saved_tensors
        learning = [param for param in params if param.requires_grad]
        d_rows = torch.empty_like(rows) if ctx.needs_input_grad[0] else None
        d_weight = torch.zeros_like(weight)
        d_params = [torch.zeros_like(param) for param in learning]
        for number in range(len(rows)):
            own = slice(number, number + 1)
            with torch.enable_grad():
                given = rows[own].detach().requires_grad_(d_rows is not None)
                heard = ctx.inner(given)
            grad = grads[0][own].contiguous()
            if ctx.needs_input_grad[1]:
                d_weight += correlate(heard.detach().contiguous(), grad, weight, ctx.stride)
            wanted = [*learning, *([] if d_rows is None else [given])]
            if not wanted:
                continue
            found = torch.autograd.grad(
                heard, wanted, spread(grad, weight, heard.shape, ctx.stride)
            )
            for total, part in zip(d_params, found, strict=False):
                total += part
            if d_rows is not None:
                d_rows[own] = found[-1]
        given_back = iter(d_params)
        of_params = [next(given_back) if param.requires_grad else None for param in params]
        return d_rows, d_weight, None, None, *of_params
