"""The feed-forward part of a transformer layer, which keeps nothing wide for the backward pass.

Between its two products it widens every frame, as a rule four times. PyTorch keeps the wide frames
twice, before the activation and after activation and dropout: half of what a layer keeps. Here a
few hundred frames at a time go through both products, and do so again in the backward pass: a
twelfth more arithmetic, on numbers that stay in the cache. Letters: N frames, O values of a frame,
M of a wide one.
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
]  # of wav2vec 2.0 and its like, where the activation is not always a module
FRAMES_AT_ONCE = 256
Activation = Callable[[Tensor], Tensor]


def is_feed_forward(module: nn.Module) -> bool:
    """Tell whether a module is a feed-forward part as here, and nothing else."""
    if not is_named(module, FEED_FORWARDS):
        return False
    names = {name for name, _ in module.named_children()}
    return names | {"intermediate_act_fn"} == set(PARTS) and hasattr(module, "intermediate_act_fn")


def run_feed_forward(self: Any, frames: Tensor) -> Tensor:  # noqa: ANN401
    """Stand in for the forward of a feed-forward part: (B, F, O) -> (B, F, O)."""
    wide, narrow = self.intermediate_dense, self.output_dense
    is_stock = not is_plain(frames) or torch.is_autocast_enabled("cpu")
    is_changed = {type(wide), type(narrow)} != {nn.Linear} or wide.bias is None
    if is_stock or is_changed or narrow.bias is None or not torch.is_grad_enabled():
        return type(self).forward(self, frames)  # type: ignore[no-any-return]
    share = self.intermediate_dropout.p if self.training else 0.0
    function: Any = RecomputedFeedForward.apply
    how = (self.intermediate_act_fn, share)
    rows = function(frames.flatten(0, -2), how, wide.weight, wide.bias, narrow.weight, narrow.bias)
    dropped: Tensor = self.output_dropout(rows.view(frames.shape))
    return dropped


class RecomputedFeedForward(torch.autograd.Function):
    """Widen frames (N, O), activate, drop some of the values, and narrow: (N, O)."""

    @staticmethod
    def forward(  # noqa: D417
        ctx: Any,  # noqa: ANN401
        frames: Tensor,
        how: tuple[Activation, float],
        *weights: Tensor,
    ) -> Tensor:
        """Keep the frames as they came.

        Args:
            frames: Shape (N, O).
            how: The activation, and the share of its values that is dropped.
            *weights: Weight (M, O) and bias of the first product, weight (O, M) and bias of the
                second.
        """
        ctx.save_for_backward(frames, *weights)
        ctx.activation, ctx.share = how
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
        """Widen, activate and drop again."""
        frames, *weights = ctx.saved_tensors
        masks, grad = DropoutMasks(ctx.share, ctx.seed), grads[0]
        d_frames = torch.empty_like(frames)
        d_weights = [torch.zeros_like(weight) for weight in weights]
        d_weights[3] = grad.sum(dim=0)
        for here in _split_frames(frames):
            given = functional.linear(frames[here], *weights[:2]).requires_grad_()
            with torch.enable_grad():
                active = ctx.activation(given)
            wide, slopes = active.detach(), grad[here] @ weights[2]
            if ctx.share:
                kept = masks.draw(torch.empty_like(wide)).mul_(masks.scale)
                slopes.mul_(kept)
                wide = kept.mul_(wide)
            d_weights[2].addmm_(grad[here].t(), wide)
            (slopes,) = torch.autograd.grad(active, given, slopes)
            d_weights[0].addmm_(slopes.t(), frames[here])
            d_weights[1] += slopes.sum(dim=0)
            torch.matmul(slopes, weights[0], out=d_frames[here])
        wanted = ctx.needs_input_grad[2:]
        shown = [
            slope if is_wanted else None for slope, is_wanted in zip(d_weights, wanted, strict=True)
        ]
        return d_frames, None, *shown


def _split_frames(frames: Tensor) -> Iterator[slice]:
    """Yield so few frames at a time that their wide ones stay in the cache."""
    for first in range(0, len(frames), FRAMES_AT_ONCE):
        yield slice(first, first + FRAMES_AT_ONCE)
