"""Learning-rate schedules, as functions of the step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from audio_cls.config import OptimConfig

if TYPE_CHECKING:  # torch is not imported to check a run folder
    import torch


def learning_rate_factor(step: int, num_steps: int, cfg: OptimConfig) -> float:
    """Return the learning rate of a step as a share of `--learning-rate`.

    It rises linearly over the first ceil(warmup_ratio * num_steps) steps, then falls to 0 at
    `num_steps` (linear, cosine) or stays constant, as the schedules of transformers do. wsd
    (warm-up, stable, decay; arXiv:2404.06395) is constant, then falls linearly over the last
    ceil(decay_ratio * num_steps) steps.

    Args:
        step: The optimizer step, counted from 0.
        num_steps: Optimizer steps of the whole run.
        cfg: `scheduler`, `warmup_ratio` and `decay_ratio`.

    >>> learning_rate_factor(1, 10, OptimConfig(warmup_ratio=0.2))
    0.5
    """
    warmup = math.ceil(num_steps * cfg.warmup_ratio)
    if step < warmup:
        return step / max(1, warmup)
    if cfg.scheduler == "constant":
        return 1.0
    if cfg.scheduler == "wsd":
        decay = max(1, math.ceil(num_steps * cfg.decay_ratio))
        return max(0.0, min(1.0, (num_steps - step) / decay))
    progress = (step - warmup) / max(1, num_steps - warmup)
    if cfg.scheduler == "cosine":
        return max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))
    return max(0.0, 1.0 - progress)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all groups: `rate` times the group's `lr_factor`. In place."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_factor"]


def read_learning_rate(optimizer: torch.optim.Optimizer) -> float:
    """Return the learning rate that `set_learning_rate` was given last."""
    fastest = optimizer.param_groups[0]
    return float(fastest["lr"] / fastest["lr_factor"])
