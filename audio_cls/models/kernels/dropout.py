"""Dropout of large tensors on a CPU, from a fast generator, and drawn again instead of kept.

PyTorch draws dropout on a CPU by a generator that costs more than the layer around it, and keeps a
mask for the backward pass. Here 16 random bits decide each value, piece by piece while a piece is
in the cache, and the backward pass draws the same bits again from the same seed. The seed comes
from torch's global generator: what that repeats is repeated. A share is kept to within 1 / 65536.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

LEVELS = 65_536  # that 16 bits tell apart
LOWEST = -32_768  # of them as a signed number
SEEDS = 2**62
CACHED_VALUES = 2**18  # handled at once: 1 MB, which stays in a core's cache


def is_plain(values: Tensor) -> bool:
    """Tell whether a tensor is float32 on a CPU, and no graph is traced or compiled."""
    return values.device.type == "cpu" and values.dtype == torch.float32 and not is_traced()


def is_traced() -> bool:
    """Tell whether a graph is traced or compiled."""
    return bool(torch.jit.is_tracing() or torch.compiler.is_compiling())  # type: ignore[attr-defined, no-untyped-call]


def draw_seed() -> int:
    """Draw a seed from torch's global generator."""
    return int(torch.randint(SEEDS, ()))


class DropoutMasks:
    """Draws what dropout keeps: the same again from the same seed, in the same order of pieces."""

    def __init__(self, share: float, seed: int) -> None:
        dropped = min(round(share * LEVELS), LEVELS - 1)
        self.bound = LOWEST + dropped
        self.scale = LEVELS / (LEVELS - dropped)  # what is kept is multiplied by it
        self.bits = np.random.SFC64(seed)

    def draw(self, out: Tensor) -> Tensor:
        """Fill a contiguous tensor with 1 where a value is kept and 0 where it is dropped."""
        words = self.bits.random_raw(-(-out.numel() // 4))
        levels = torch.from_numpy(words.view(np.int16)[: out.numel()])
        out.view(-1).copy_(levels)
        return out.ge_(self.bound)


class SeededDropout(torch.autograd.Function):
    """Drop a share of the values of a tensor of any shape, and scale up the others."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, share: float) -> Tensor:  # noqa: ANN401
        """Keep the seed alone."""
        ctx.share, ctx.seed = share, draw_seed()
        return _drop(values, share, ctx.seed)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Drop the gradients of what was dropped."""
        return _drop(grads[0], ctx.share, ctx.seed), None


def _drop(values: Tensor, share: float, seed: int) -> Tensor:
    """Return the values, some of them dropped; the same ones for the same seed."""
    flat = values.contiguous().view(-1)
    out = torch.empty_like(flat)
    masks = DropoutMasks(share, seed)
    for first in range(0, len(flat), CACHED_VALUES):
        here = slice(first, first + CACHED_VALUES)
        masks.draw(out[here]).mul_(flat[here]).mul_(masks.scale)
    return out.view(values.shape)
