"""Losses: cross-entropy and binary cross-entropy per clip, with smoothing, weights and focal term.

The heads of transformers compute a loss, too, but eleven of the twelve families have cross-entropy
only. So the loss is computed here, the same for all. Letters: B clips of the batch, L labels.
Nothing is averaged over the batch: the batch has the weight of each clip in the mean over the whole
step (`DistributedBatchSampler`). So a step gives the loss of torch's `CrossEntropyLoss(weight=...)`
on all its clips at once, for any number of processes and forward passes.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

TINY = 1e-7  # keeps the gradient of x**gamma finite at 0 for gamma < 1


def cross_entropy_per_clip(
    logits: Tensor,
    targets: Tensor,
    *,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
    focal_gamma: float = 0.0,
) -> Tensor:
    """Compute the cross-entropy of each clip, in float32.

    With smoothing s the target is 1 - s + s/L at the label and s/L elsewhere (Szegedy et al. 2016,
    section 7, https://arxiv.org/abs/1512.00567). A focal gamma multiplies the term of each label by
    (1 - p)**gamma (Lin et al. 2017, equation 4, https://arxiv.org/abs/1708.02002).

    Args:
        logits: Scores before the softmax, shape (B, L), any floating type.
        targets: Label ids in [0, L), shape (B,), int64; or probabilities, shape (B, L), floating.
        label_smoothing: Share of the target that is spread over all labels, in [0, 1).
        class_weights: Factor of the term of each label, shape (L,); None for 1.
        focal_gamma: 0 is plain cross-entropy.

    Returns:
        Losses in nats, shape (B,), float32, on the device of `logits`; (0,) for an empty batch.

    Example:
        >>> import torch
        >>> cross_entropy_per_clip(torch.zeros(2, 4), torch.tensor([0, 3]))
        tensor([1.3863, 1.3863])
    """
    weights = None if class_weights is None else class_weights.to(logits.device)
    if focal_gamma == 0:
        return functional.cross_entropy(
            logits.float(),
            targets,
            weight=weights,
            reduction="none",
            label_smoothing=label_smoothing,
        )
    num_labels = logits.shape[1]
    if targets.ndim == 1:
        targets = functional.one_hot(targets, num_labels).float()
    targets = targets * (1 - label_smoothing) + label_smoothing / num_labels
    log_probabilities = functional.log_softmax(logits.float(), dim=1)
    focal = (1 - log_probabilities.exp()).clamp_min(TINY).pow(focal_gamma)
    terms = -targets * focal * log_probabilities
    return (terms if weights is None else terms * weights).sum(dim=1)


def binary_cross_entropy_per_clip(
    logits: Tensor,
    targets: Tensor,
    *,
    label_smoothing: float = 0.0,
    pos_weight: Tensor | None = None,
    focal_gamma: float = 0.0,
) -> Tensor:
    """Compute the binary cross-entropy of each clip, mean over its labels, in float32.

    With smoothing s the target of a label is 1 - s/2 instead of 1, and s/2 instead of 0.

    Args:
        logits: Scores before the sigmoid, shape (B, L), any floating type.
        targets: In [0, 1], shape (B, L), floating.
        label_smoothing: In [0, 1).
        pos_weight: Factor of the positive term of each label, shape (L,); None for 1.
        focal_gamma: Multiplies each term by (1 - p)**gamma, where p is the probability of the
            term's side: of the label, or of its absence.

    Returns:
        Losses in nats, shape (B,), float32, on the device of `logits`; (0,) for an empty batch.

    Example:
        >>> import torch
        >>> binary_cross_entropy_per_clip(torch.zeros(2, 3), torch.tensor([[1.0, 0, 1], [0, 0, 0]]))
        tensor([0.6931, 0.6931])
    """
    targets = targets * (1 - label_smoothing) + label_smoothing / 2
    log_p, log_not_p = functional.logsigmoid(logits.float()), functional.logsigmoid(-logits.float())
    factor = 1.0 if pos_weight is None else pos_weight.to(logits.device)
    terms = factor * targets * log_not_p.exp().clamp_min(TINY).pow(focal_gamma) * log_p
    terms = terms + (1 - targets) * log_p.exp().clamp_min(TINY).pow(focal_gamma) * log_not_p
    return -terms.mean(dim=1)
