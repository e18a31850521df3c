"""What a wrong answer costs: logits (B, L) and targets go in, one loss per clip (B,) comes out.

The heads of transformers compute a loss of their own, but eleven of the twelve know cross-entropy
only. So the loss is taken outside, the same for all. Letters: B clips in the batch, L labels.
Nothing here averages over the batch: only the training loop knows what other processes hold. A
class weight multiplies the loss; what it is divided by, the weights of the whole step, is in the
batch (`DistributedBatchSampler`), so that a step is what torch's `CrossEntropyLoss(weight=...)`
gives for all its clips at once, whatever the number of processes and passes.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

TINY = 1e-7  # keeps the slope of x**gamma finite at 0 for a gamma below 1


def cross_entropy_per_clip(
    logits: Tensor,
    targets: Tensor,
    *,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
    focal_gamma: float = 0.0,
) -> Tensor:
    """Compute the cross-entropy of each clip, in float32 whatever the logits' precision.

    With smoothing s the target is 1 - s + s/L at the label and s/L elsewhere (Szegedy et al. 2016,
    section 7, https://arxiv.org/abs/1512.00567). A focal gamma multiplies the term of each label by
    (1 - p)**gamma (Lin et al. 2017, equation 4, https://arxiv.org/abs/1708.02002).

    Args:
        logits: Scores before the softmax, shape (B, L), any floating type.
        targets: Label ids in [0, L), shape (B,), int64; or the share of each label, shape (B, L),
            floating, each row with sum 1: the loss is then the shares' mean of the labels' losses.
        label_smoothing: Share of the target that is spread over all labels, in [0, 1).
        class_weights: What the term of each label is multiplied by, shape (L,); None for 1.
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
    shares = targets
    if targets.ndim == 1:
        shares = functional.one_hot(targets, num_labels).float()
    shares = shares * (1 - label_smoothing) + label_smoothing / num_labels
    logs = functional.log_softmax(logits.float(), dim=1)
    terms = -shares * (1 - logs.exp()).clamp_min(TINY).pow(focal_gamma) * logs
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

    With smoothing s the target is 1 - s/2 where there is a label and s/2 elsewhere.

    Args:
        logits: Scores before the sigmoid, shape (B, L), any floating type.
        targets: What there is of each label, in [0, 1], shape (B, L), floating.
        label_smoothing: In [0, 1).
        pos_weight: What the term of a label that is there is multiplied by, shape (L,); None for 1.
        focal_gamma: Multiplies each term by (1 - p)**gamma, p being what its side was given.

    Returns:
        Losses in nats, shape (B,), float32, on the device of `logits`; (0,) for an empty batch.

    Example:
        >>> import torch
        >>> binary_cross_entropy_per_clip(torch.zeros(2, 3), torch.tensor([[1.0, 0, 1], [0, 0, 0]]))
        tensor([0.6931, 0.6931])
    """
    shares = targets * (1 - label_smoothing) + label_smoothing / 2
    there, absent = functional.logsigmoid(logits.float()), functional.logsigmoid(-logits.float())
    gain = 1.0 if pos_weight is None else pos_weight.to(logits.device)
    terms = gain * shares * absent.exp().clamp_min(TINY).pow(focal_gamma) * there
    terms = terms + (1 - shares) * there.exp().clamp_min(TINY).pow(focal_gamma) * absent
    return -terms.mean(dim=1)
