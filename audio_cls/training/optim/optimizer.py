"""Parameter groups and the learning rate at every step: pure functions, nothing to save."""

from __future__ import annotations

from collections.abc import Mapping, Set
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from audio_cls.config import OptimConfig
from audio_cls.errors import SettingError


def make_optimizer(
    model: nn.Module, cfg: OptimConfig, factors: Mapping[str, float] = MappingProxyType({})
) -> torch.optim.Optimizer:
    """Make AdamW over the parameters that learn: torch's fused one, or with 8-bit moments.

    The fused one is asked for before the model is moved to its device: torch has it for them all.

    Args:
        model: What learns.
        cfg: Learning rate, weight decay and which AdamW.
        factors: How many times as fast as --learning-rate a parameter learns, by name; those that
            are missing learn at that rate.

    Raises:
        SettingError: 8 bits need a library that is not installed.
    """
    groups = group_parameters(model, cfg.weight_decay, factors)
    for group in groups:
        group["lr"] = cfg.learning_rate * group["lr_factor"]
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


def group_parameters(
    model: nn.Module, weight_decay: float, factors: Mapping[str, float] = MappingProxyType({})
) -> list[dict[str, Any]]:
    """Put what learns in groups that learn equally fast, split by whether they decay.

    A parameter of fewer than two dimensions (bias, scale of a norm, mask embedding) does not decay.

    Returns:
        Groups for a torch optimizer, the fastest first; `lr_factor` is the group's factor.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            groups.setdefault((factors.get(name, 1.0), weight.ndim >= 2), []).append(weight)
    return [
        {"params": groups[key], "weight_decay": weight_decay * key[1], "lr_factor": key[0]}
        for key in sorted(groups, reverse=True)
    ]


def compute_factors(
    depths: Mapping[str, int], head: Set[str], cfg: OptimConfig
) -> dict[str, float]:
    """Return how many times as fast as --learning-rate each parameter learns.

    Args:
        depths: How high above the sound a parameter stands, by name; the head is the highest.
        head: The parameters of the head, which --head-learning-rate is for.
        cfg: The rates and --layer-decay: each step down multiplies by it.

    >>> compute_factors({"low": 0, "high": 1, "head": 2}, {"head"}, OptimConfig(layer_decay=0.5))
    {'low': 0.25, 'high': 0.5, 'head': 1.0}
    """
    top = max(depths.values())
    factors = {name: cfg.layer_decay ** (top - depth) for name, depth in depths.items()}
    if cfg.head_learning_rate is not None:
        factors |= dict.fromkeys(head, cfg.head_learning_rate / cfg.learning_rate)
    return factors


def init_optimizer_state(optimizer: torch.optim.Optimizer) -> None:
    """Give every weight the moments of a fresh start, zeros, before its first gradient.

    So do those have some that never get one, such as a mask's embedding where nothing is masked.
    """
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
        for weight in group["params"]:
            weight.grad = torch.zeros_like(weight)
    optimizer.step()
    optimizer.zero_grad()
    for state in optimizer.state.values():
        state["step"].zero_()
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate


def supports_found_inf(optimizer: torch.optim.Optimizer) -> bool:
    """Tell whether an optimizer heeds a veto on the device, as torch's fused ones do."""
    return bool(getattr(_unwrap(optimizer), "_step_supports_amp_scaling", False))


def step_if_finite(optimizer: torch.optim.Optimizer, veto: torch.Tensor) -> None:
    """Take a step where `veto` is 0, on the device: the host does not wait for the number.

    Weights, moments and counts of steps stay as they are where it is 1.

    Args:
        optimizer: One that can leave a step out, maybe in Accelerate's wrapping.
        veto: Shape (), float32.
    """
    own = _unwrap(optimizer)
    own.found_inf = veto  # what torch's gradient scaler would tell it
    try:
        optimizer.step()
    finally:
        del own.found_inf


def _unwrap(optimizer: torch.optim.Optimizer) -> Any:  # noqa: ANN401 (torch's has no such field)
    """Return torch's optimizer from Accelerate's."""
    return getattr(optimizer, "optimizer", optimizer)
