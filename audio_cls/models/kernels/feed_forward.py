"""Feed-forward block of a transformer layer, without its wide activations in memory.

Replaces: the forward of the feed-forward blocks of wav2vec 2.0 and its relatives
(`exactness.FEED_FORWARDS`).
Active: where gradients are computed, in float32 on a CPU, without autocast, with two plain linear
layers.
Why: the block widens each frame, usually four times. PyTorch saves the wide frames twice, before
the activation and after dropout: half of the memory of a layer. Here `FRAMES_AT_ONCE` frames at a
time go through both linear layers, and again in the backward pass: a twelfth more arithmetic, on
values that stay in the cache.
Results: equal to the stock forward and its gradients except for rounding and for the random numbers
of dropout; tests in tests/models/kernels/test_feed_forward.py.
Letters: N frames, O values of a frame, M values of a wide frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from audio_cls.models.kernels.dropout import DropoutMasks, draw_seed, is_plain
from audio_cls.models.kernels.exactness import FEED_FORWARDS, is_named

PARTS = [
    "intermediate_dropout",
    "intermediate_dense",
    "intermediate_act_fn",
    "output_dense",
    "output_dropout",
]  # the activation is not a module in all families
FRAMES_AT_ONCE = 256
Activation = Callable[[Tensor], Tensor]


def is_feed_forward(module: nn.Module) -> bool:
    """Return True if a module is a feed-forward block that `run_feed_forward` supports."""
    if not is_named(module, FEED_FORWARDS):
        return False
    names = {name for name, _ in module.named_children()}
    return names | {"intermediate_act_fn"} == set(PARTS) and hasattr(module, "intermediate_act_fn")


def run_feed_forward(self: Any, frames: Tensor) -> Tensor:  # noqa: ANN401
    """Replace the forward of a feed-forward block: (B, F, O) -> (B, F, O)."""
    wide, narrow = self.intermediate_dense, self.output_dense
    is_stock = not is_plain(frames) or torch.is_autocast_enabled("cpu")
    is_changed = {type(wide), type(narrow)} != {nn.Linear} or wide.bias is None
    if is_stock or is_changed or narrow.bias is None or not torch.is_grad_enabled():
        return type(self).forward(self, frames)  # type: ignore[no-any-return]
    share = self.intermediate_dropout.p if self.training else 0.0
    function: Any = RecomputedFeedForward.apply
    settings = (self.intermediate_act_fn, share)
    flat = frames.flatten(0, -2)
    rows = function(flat, settings, wide.weight, wide.bias, narrow.weight, narrow.bias)
    dropped: Tensor = self.output_dropout(rows.view(frames.shape))
    return dropped


class RecomputedFeedForward(torch.autograd.Function):
    """Linear (O -> M), activation, dropout, linear (M -> O): (N, O) -> (N, O)."""

    @staticmethod
    def forward(  # noqa: D417
        ctx: Any,  # noqa: ANN401
        frames: Tensor,
        settings: tuple[Activation, float],
        *weights: Tensor,
    ) -> Tensor:
        """Save the input frames, not the wide ones.

        Args:
            frames: Shape (N, O).
            settings: The activation, and the probability of dropout.
            *weights: Weight (M, O) and bias of the first linear layer, weight (O, M) and bias of
                the second.
        """
        ctx.save_for_backward(frames, *weights)
        ctx.activation, ctx.share = settings
        ctx.seed = draw_seed() if ctx.share else 0
        masks = DropoutMasks(ctx.share, ctx.seed)
        out = torch.empty_like(frames)
        for here in _split_frames(frames):
            wide = ctx.activation(functional.linear(frames[here], *weights[:2]))
            if ctx.share:
                wide.mul_(masks.draw(torch.empty_like(wide)).mul_(masks.scale))
            torch.addmm(weights[3], wide, weights[2].t(), out=out[here])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Compute the wide frames again, with the same dropout mask."""
        frames, *weights = ctx.saved_tensors
        masks, grad = DropoutMasks(ctx.share, ctx.seed), grads[0]
        d_frames = torch.empty_like(frames)
        d_weights = [torch.zeros_like(weight) for weight in weights]
        d_weights[3] = grad.sum(dim=0)
        for here in _split_frames(frames):
            linear = functional.linear(frames[here], *weights[:2]).requires_grad_()
            with torch.enable_grad():
                active = ctx.activation(linear)
            wide, d_wide = active.detach(), grad[here] @ weights[2]
            if ctx.share:
                mask = masks.draw(torch.empty_like(wide)).mul_(masks.scale)
                d_wide.mul_(mask)
                wide = mask.mul_(wide)
            d_weights[2].addmm_(grad[here].t(), wide)
            (d_linear,) = torch.autograd.grad(active, linear, d_wide)
            d_weights[0].addmm_(d_linear.t(), frames[here])
            d_weights[1] += d_linear.sum(dim=0)
            torch.matmul(d_linear, weights[0], out=d_frames[here])
        pairs = zip(d_weights, ctx.needs_input_grad[2:], strict=True)
        return d_frames, None, *(d_weight if needed else None for d_weight, needed in pairs)


def _split_frames(frames: Tensor) -> Iterator[slice]:
    """Yield slices of `FRAMES_AT_ONCE` frames."""
    for first in range(0, len(frames), FRAMES_AT_ONCE):
        yield slice(first, first + FRAMES_AT_ONCE)
