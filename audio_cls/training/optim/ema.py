"""Exponential moving average (EMA) of the weights, which is validated and saved in their place."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

WARM_UP = 10  # the decay of update t is at most (1 + t) / (WARM_UP + t), as in TensorFlow's EMA


class ModelEma:
    """The moving average of a model; with decay 0 it is the model itself, at no cost.

    torch's `AveragedModel` gives the same numbers, but counts the updates on the host: a step that
    the optimizer skips on the device would be averaged, or the host would have to wait for it.

    Attributes:
        module: The averaged model.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = model
        self.decay = decay
        self.updates = torch.zeros((), device=next(model.parameters()).device)
        self.module = copy.deepcopy(model).requires_grad_(False) if decay > 0 else model  # noqa: FBT003 (torch's signature)

    def update(self, share: torch.Tensor | float = 1.0) -> None:
        """Move the average towards the weights after a step; integer buffers are copied.

        Args:
            share: 1, or 0 if the step was skipped: a tensor on the device needs no wait for it.
        """
        if self.decay == 0:
            return
        self.updates += share
        decay = ((1 + self.updates) / (WARM_UP + self.updates)).clamp(max=self.decay)
        weight = (1 - decay) * share
        with torch.no_grad():
            averages = self.module.state_dict()
            for name, value in self.model.state_dict().items():
                if value.is_floating_point():
                    averages[name].lerp_(value, weight.to(value.dtype))
                else:
                    averages[name].copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of a checkpoint."""
        weights = self.module.state_dict() if self.decay > 0 else {}
        return {"updates": int(self.updates), "weights": weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self.updates.fill_(state["updates"])
        if self.decay > 0:
            self.module.load_state_dict(state["weights"])
