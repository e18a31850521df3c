"""On a CPU, attention that learns goes clip by clip, so that its scores stay in the cache.

Comes in: queries, keys and values of a batch, as transformers' models hand them to the function
that computes their attention. While a network learns with dropout on the attention, PyTorch's code
writes the scores of the whole batch to memory six times over, and keeps three of these for the
backward pass. Here one clip's scores are made, used and forgotten; the backward pass makes them
again, with the same dropout. Where nothing is dropped, where the numbers are not float32 on a CPU,
where the mask is learnt (relative positions), and in attention whose class is not exactly one that
is listed in `stock.py`, transformers' own `sdpa` runs. Letters: B clips, H heads, Q queries, K
keys, D values a head.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from audio_cls.models.kernels.dropout import DropoutMasks, draw_seed, is_plain
from audio_cls.models.kernels.exactness import (
    ATTENTIONS,
    agree,
    draw_input,
    find_gradients,
    is_named,
)

NAME = "clip_by_clip"  # of this attention, where transformers looks it up
STOCK = "sdpa"
TRIAL_FRAMES = 6  # of an input with which this is compared with `sdpa`
CACHED_SCORES = 2**19  # made at once: 2 MB


def use_per_clip_attention(model: PreTrainedModel) -> None:
    """Let a model that computes attention by `sdpa` compute it as here. Changes it in place.

    Only where its attention is of a known class, and where output and gradients of a small input
    are those of `sdpa`.
    """
    known = next((one for one in model.modules() if is_named(one, ATTENTIONS)), None)
    if model.config._attn_implementation == STOCK and known is not None and _is_stock(known):
        AttentionInterface.register(NAME, attend)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        model.set_attn_implementation(NAME)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: Any,  # noqa: ANN401
) -> tuple[Tensor, None]:
    """Compute attention; called by the models of transformers as its other implementations are.

    Args:
        module: The attention, which knows whether it is causal.
        query: Shape (B, H, Q, D).
        key: Shape (B, H, K, D).
        value: Shape (B, H, K, D).
        attention_mask: (B, 1 or H, Q, K): True where a query sees a key, or what is added to the
            scores. With one that wants a gradient, transformers' own attention runs.
        **options: `dropout`, the share of the attention that is dropped; `scaling`, the factor of
            the scores, D ** -0.5 by default; `is_causal`; and what other implementations take: with
            a tensor among it, such as `position_bias`, transformers' own attention runs.

    Returns:
        (B, Q, H, D), and no weights.
    """
    dropout, scale = options.get("dropout", 0.0), options.get("scaling")
    causal = options.get("is_causal")
    is_causal = getattr(module, "is_causal", True) if causal is None else causal
    is_paired = query.shape[:2] == key.shape[:2]
    has_more = any(isinstance(option, Tensor) for option in options.values())  # a learnt bias
    has_more |= attention_mask is not None and attention_mask.requires_grad
    is_ours = is_named(module, ATTENTIONS) and is_paired and not is_causal and is_plain(query)
    if not is_ours or has_more or not 0 < dropout < 1:
        stock: Any = sdpa_attention_forward
        found: tuple[Tensor, None] = stock(module, query, key, value, attention_mask, **options)
        return found
    function: Any = ClipAttention.apply
    scaled = query * (query.shape[-1] ** -0.5 if scale is None else scale)
    return function(scaled, key, value, attention_mask, dropout), None


def _is_stock(module: nn.Module) -> bool:
    """Tell whether attention clip by clip gives `sdpa`'s output and gradients, with any mask."""
    shape = (2, 3, TRIAL_FRAMES, 8)
    seen = torch.ones(2, 1, 1, TRIAL_FRAMES, dtype=torch.bool)
    seen[1, ..., TRIAL_FRAMES // 2 :] = False
    added = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
    function, stock = cast("Any", ClipAttention.apply), cast("Any", sdpa_attention_forward)
    with torch.enable_grad():
        given = [part.requires_grad_() for part in draw_input((3, *shape)).detach()]
        is_same = True
        for mask in (None, seen, added):
            scaled = given[0] * shape[-1] ** -0.5
            own = function(scaled, *given[1:], mask, 0.0)
            expected = stock(module, *given, mask, is_causal=False)[0]
            is_same &= agree(
                [own.detach(), *find_gradients(own, given)],
                [expected.detach(), *find_gradients(expected, given)],
            )
    return is_same


class ClipAttention(torch.autograd.Function):
    """softmax(query @ key^T + mask), some of it dropped, @ value: (B, Q, H, D)."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        dropout: float,
    ) -> Tensor:
        """Keep what was given, what came out and the seed of the dropout."""
        seed = draw_seed()
        masks = DropoutMasks(dropout, seed)
        num_clips, num_heads, num_queries, _ = query.shape
        out = query.new_empty(num_clips, num_queries, num_heads, value.shape[-1])
        for clip, heads in _split_heads(query, key):
            weights = _weigh_keys(query, key, mask, (clip, heads))
            weights.mul_(masks.draw(torch.empty_like(weights)))
            found = torch.bmm(weights, value[clip, heads])
            torch.mul(found.transpose(0, 1), masks.scale, out=out[clip, :, heads])
        ctx.save_for_backward(query, key, value, mask, out)
        ctx.dropout, ctx.seed = dropout, seed
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Make the weights again.

        A row's gradient through the softmax needs its sum of weight times gradient, and that is
        the sum of output times gradient (arXiv:2205.14135, appendix B).
        """
        query, key, value, mask, out = ctx.saved_tensors
        masks = DropoutMasks(ctx.dropout, ctx.seed)
        d_query, d_key, d_value = (torch.empty_like(one) for one in (query, key, value))
        sums = (grads[0] * out).sum(dim=-1, keepdim=True).transpose(1, 2)  # (B, H, Q, 1)
        for clip, heads in _split_heads(query, key):
            here = (clip, heads)
            grad = grads[0][clip, :, heads].transpose(0, 1)
            weights = _weigh_keys(query, key, mask, here)
            kept = masks.draw(torch.empty_like(weights))
            slopes = torch.bmm(grad, value[here].transpose(1, 2)).mul_(kept).mul_(masks.scale)
            slopes.sub_(sums[here]).mul_(weights)
            d_value[here] = torch.bmm(kept.mul_(weights).transpose(1, 2), grad).mul_(masks.scale)
            d_query[here] = torch.bmm(slopes, key[here])
            d_key[here] = torch.bmm(slopes.transpose(1, 2), query[here])
        return d_query, d_key, d_value, None, None


def _split_heads(query: Tensor, key: Tensor) -> Iterator[tuple[int, slice]]:
    """Yield each clip and some of its heads, so few that their scores stay in the cache."""
    num_clips, num_heads, num_queries, _ = query.shape
    count = max(1, CACHED_SCORES // (num_queries * key.shape[2]))
    for clip in range(num_clips):
        for first in range(0, num_heads, count):
            yield clip, slice(first, first + count)


def _weigh_keys(query: Tensor, key: Tensor, mask: Tensor | None, here: tuple[int, slice]) -> Tensor:
    """Return the weights of the keys of some heads of a clip, (H, Q, K), before any dropout."""
    scores = torch.bmm(query[here], key[here].transpose(1, 2))
    if mask is not None:
        own = mask.expand(*query.shape[:2], -1, -1)[here]
        if own.dtype == torch.bool:
            scores.masked_fill_(~own, torch.finfo(scores.dtype).min)
        else:
            scores.add_(own)
    return torch.softmax(scores, dim=-1, out=scores)
