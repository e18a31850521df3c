"""Conv1d as matrix products over rows: frames (B, T, C), the channels last.

Replaces: the computation of `torch.nn.Conv1d`, where install.py and conv_stack.py use it: plain
convolutions by `MatmulConv1d`, grouped ones with a long kernel by `fft_grouped_conv1d`.
Active: in float32, on a CPU; the grouped one on a GPU, too (see install.py).
Why: PyTorch's convolutions over time reach about half the speed of a matrix product on a CPU, less
in the backward pass, and less again with groups. In rows, a convolution of stride S is a product of
overlapping rows, which BLAS reads without a copy. A grouped convolution with a long kernel is a
product in the frequency domain, block by block; its Fourier transforms are matrix products as well.
Results: equal to `torch.nn.functional.conv1d` except for rounding; tests in
tests/models/kernels/test_conv1d.py.
Letters: B clips, C input channels, O output channels, T input frames, F output frames, K taps of
the kernel, S stride, G groups.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

SMALL_ROW = 64  # C * K: up to here, the windows are copied, which takes little time


@dataclass(frozen=True)
class Kernel:
    """The weights of a convolution as a matrix, for products with rows."""

    matrix: Tensor  # (K * C, O), ordered by tap, then channel
    num_taps: int  # K
    stride: int  # S

    @classmethod
    def lay_out(cls, weight: Tensor, stride: int) -> Kernel:
        """Copy weights (O, C, K) into the order of the rows."""
        num_out, num_channels, num_taps = weight.shape
        matrix = weight.permute(2, 1, 0).reshape(num_taps * num_channels, num_out)
        return cls(matrix, num_taps, stride)

    def restore(self, matrix: Tensor) -> Tensor:
        """Return a matrix of this kernel's shape, such as a gradient, in the order (O, C, K)."""
        return matrix.view(self.num_taps, -1, matrix.shape[1]).permute(2, 1, 0)

    def count_frames(self, num_rows: int) -> int:
        """Return the number of output frames F for T input frames."""
        return (num_rows - self.num_taps) // self.stride + 1

    def convolve(self, rows: Tensor, out: Tensor) -> None:
        """Convolve contiguous rows (B, T, C) into `out`, (B, F, O)."""
        for part, views in self._pair_taps(rows, out.shape[1]):
            for clip, view in zip(out, views, strict=True):
                torch.addmm(clip, view, self.matrix[part], beta=float(part.start > 0), out=clip)

    def correlate(self, rows: Tensor, grad: Tensor, total: Tensor) -> None:
        """Add the gradient of `matrix` to `total`, from the rows and the output's gradient."""
        for part, views in self._pair_taps(rows, grad.shape[1]):
            rows_of_total = total[part]
            for clip, view in zip(grad, views, strict=True):
                torch.addmm(rows_of_total, view.t(), clip, out=rows_of_total)

    def spread(self, grad: Tensor, num_rows: int) -> Tensor:
        """Return the gradient of T input rows, from the output's gradient."""
        num_channels = len(self.matrix) // self.num_taps
        d_rows = grad.new_empty(len(grad), num_rows, num_channels)
        # The first `stride` taps write to all rows up to here, if their windows are adjacent.
        written = self.stride * grad.shape[1] if self.num_taps >= self.stride else 0
        d_rows[:, written:].zero_()
        for part, views in self._split_taps(d_rows, grad.shape[1]):
            for view, clip in zip(views, grad, strict=True):
                beta = float(part.start > 0 or written == 0)
                torch.addmm(view, clip, self.matrix[part].t(), beta=beta, out=view)
        return d_rows

    def _pair_taps(self, rows: Tensor, num_frames: int) -> Iterator[tuple[slice, Tensor]]:
        """Yield rows of the matrix, and the input values that they multiply, (B, F, _)."""
        if len(self.matrix) > SMALL_ROW:
            yield from self._split_taps(rows, num_frames)
            return
        views = _view_rows(rows, num_frames, self.stride, 0, self.num_taps)
        yield slice(0, len(self.matrix)), views.contiguous()

    def _split_taps(self, rows: Tensor, num_frames: int) -> Iterator[tuple[slice, Tensor]]:
        """Yield the same for `stride` taps at a time, whose windows do not overlap: no copy."""
        num_channels = rows.shape[2]
        for first in range(0, self.num_taps, self.stride):
            end = min(self.num_taps, first + self.stride)
            part = slice(first * num_channels, end * num_channels)
            yield part, _view_rows(rows, num_frames, self.stride, first, end - first)


class MatmulConv1d(torch.autograd.Function):
    """Convolve rows (B, T, C) with weights (O, C, K): (B, (T - K) // S + 1, O)."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, stride: int) -> Tensor:  # noqa: ANN401
        """Multiply S taps at a time, whose windows do not overlap.

        Raises:
            RuntimeError: Rows and weights differ in C, which the strides below would not notice.
        """
        if rows.shape[2] != weight.shape[1]:
            raise RuntimeError(f"expected {weight.shape[1]} channels, got {rows.shape[2]}")
        rows, kernel = rows.contiguous(), Kernel.lay_out(weight, stride)
        ctx.save_for_backward(rows, weight)
        ctx.stride = stride
        out = rows.new_empty(len(rows), kernel.count_frames(rows.shape[1]), weight.shape[0])
        kernel.convolve(rows, out)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Return the gradients of rows and weights."""
        rows, weight = ctx.saved_tensors
        grad, kernel = grads[0].contiguous(), Kernel.lay_out(weight, ctx.stride)
        d_rows = d_weight = None
        if ctx.needs_input_grad[0]:
            d_rows = kernel.spread(grad, rows.shape[1])
        if ctx.needs_input_grad[1]:
            total = torch.zeros_like(kernel.matrix)
            kernel.correlate(rows, grad, total)
            d_weight = kernel.restore(total)
        return d_rows, d_weight, None


def _view_rows(rows: Tensor, num_frames: int, stride: int, first: int, taps: int) -> Tensor:
    """Return the windows of `taps` taps from `first` on, of rows (B, T, C): (B, F, taps * C)."""
    num_clips, num_rows, num_channels = rows.shape
    size = (num_clips, num_frames, taps * num_channels)
    strides = (num_rows * num_channels, stride * num_channels, 1)
    return rows.as_strided(size, strides, rows.storage_offset() + first * num_channels)


def fft_grouped_conv1d(rows: Tensor, weight: Tensor, groups: int, padding: int) -> Tensor:
    """Convolve rows with a long grouped kernel of stride 1, in the frequency domain.

    Overlap-save: blocks of K frames and the K - 1 frames that follow are transformed, multiplied
    with the kernel's spectrum, and transformed back.

    Args:
        rows: Shape (B, T, C).
        weight: Shape (O, C / G, K).
        groups: G.
        padding: Number of zeros on each side.

    Returns:
        Shape (B, T + 2 * padding - K + 1, O).
    """
    (num_clips, num_rows, num_channels), (num_out, depth, num_taps) = rows.shape, weight.shape
    num_frames = num_rows + 2 * padding - num_taps + 1
    num_blocks = math.ceil(num_frames / num_taps)
    length = math.ceil(num_frames / num_blocks)  # output frames of a block
    window = length + num_taps - 1
    forward, inverse = _make_transforms(window, length, rows.dtype, rows.device)
    bins = len(forward) // 2
    padded = functional.pad(rows, (0, 0, padding, padding + num_blocks * length - num_frames))
    blocks = padded.unfold(1, window, length).reshape(-1, groups, num_channels // groups, window)
    blocks = blocks.permute(3, 1, 0, 2).reshape(window, -1)
    spectrum = (forward @ blocks).view(2, bins * groups, num_clips * num_blocks, depth)
    taps = weight.view(groups, -1, depth, num_taps).permute(3, 0, 2, 1).reshape(num_taps, -1)
    kernel = (forward[:, :num_taps] @ taps).view(2, bins * groups, depth, -1)
    real = torch.baddbmm(torch.bmm(spectrum[0], kernel[0]), spectrum[1], kernel[1])
    imaginary = torch.baddbmm(torch.bmm(spectrum[1], kernel[0]), spectrum[0], kernel[1], alpha=-1)
    out = inverse @ torch.stack([real, imaginary]).view(2 * bins, -1)
    out = out.view(length, groups, num_clips, num_blocks, -1).permute(2, 3, 0, 1, 4)
    return out.reshape(num_clips, num_blocks * length, num_out)[:, :num_frames]


@functools.lru_cache(maxsize=8)
@torch.inference_mode(mode=False)  # tensors made in inference mode cannot be used in training
def _make_transforms(
    window: int, length: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the real Fourier transform and the first rows of its inverse, as matrices.

    Returns:
        Shapes (2 * bins, window), the cosines before the sines, and (length, 2 * bins).
    """
    bins = window // 2 + 1
    angles = torch.outer(torch.arange(bins), torch.arange(window)) % window
    angles = angles.double() * (2 * math.pi / window)
    forward = torch.cat([angles.cos(), -angles.sin()])
    factors = torch.full((bins, 1), 2 / window, dtype=torch.float64)
    factors[0] /= 2
    if window % 2 == 0:
        factors[-1] /= 2
    inverse = (forward * factors.repeat(2, 1))[:, :length].t().contiguous()
    return forward.to(device, dtype), inverse.to(device, dtype)
