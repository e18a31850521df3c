"""Attention computed clip by clip: the scores of one clip stay in the CPU's cache.

Replaces: the attention implementation `sdpa` of transformers, in the classes of
`exactness.ATTENTIONS`.
Active: with `--attention auto`, in float32 on a CPU, in training with attention dropout. Otherwise
(no dropout, a mask with a gradient, a bias of relative positions, causal attention) `sdpa` of
transformers is called.
Why: with dropout, `sdpa` on a CPU writes the scores of the whole batch to memory six times, and
keeps three of these for the backward pass. Here the scores of one clip are computed at a time, and
again in the backward pass, with the same dropout mask.
Results: equal to `sdpa` except for rounding and for the random numbers of dropout; tests in
tests/models/kernels/test_attention.py.
Letters: B clips, H heads, Q queries, K keys, D values per head.
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

NAME = "clip_by_clip"  # of this implementation, as registered in transformers
STOCK = "sdpa"
TRIAL_FRAMES = 6  # of the input on which this is compared with `sdpa`
CACHED_SCORES = 2**19  # computed at a time: 2 MB


def use_per_clip_attention(model: PreTrainedModel) -> None:
    """Replace `sdpa` by attention clip by clip. Changes the model in place.

    Only if its attention is of a known class, and if output and gradients for a small input are
    equal to those of `sdpa`.
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
    """Compute attention: an implementation as transformers registers them.

    Args:
        module: The attention module.
        query: Shape (B, H, Q, D).
        key: Shape (B, H, K, D).
        value: Shape (B, H, K, D).
        attention_mask: Shape (B, 1 or H, Q, K): True where a query attends to a key, or a number
            that is added to the scores. If it requires a gradient, `sdpa` is called.
        **options: `dropout`, the probability of the weights to be dropped; `scaling`, the factor of
            the scores, D ** -0.5 by default; `is_causal`; and options of other implementations: if
            one of them is a tensor, such as `position_bias`, `sdpa` is called.

    Returns:
        The output, (B, Q, H, D), and None instead of the weights.
    """
    dropout, scale = options.get("dropout", 0.0), options.get("scaling")
    causal = options.get("is_causal")
    is_causal = getattr(module, "is_causal", True) if causal is None else causal
    is_paired = query.shape[:2] == key.shape[:2]
    has_bias = any(isinstance(option, Tensor) for option in options.values())
    has_bias |= attention_mask is not None and attention_mask.requires_grad
    is_supported = is_named(module, ATTENTIONS) and is_paired and not is_causal and is_plain(query)
    if not is_supported or has_bias or not 0 < dropout < 1:
        stock: Any = sdpa_attention_forward
        output: tuple[Tensor, None] = stock(module, query, key, value, attention_mask, **options)
        return output
    function: Any = ClipAttention.apply
    scaled = query * (query.shape[-1] ** -0.5 if scale is None else scale)
    return function(scaled, key, value, attention_mask, dropout), None


def _is_stock(module: nn.Module) -> bool:
    """Return True if output and gradients are equal to those of `sdpa`, with each kind of mask."""
    shape = (2, 3, TRIAL_FRAMES, 8)
    attended = torch.ones(2, 1, 1, TRIAL_FRAMES, dtype=torch.bool)
    attended[1, ..., TRIAL_FRAMES // 2 :] = False
    added = torch.zeros(attended.shape).masked_fill(~attended, torch.finfo(torch.float32).min)
    function, stock = cast("Any", ClipAttention.apply), cast("Any", sdpa_attention_forward)
    with torch.enable_grad():
        inputs = [tensor.requires_grad_() for tensor in draw_input((3, *shape)).detach()]
        is_same = True
        for mask in (None, attended, added):
            scaled = inputs[0] * shape[-1] ** -0.5
            own = function(scaled, *inputs[1:], mask, 0.0)
            expected = stock(module, *inputs, mask, is_causal=False)[0]
            is_same &= agree(
                [own.detach(), *find_gradients(own, inputs)],
                [expected.detach(), *find_gradients(expected, inputs)],
            )
    return is_same


class ClipAttention(torch.autograd.Function):
    """dropout(softmax(query @ key^T + mask)) @ value: (B, Q, H, D)."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        dropout: float,
    ) -> Tensor:
        """Save the inputs, the output and the seed of the dropout."""
        seed = draw_seed()
        masks = DropoutMasks(dropout, seed)
        num_clips, num_heads, num_queries, _ = query.shape
        out = query.new_empty(num_clips, num_queries, num_heads, value.shape[-1])
        for clip, heads in _split_heads(query, key):
            weights = _weigh_keys(query, key, mask, (clip, heads))
            weights.mul_(masks.draw(torch.empty_like(weights)))
            product = torch.bmm(weights, value[clip, heads])
            torch.mul(product.transpose(0, 1), masks.scale, out=out[clip, :, heads])
        ctx.save_for_backward(query, key, value, mask, out)
        ctx.dropout, ctx.seed = dropout, seed
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Compute the weights again.

        The gradient of the softmax of a row needs the row's sum of weight times gradient, which is
        equal to the sum of output times gradient (arXiv:2205.14135, appendix B).
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
    """Yield each clip with groups of its heads whose scores fit into the cache."""
    num_clips, num_heads, num_queries, _ = query.shape
    count = max(1, CACHED_SCORES // (num_queries * key.shape[2]))
    for clip in range(num_clips):
        for first in range(0, num_heads, count):
            yield clip, slice(first, first + count)


def _weigh_keys(query: Tensor, key: Tensor, mask: Tensor | None, here: tuple[int, slice]) -> Tensor:
    """Return the attention weights of some heads of a clip, (H, Q, K), before dropout."""
    scores = torch.bmm(query[here], key[here].transpose(1, 2))
    if mask is not None:
        head_mask = mask.expand(*query.shape[:2], -1, -1)[here]
        if head_mask.dtype == torch.bool:
            scores.masked_fill_(~head_mask, torch.finfo(scores.dtype).min)
        else:
            scores.add_(head_mask)
    return torch.softmax(scores, dim=-1, out=scores)
