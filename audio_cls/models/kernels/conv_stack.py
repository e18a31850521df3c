"""A stack of convolutions over the wave, a thousand frames at a time, with little kept.

Comes in: the feature encoder of wav2vec 2.0, HuBERT and their like: layers of a convolution, maybe
a norm, and an activation. Their outputs are the most memory of a step: 260 MB for a clip of ten
seconds. Here a thousand frames go through a layer's norm and activation and the next layer's
convolution at once, while they are in the cache, and only what that convolution gives is kept; the
backward pass makes the norms and activations again, which cost little, and the first convolution,
which has a single channel. Short clips go through together (`Block`). A group norm over time fits
in by `fold_norm`: what it makes of the first convolution is another convolution. Letters: B clips,
C and O channels, K taps, T and F frames, S stride.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from audio_cls.models.kernels.conv1d import Kernel
from audio_cls.models.kernels.exactness import FEATURE_ENCODERS, is_named

PARTS = {"conv", "layer_norm", "activation"}  # of a layer, the norm not in all
FRAMES_AT_ONCE = 1024  # of a convolution's output; what they see is 4 MB at 512 channels
Inner = Callable[..., Tensor]  # (B, T, C'), what it learns -> (B, T, C), each row from its own


def is_stack(module: nn.Module) -> bool:
    """Tell whether a module is a stack of convolutions as here, and nothing else."""
    layers = getattr(module, "conv_layers", None)
    if not is_named(module, FEATURE_ENCODERS):
        return False
    if not isinstance(layers, nn.ModuleList) or len(layers) < 2:
        return False
    if any(type(layer).__module__ != type(module).__module__ for layer in layers):
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
    if type(conv) is not nn.Conv1d:
        return False
    return (conv.groups, conv.dilation, conv.padding) == (1, (1,), (0,))


def _is_known_norm(layer: Any, *, is_first: bool) -> bool:  # noqa: ANN401
    """Tell whether a layer has no norm, one of each frame, or, the first, of each channel."""
    norm = getattr(layer, "layer_norm", None)
    if type(norm) is nn.GroupNorm:
        return is_first and norm.affine and norm.num_groups == norm.num_channels
    if type(norm) is nn.LayerNorm:
        return norm.weight is not None and norm.bias is not None
    return norm is None


def run_conv_stack(layers: Sequence[Any], waves: Tensor) -> Tensor:
    """Run the layers of a stack: (B, T) -> (B, C, F), the channels last in memory."""
    first = layers[0]
    rows = waves.unfold(1, first.conv.kernel_size[0], first.conv.stride[0])  # (B, F, K), no copy
    inner, params = _start(first, rows)
    for before, layer in itertools.pairwise(layers):
        if before is not first:
            inner, params = partial(_finish, before), _list_params(before)
        stage: Any = RecomputedConv.apply
        rows = stage(rows, layer.conv.weight, layer.conv.stride[0], inner, *params)
    return _finish(layers[-1], rows, *_list_params(layers[-1])).transpose(1, 2)


def _list_params(layer: Any) -> list[Tensor]:  # noqa: ANN401
    """Return what a layer learns beside its convolution's weights, each of shape (C,)."""
    found = [layer.conv.bias, *getattr(layer, "layer_norm", nn.Module()).parameters()]
    return [param for param in found if param is not None]


def _finish(layer: Any, rows: Tensor, *params: Tensor) -> Tensor:  # noqa: ANN401
    """Run a layer from its convolution's output on, (B, F, C) to the same."""
    rest = list(params)
    if layer.conv.bias is not None:
        rows = rows + rest.pop(0)
    if rest:
        weight, bias = rest
        rows = functional.layer_norm(rows, rows.shape[-1:], weight, bias, layer.layer_norm.eps)
    activated: Tensor = layer.activation(rows)
    return activated


def _start(layer: Any, windows: Tensor) -> tuple[Inner, list[Tensor]]:  # noqa: ANN401
    """Return the first layer as a function of windows (B, F, K), and what it learns."""
    weight = layer.conv.weight[:, 0]
    if isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
        params = fold_norm(weight, layer.layer_norm, windows)
        return lambda own, taps, bias: layer.activation(torch.baddbmm(bias, own, taps)), params
    params = [weight.t(), *_list_params(layer)]
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
        Weights, (B, K, C), and biases, (B, 1, C).
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
    return [folded.to(windows.dtype), (norm.bias - middle * scale)[:, None].to(windows.dtype)]


class RecomputedConv(torch.autograd.Function):
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
            inner: (B', T', C') and its params -> (B', T', C), row by row.
            *params: What `inner` learns: (B, _, C) if each clip has its own, else fewer dimensions.
        """
        ctx.save_for_backward(rows, weight, *params)
        ctx.stride, ctx.inner = stride, inner
        kernel = Kernel.lay_out(weight, stride)
        out = rows.new_empty(len(rows), kernel.count_frames(rows.shape[1]), len(weight))
        for block in _split(kernel, out):
            heard = inner(block.take_rows(rows), *map(block.choose, params))
            block.convolve(heard, out)
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
        for block in _split(kernel, grads[0]):
            given = [block.take_rows(rows), *map(block.choose, params)]
            needs = (has_rows, *has_params)
            leaves = [v.detach().requires_grad_(n) for v, n in zip(given, needs, strict=True)]
            with torch.enable_grad():
                heard = ctx.inner(*leaves)
            grad = block.take_frames(grads[0])
            if d_matrix is not None:
                kernel.correlate(heard.detach().view(1, -1, heard.shape[2]), grad, d_matrix)
            if not heard.requires_grad:
                continue
            wanted = [leaf for leaf in leaves if leaf.requires_grad]
            slopes = kernel.spread(grad, len(heard) * block.length).view_as(heard)
            found = list(torch.autograd.grad(heard, wanted, slopes))
            if d_rows is not None:
                block.add_rows(found.pop(0), d_rows)
            for total in d_params:
                if total is not None:
                    block.choose(total).add_(found.pop(0))
        d_weight = None if d_matrix is None else kernel.restore(d_matrix)
        return d_rows, d_weight, None, None, *d_params


@dataclass(frozen=True)
class Block:
    """Some frames of a convolution's output, (B, F, O), and the rows that they see, (B, T, C).

    Either a stretch of one clip, or all of several short ones, whose rows then stand one clip after
    the other, each filled up to whole strides: their product is one, as fast as a long clip's.
    Frames that begin in one clip and end in the next are no one's and left out.
    """

    kernel: Kernel
    clips: slice
    frames: slice
    seen: slice
    length: int  # of a clip's rows, filled up

    def choose(self, param: Tensor) -> Tensor:
        """Return these clips' part of a parameter, if each clip has its own."""
        return param[self.clips] if param.ndim == 3 else param

    def take_rows(self, rows: Tensor) -> Tensor:
        """Return the rows seen of (B, T, C), (B', length, C), copied only where it must be."""
        own = rows[self.clips, self.seen]
        missing = self.length - own.shape[1]  # padding by nothing would be a copy, too
        return functional.pad(own, (0, 0, 0, missing)) if missing else own.contiguous()

    def add_rows(self, new: Tensor, total: Tensor) -> None:
        """Add what `take_rows` would give to where it lies in (B, T, C)."""
        own = total[self.clips, self.seen]
        own += new[:, : own.shape[1]]

    def convolve(self, heard: Tensor, out: Tensor) -> None:
        """Convolve rows (B', length, C) into their place in `out`, (B, F, O)."""
        own = out[self.clips, self.frames]
        if len(heard) == 1:
            self.kernel.convolve(heard, own)
            return
        made = heard.new_empty(len(heard), self.length // self.kernel.stride, own.shape[2])
        num_frames = self.kernel.count_frames(len(heard) * self.length)
        in_a_row = made.view(1, -1, own.shape[2])[:, :num_frames]
        self.kernel.convolve(heard.view(1, -1, heard.shape[2]), in_a_row)
        own.copy_(made[:, : own.shape[1]])

    def take_frames(self, grad: Tensor) -> Tensor:
        """Copy the frames of (B, F, O) in sequence, (1, F', O), zero where they are no one's."""
        own = grad[self.clips, self.frames]
        if len(own) == 1:
            return own.contiguous()
        num_frames = self.kernel.count_frames(len(own) * self.length)
        missing = self.length // self.kernel.stride - own.shape[1]
        filled = functional.pad(own, (0, 0, 0, missing))
        return filled.reshape(1, -1, own.shape[2])[:, :num_frames]


def _split(kernel: Kernel, out: Tensor) -> Iterator[Block]:
    """Yield the blocks of a convolution's output (B, F, O)."""
    num_clips, num_frames, _ = out.shape
    stride, overlap = kernel.stride, kernel.num_taps - kernel.stride
    together = max(1, FRAMES_AT_ONCE // max(1, num_frames))  # none if the clips are too short
    for clip, first in itertools.product(
        range(0, num_clips, together), range(0, num_frames, FRAMES_AT_ONCE)
    ):
        clips = slice(clip, min(clip + together, num_clips))
        frames = slice(first, min(first + FRAMES_AT_ONCE, num_frames))
        seen = slice(frames.start * stride, frames.stop * stride + overlap)
        is_alone = clips.stop - clips.start == 1
        length = seen.stop - seen.start
        length = length if is_alone else math.ceil(length / stride) * stride
        yield Block(kernel, clips, frames, seen, length)
