"""Dropout of large tensors on a CPU, with masks that are drawn again in the backward pass.

Replaces: the forward of `torch.nn.Dropout`; attention.py and feed_forward.py use the same masks.
Active: in training, in float32 on a CPU, on tensors of at least `install.MANY_VALUES` values.
Why: PyTorch's random numbers take longer on a CPU than the layers around them, and the mask is kept
for the backward pass. Here 16 random bits decide each value, chunk by chunk while it is in the
cache, and the backward pass draws the same bits from the same seed. The seed comes from torch's
global generator, so that a seeded run repeats it.
Results: other random numbers than PyTorch's, with the same distribution; the probability is rounded
to 1 / 65536. Tests in tests/models/kernels/test_attention.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

LEVELS = 65_536  # of 16 bits
LOWEST = -32_768  # of them, as a signed number
SEEDS = 2**62
CACHED_VALUES = 2**18  # processed at a time: 1 MB, which fits into a core's cache


def is_plain(values: Tensor) -> bool:
    """Return True if a tensor is float32 on a CPU, and no graph is traced or compiled."""
    return values.device.type == "cpu" and values.dtype == torch.float32 and not is_traced()


def is_traced() -> bool:
    """Return True if a graph is traced or compiled."""
    return bool(torch.jit.is_tracing() or torch.compiler.is_compiling())  # type: ignore[attr-defined, no-untyped-call]


def draw_seed() -> int:
    """Draw a seed from torch's global generator."""
    return int(torch.randint(SEEDS, ()))


class DropoutMasks:
    """Seeded dropout masks, drawn again in the same order in the backward pass."""

    def __init__(self, share: float, seed: int) -> None:
        dropped = min(round(share * LEVELS), LEVELS - 1)
        self.bound = LOWEST + dropped
        self.scale = LEVELS / (LEVELS - dropped)  # factor of the values that are kept
        self.bits = np.random.SFC64(seed)

    def draw(self, out: Tensor) -> Tensor:
        """Fill a contiguous tensor with 1 where a value is kept and 0 where it is dropped."""
        words = self.bits.random_raw(-(-out.numel() // 4))
        levels = torch.from_numpy(words.view(np.int16)[: out.numel()])
        out.view(-1).copy_(levels)
        return out.ge_(self.bound)


class SeededDropout(torch.autograd.Function):
    """Set a share of the values of a tensor to zero, and scale the others up."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, share: float) -> Tensor:  # noqa: ANN401
        """Save the seed, not the mask."""
        ctx.share, ctx.seed = share, draw_seed()
        return _drop(values, share, ctx.seed)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Draw the same mask for the gradient."""
        return _drop(grads[0], ctx.share, ctx.seed), None


def _drop(values: Tensor, share: float, seed: int) -> Tensor:
    """Return the values with dropout applied; the same seed gives the same mask."""
    flat = values.contiguous().view(-1)
    out = torch.empty_like(flat)
    masks = DropoutMasks(share, seed)
    for first in range(0, len(flat), CACHED_VALUES):
        chunk = slice(first, first + CACHED_VALUES)
        masks.draw(out[chunk]).mul_(flat[chunk]).mul_(masks.scale)
    return out.view(values.shape)
