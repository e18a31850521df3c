"""Parameter groups and the learning rate at every step: pure functions, nothing to save."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from audio_cls.config import OptimConfig
from audio_cls.errors import SettingError


def make_optimizer(model: nn.Module, cfg: OptimConfig) -> torch.optim.Optimizer:
    """Make AdamW over the parameters that learn: torch's fused one, or with 8-bit moments.

    The fused one is asked for before the model is moved to its device: torch has it for them all.

    Raises:
        SettingError: 8 bits need a library that is not installed.
    """
    groups = group_parameters(model, cfg.weight_decay)
    if cfg.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=cfg.learning_rate, fused=True)
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise SettingError(
            "--optimizer adamw-8bit needs bitsandbytes, which is not installed:"
            " pip install 'audio-cls[eightbit]', or use --optimizer adamw."
        ) from error
    optimizer: torch.optim.Optimizer = AdamW8bit(groups, lr=cfg.learning_rate)
    return optimizer


def group_parameters(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split what learns in two groups: matrices and kernels decay, biases and norms do not.

    A parameter of fewer than two dimensions (bias, scale of a norm, mask embedding) does not decay.
    """
    learning = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learning if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in learning if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def learning_rate_factor(step: int, num_steps: int, cfg: OptimConfig) -> float:
    """Return the share of the peak learning rate for optimizer step `step`, counted from 0.

    It rises linearly over the first ceil(warmup_ratio * num_steps) steps, then falls to 0 at
    `num_steps` (linear, cosine) or stays (constant): the schedules of transformers. wsd
    (warm-up, stable, decay; arXiv:2404.06395) stays, then falls linearly over the last
    ceil(decay_ratio * num_steps) steps.

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
    """Set the learning rate of every group. Changes the optimizer in place."""
    for group in optimizer.param_groups:
        group["lr"] = rate
