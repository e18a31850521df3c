"""Grouped convolution with a long kernel, computed in the frequency domain.

Replaces: the computation of `torch.nn.Conv1d` over positions in wav2vec 2.0 and its relatives (128
taps, 16 groups), where install.py uses it.
Active: in float32 on a CPU, and on a GPU (see install.py).
Why: PyTorch computes one small product per group and tap. In the frequency domain a long kernel is
one product per frequency, and the Fourier transforms are matrix products as well: a training step
of DistilHuBERT with a frozen feature encoder takes a quarter less time (docs/benchmarks.md).
Results: equal to `torch.nn.functional.conv1d` except for rounding; tests in
tests/models/kernels/test_conv1d.py.
Letters: B clips, C input channels, O output channels, T input frames, F output frames, K taps of
the kernel, G groups.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional


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
