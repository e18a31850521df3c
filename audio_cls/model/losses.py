"""What a wrong answer costs: logits (B, L) and targets go in, one loss per clip (B,) comes out.

The heads of transformers compute a loss of their own, but eleven of the twelve know cross-entropy
only. So the loss is taken outside, the same for all. Letters: B clips in the batch, L labels.
Nothing here averages over the batch: only the training loop knows what other processes hold.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def clip_losses(logits: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Compute the cross-entropy of each clip, in float32 whatever the logits' precision.

    With smoothing s the target is 1 - s + s/L at the label and s/L elsewhere (Szegedy et al. 2016,
    section 7, https://arxiv.org/abs/1512.00567).

    Args:
        logits: Scores before the softmax, shape (B, L), any floating type.
        targets: Label ids in [0, L), shape (B,), int64; or the share of each label, shape (B, L),
            floating, each row with sum 1: the loss is then the shares' mean of the labels' losses.
        label_smoothing: Share of the target that is spread over all labels, in [0, 1).

    Returns:
        Losses in nats, shape (B,), float32, on the device of `logits`; (0,) for an empty batch.

    Example:
        >>> import torch
        >>> clip_losses(torch.zeros(2, 4), torch.tensor([0, 3]))
        tensor([1.3863, 1.3863])
    """
    return functional.cross_entropy(
        logits.float(), targets, reduction="none", label_smoothing=label_smoothing
    )
