"""Pooling over frames: mean, mean and standard deviation, attention.

Letters: B clips, F frames, H hidden size.
"""

from __future__ import annotations

import torch
from torch import Tensor

VARIANCE_FLOOR = 1e-10  # of a clip without variation: a gradient of sqrt(0) would be infinite


def pool_frames(states: Tensor, mask: Tensor | None) -> Tensor:
    """Average hidden states over the frames of audio.

    Args:
        states: Shape (B, F, H).
        mask: Shape (B, F), true = audio; None: no padding. A clip without any frame gives zeros.

    Returns:
        Shape (B, H).

    >>> pool_frames(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]])).tolist()
    [[2.0]]
    """
    if mask is None:
        return states.mean(dim=1)
    kept = mask.bool()[..., None]
    return states.masked_fill(~kept, 0).sum(dim=1) / kept.sum(dim=1).clamp(min=1)


def pool_mean_std(states: Tensor, mask: Tensor | None) -> Tensor:
    """Return mean and standard deviation (of all frames, as `numpy.std`) over the frames of audio.

    Args:
        states: Shape (B, F, H).
        mask: See `pool_frames`.

    Returns:
        Shape (B, 2H), the means first; a standard deviation is at least 1e-5.

    >>> pool_mean_std(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]])).tolist()
    [[2.0, 1.0]]
    """
    mean = pool_frames(states, mask)
    variance = pool_frames((states - mean[:, None]).square(), mask)
    return torch.cat([mean, variance.clamp(min=VARIANCE_FLOOR).sqrt()], dim=1)


def pool_by_attention(states: Tensor, mask: Tensor | None, scores: Tensor) -> Tensor:
    """Average hidden states over the frames of audio, weighted by the softmax of scores.

    Args:
        states: Shape (B, F, H).
        mask: See `pool_frames`.
        scores: Of the frames, shape (B, F).

    Returns:
        Shape (B, H).

    >>> scores = torch.tensor([[0.0, 3.0, 7.0]]).exp().log()
    >>> states = torch.tensor([[[1.0], [3.0], [9.0]]])
    >>> pool_by_attention(states, torch.tensor([[1, 0, 0]]), scores).tolist()
    [[1.0]]
    """
    if mask is not None:
        scores = scores.masked_fill(~mask.bool(), torch.finfo(scores.dtype).min)
    weights = scores.softmax(dim=1)
    if mask is not None:  # a clip without any frame gives zeros
        weights, states = weights * mask, states.masked_fill(~mask.bool()[..., None], 0)
    return (weights[..., None] * states).sum(dim=1)
