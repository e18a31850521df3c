"""AdamW with parameter groups for weight decay and layer-wise learning rates."""

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
    """Make AdamW for the trainable parameters: torch's fused one, or with 8-bit moments.

    The fused one is chosen before the model is moved to its device: torch has it for all devices.

    Args:
        model: The model.
        cfg: Learning rate, weight decay and kind of AdamW.
        factors: Learning rate of a parameter as a multiple of --learning-rate, by name; 1 if
            missing.

    Raises:
        SettingError: 8-bit moments need a library that is not installed.
    """
    groups = group_parameters(model, cfg.weight_decay, factors)
    for group in groups:
        group["lr"] = cfg.learning_rate * group["lr_factor"]
    if cfg.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=cfg.learning_rate, fused=True)
    optimizer: torch.optim.Optimizer = import_adamw_8bit()(groups, lr=cfg.learning_rate)
    return optimizer


def import_adamw_8bit() -> Any:  # noqa: ANN401 (a class of an optional library)
    """Return the optimizer class of `--optimizer adamw-8bit`.

    Raises:
        SettingError: bitsandbytes is not installed.
    """
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise SettingError(
            "--optimizer adamw-8bit needs bitsandbytes, which is not installed:"
            " pip install 'audio-cls[eightbit]', or use --optimizer adamw."
        ) from error
    return AdamW8bit


def group_parameters(
    model: nn.Module, weight_decay: float, factors: Mapping[str, float] = MappingProxyType({})
) -> list[dict[str, Any]]:
    """Group the trainable parameters by learning rate and weight decay.

    Parameters of fewer than two dimensions (bias, scale of a norm, mask embedding) do not decay.

    Args:
        model: The model.
        weight_decay: Of parameters of two or more dimensions.
        factors: See `make_optimizer`.

    Returns:
        Groups for a torch optimizer, the largest learning rate first; `lr_factor` is the factor.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            groups.setdefault((factors.get(name, 1.0), weight.ndim >= 2), []).append(weight)
    return [
        {"params": groups[key], "weight_decay": weight_decay * key[1], "lr_factor": key[0]}
        for key in sorted(groups, reverse=True)
    ]


def lr_multipliers(depths: Mapping[str, int], head: Set[str], cfg: OptimConfig) -> dict[str, float]:
    """Return the learning rate of each parameter as a multiple of --learning-rate.

    Args:
        depths: Number of layers below a parameter, by name; the head has the most.
        head: The parameters of the head, which have --head-learning-rate.
        cfg: Learning rates and --layer-decay, the factor from each layer to the one below.

    >>> lr_multipliers({"low": 0, "high": 1, "head": 2}, {"head"}, OptimConfig(layer_decay=0.5))
    {'low': 0.25, 'high': 0.5, 'head': 1.0}
    """
    top = max(depths.values(), default=0)
    factors = {name: cfg.layer_decay ** (top - depth) for name, depth in depths.items()}
    if cfg.head_learning_rate is not None:
        factors |= dict.fromkeys(head, cfg.head_learning_rate / cfg.learning_rate)
    return factors


def init_optimizer_state(optimizer: torch.optim.Optimizer) -> None:
    """Create the moments of all parameters, as zeros, before the first step.

    Parameters that never get a gradient have moments then, too, such as the mask embedding of a
    model that masks nothing.
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
    """Return whether an optimizer skips steps on the device, as torch's fused ones do."""
    return bool(getattr(_unwrap(optimizer), "_step_supports_amp_scaling", False))


def step_if_finite(optimizer: torch.optim.Optimizer, found_inf: torch.Tensor) -> None:
    """Do a step, or skip it on the device: the host does not wait for `found_inf`.

    A skipped step changes neither weights nor moments nor the count of steps.

    Args:
        optimizer: One that `supports_found_inf`, maybe wrapped by Accelerate.
        found_inf: 0 to do the step, 1 to skip it; shape (), float32.
    """
    unwrapped = _unwrap(optimizer)
    unwrapped.found_inf = found_inf  # as torch's gradient scaler sets it
    try:
        optimizer.step()
    finally:
        del unwrapped.found_inf


def _unwrap(optimizer: torch.optim.Optimizer) -> Any:  # noqa: ANN401 (torch's has no such field)
    """Return torch's optimizer inside of Accelerate's wrapper."""
    return getattr(optimizer, "optimizer", optimizer)
