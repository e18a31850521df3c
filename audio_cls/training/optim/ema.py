"""An exponential moving average of the weights, judged and saved in their place."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

WARM_UP = 10  # the decay of update t is at most (1 + t) / (WARM_UP + t), as in TensorFlow's EMA


class ModelEma:
    """The moving average of a model; with decay 0 it is the model itself, at no cost."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = model
        self.decay = decay
        self.updates = torch.zeros((), device=next(model.parameters()).device)
        self.averaged = copy.deepcopy(model).requires_grad_(False) if decay > 0 else model  # noqa: FBT003 (torch's own signature)

    def update(self, share: torch.Tensor | float = 1.0) -> None:
        """Move the average towards the weights after a step; counters are copied.

        Args:
            share: 1, or 0 where the step was left out: on the device, it is not waited for.
        """
        if self.decay == 0:
            return
        self.updates += share
        decay = ((1 + self.updates) / (WARM_UP + self.updates)).clamp(max=self.decay)
        pace = (1 - decay) * share
        with torch.no_grad():
            own = self.averaged.state_dict()
            for name, value in self.model.state_dict().items():
                if value.is_floating_point():
                    own[name].lerp_(value, pace.to(value.dtype))
                else:
                    own[name].copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        weights = self.averaged.state_dict() if self.decay > 0 else {}
        return {"updates": int(self.updates), "weights": weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a checkpoint's average over."""
        self.updates.fill_(state["updates"])
        if self.decay > 0:
            self.averaged.load_state_dict(state["weights"])
