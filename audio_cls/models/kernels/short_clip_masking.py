"""SpecAugment inside models, without masks for clips that are shorter than a mask.

Replaces: the method `_mask_hidden_states` of models of transformers.
Active: in training, on any device, for batches of fewer frames than `mask_time_length`.
Why: transformers raises an error for such clips. Here they are not masked, as they are not where
longer clips are in their batch.
Results: for longer batches the stock method is called; tests in tests/models/test_load.py
(`test_the_shortest_clips_survive_training_and_not_much_is_added`).
"""

from __future__ import annotations

from types import MethodType
from typing import Any

from torch import Tensor, nn

METHOD = "_mask_hidden_states"


def skip_masking_of_short_clips(model: nn.Module) -> None:
    """Let a model train on clips with fewer frames than a mask. Changes it in place."""
    for module in model.modules():
        if hasattr(type(module), METHOD):
            # Bound to the module, so that deepcopy() binds it to the copy.
            vars(module)[METHOD] = MethodType(_mask, module)


def _mask(self: Any, frames: Tensor, *args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401
    """Replace the method: (B, F, H), masked unless a mask is longer than the batch."""
    is_short = frames.shape[1] < getattr(self.config, "mask_time_length", 0)
    if self.training and is_short and getattr(self.config, "mask_time_prob", 0) > 0:
        return frames
    masked: Tensor = getattr(type(self), METHOD)(self, frames, *args, **kwargs)
    return masked
