"""Stack of convolutions over the waveform, computed in blocks that fit into the CPU's cache.

Replaces: the forward of the feature encoders of wav2vec 2.0, HuBERT and their relatives
(`exactness.FEATURE_ENCODERS`): layers of a convolution, an optional norm, and an activation.
Active: in float32 on a CPU, without autocast.
Why: the outputs of these layers are the most memory of a training step: 260 MB for 10 s of audio.
Here about a thousand frames at a time go through norm and activation of a layer and the convolution
of the next, and only the output of that convolution is saved; the backward pass computes norms and
activations again, which takes little time, and the first convolution, which has one channel. Short
clips are processed together (`Block`). A group norm over time is folded into the first convolution
(`fold_norm`).
Results: equal to the stock forward and its gradients except for rounding; tests in
tests/models/kernels/test_conv1d.py.
Letters: B clips, C and O channels, K taps, T and F frames, S stride.
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

PARTS = {"conv", "layer_norm", "activation"}  # of a layer; some have no norm
FRAMES_AT_ONCE = 1024  # of a convolution's output; their input is 4 MB at 512 channels
Inner = Callable[..., Tensor]  # (B, T, C'), parameters -> (B, T, C), row by row


def is_stack(module: nn.Module) -> bool:
    """Return True if a module is a stack of convolutions that `run_conv_stack` supports."""
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
    """Return True if a module is a convolution without groups, dilation and padding."""
    if type(conv) is not nn.Conv1d:
        return False
    return (conv.groups, conv.dilation, conv.padding) == (1, (1,), (0,))


def _is_known_norm(layer: Any, *, is_first: bool) -> bool:  # noqa: ANN401
    """Return True if a layer has a layer norm or no norm, or, if it is the first, a group norm."""
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
    """Return a layer's parameters without its convolution's weights, each of shape (C,)."""
    params = [layer.conv.bias, *getattr(layer, "layer_norm", nn.Module()).parameters()]
    return [param for param in params if param is not None]


def _finish(layer: Any, rows: Tensor, *params: Tensor) -> Tensor:  # noqa: ANN401
    """Apply bias, norm and activation of a layer to its convolution's output, (B, F, C)."""
    rest = list(params)
    if layer.conv.bias is not None:
        rows = rows + rest.pop(0)
    if rest:
        weight, bias = rest
        rows = functional.layer_norm(rows, rows.shape[-1:], weight, bias, layer.layer_norm.eps)
    activated: Tensor = layer.activation(rows)
    return activated


def _start(layer: Any, windows: Tensor) -> tuple[Inner, list[Tensor]]:  # noqa: ANN401
    """Return the first layer as a function of windows (B, F, K), and its parameters."""
    weight = layer.conv.weight[:, 0]
    if isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
        params = fold_norm(weight, layer.layer_norm, windows)
        return lambda rows, taps, bias: layer.activation(torch.baddbmm(bias, rows, taps)), params
    params = [weight.t(), *_list_params(layer)]
    return lambda rows, taps, *rest: _finish(layer, rows @ taps, *rest), params


def fold_norm(weight: Tensor, norm: nn.GroupNorm, windows: Tensor) -> list[Tensor]:
    """Fold a norm over time into the convolution before it, for each clip.

    Mean and variance of a channel follow from the mean m and the covariance S of the K samples of
    a window: mean w . m, variance w S w. A bias of the convolution cancels out. Computed in
    float64: for a kernel of differences, w S w is small although S is large.

    Args:
        weight: Shape (C, K).
        norm: One group per channel.
        windows: Shape (B, F, K).

    Returns:
        Weights, (B, K, C), and biases, (B, 1, C).
    """
    means, covariances = [], []
    for clip in windows.detach():
        samples = clip.double()
        means.append(samples.mean(dim=0))
        samples -= means[-1]
        covariances.append(samples.t() @ samples / len(samples))
    taps = weight.double()
    mean = torch.stack(means) @ taps.t()  # (B, C)
    variance = ((taps @ torch.stack(covariances)) * taps).sum(dim=2)
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    folded = (taps * scale[:, :, None]).transpose(1, 2)
    return [folded.to(windows.dtype), (norm.bias - mean * scale)[:, None].to(windows.dtype)]


class RecomputedConv(torch.autograd.Function):
    """A convolution of an inner function of rows, which is recomputed in the backward pass."""

    @staticmethod
    def forward(  # noqa: D417
        ctx: Any,  # noqa: ANN401
        rows: Tensor,
        weight: Tensor,
        stride: int,
        inner: Inner,
        *params: Tensor,
    ) -> Tensor:
        """Save the rows, not the output of the inner function.

        Args:
            rows: Shape (B, T, C').
            weight: Shape (O, C, K).
            stride: Of the convolution.
            inner: (B', T', C') and its params -> (B', T', C), row by row.
            *params: Of `inner`: three dimensions, (B, _, C), if they differ per clip.
        """
        ctx.save_for_backward(rows, weight, *params)
        ctx.stride, ctx.inner = stride, inner
        kernel = Kernel.lay_out(weight, stride)
        out = rows.new_empty(len(rows), kernel.count_frames(rows.shape[1]), len(weight))
        for block in _split(kernel, out):
            activations = inner(block.take_rows(rows), *map(block.choose, params))
            block.convolve(activations, out)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Return the gradients of rows, weights and the inner function's parameters."""
        rows, weight, *params = ctx.saved_tensors
        has_rows, has_weight, _, _, *has_params = ctx.needs_input_grad
        kernel = Kernel.lay_out(weight, ctx.stride)
        d_matrix = torch.zeros_like(kernel.matrix) if has_weight else None
        d_rows = torch.zeros_like(rows) if has_rows else None
        pairs = zip(params, has_params, strict=True)
        d_params = [torch.zeros_like(param) if needed else None for param, needed in pairs]
        for block in _split(kernel, grads[0]):
            inputs = [block.take_rows(rows), *map(block.choose, params)]
            needs = (has_rows, *has_params)
            leaves = [v.detach().requires_grad_(n) for v, n in zip(inputs, needs, strict=True)]
            with torch.enable_grad():
                activations = ctx.inner(*leaves)
            grad = block.take_frames(grads[0])
            if d_matrix is not None:
                flat = activations.detach().view(1, -1, activations.shape[2])
                kernel.correlate(flat, grad, d_matrix)
            if not activations.requires_grad:
                continue
            wanted = [leaf for leaf in leaves if leaf.requires_grad]
            d_activations = kernel.spread(grad, len(activations) * block.length)
            d_leaves = list(
                torch.autograd.grad(activations, wanted, d_activations.view_as(activations))
            )
            if d_rows is not None:
                block.add_rows(d_leaves.pop(0), d_rows)
            for total in d_params:
                if total is not None:
                    block.choose(total).add_(d_leaves.pop(0))
        d_weight = None if d_matrix is None else kernel.restore(d_matrix)
        return d_rows, d_weight, None, None, *d_params


@dataclass(frozen=True)
class Block:
    """A block of a convolution's output frames, (B, F, O), and their input rows, (B, T, C).

    Either consecutive frames of one clip, or all frames of several short clips. Rows of short clips
    are concatenated, each padded to a multiple of the stride, so that one product covers all of
    them. Frames that straddle two clips are dropped.
    """

    kernel: Kernel
    clips: slice
    frames: slice
    seen: slice  # the input rows
    length: int  # of a clip's rows, padded

    def choose(self, param: Tensor) -> Tensor:
        """Return the values of a parameter for these clips, if they differ per clip."""
        return param[self.clips] if param.ndim == 3 else param

    def take_rows(self, rows: Tensor) -> Tensor:
        """Return the block's rows of (B, T, C): (B', length, C), contiguous."""
        seen = rows[self.clips, self.seen]
        missing = self.length - seen.shape[1]  # padding by 0 rows would copy, too
        return functional.pad(seen, (0, 0, 0, missing)) if missing else seen.contiguous()

    def add_rows(self, new: Tensor, total: Tensor) -> None:
        """Add rows as `take_rows` returns them to the block's rows of (B, T, C)."""
        seen = total[self.clips, self.seen]
        seen += new[:, : seen.shape[1]]

    def convolve(self, rows: Tensor, out: Tensor) -> None:
        """Convolve rows (B', length, C) into the block's frames of `out`, (B, F, O)."""
        frames = out[self.clips, self.frames]
        if len(rows) == 1:
            self.kernel.convolve(rows, frames)
            return
        padded = rows.new_empty(len(rows), self.length // self.kernel.stride, frames.shape[2])
        num_frames = self.kernel.count_frames(len(rows) * self.length)
        concatenated = padded.view(1, -1, frames.shape[2])[:, :num_frames]
        self.kernel.convolve(rows.view(1, -1, rows.shape[2]), concatenated)
        frames.copy_(padded[:, : frames.shape[1]])

    def take_frames(self, grad: Tensor) -> Tensor:
        """Concatenate the block's frames of (B, F, O): (1, F', O), zero where one was dropped."""
        frames = grad[self.clips, self.frames]
        if len(frames) == 1:
            return frames.contiguous()
        num_frames = self.kernel.count_frames(len(frames) * self.length)
        missing = self.length // self.kernel.stride - frames.shape[1]
        padded = functional.pad(frames, (0, 0, 0, missing))
        return padded.reshape(1, -1, frames.shape[2])[:, :num_frames]


def _split(kernel: Kernel, out: Tensor) -> Iterator[Block]:
    """Yield the blocks of a convolution's output (B, F, O)."""
    num_clips, num_frames, _ = out.shape
    stride, overlap = kernel.stride, kernel.num_taps - kernel.stride
    together = max(1, FRAMES_AT_ONCE // max(1, num_frames))  # clips; 0 frames if they are too short
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
