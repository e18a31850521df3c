"""SpecAugment inside a model leaves out clips that are shorter than one of its masks.

transformers refuses such clips in training: `mask_length` has to be smaller than their frames. They
are neither refused nor filled up here; they just are not masked, as they are not where longer clips
share their batch.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

from torch import Tensor, nn

METHOD = "_mask_hidden_states"  # of the models of transformers that mask frames themselves


def skip_masking_of_short_clips(model: nn.Module) -> None:
    """Let a model train on clips of fewer frames than a mask has. Changes it in place."""
    for module in model.modules():
        if hasattr(type(module), METHOD):
            # A method of the very module: deepcopy() binds the copy's to the copy.
            vars(module)[METHOD] = MethodType(_mask, module)


def _mask(self: Any, frames: Tensor, *args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401
    """Stand in for the method: (B, F, H), masked where a mask fits."""
    is_short = frames.shape[1] < getattr(self.config, "mask_time_length", 0)
    if self.training and is_short and getattr(self.config, "mask_time_prob", 0) > 0:
        return frames
    masked: Tensor = getattr(type(self), METHOD)(self, frames, *args, **kwargs)
    return masked
