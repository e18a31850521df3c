"""Frame mask: which frames of an encoder's output are audio.

Letters: B clips, T samples, F frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

# Methods of encoders that turn an input mask into a frame mask, by name in transformers.
FRAME_MASK_METHODS: dict[str, Callable[[Any, Tensor, int], Tensor]] = {
    "_get_feature_vector_attention_mask": lambda method, mask, count: method(count, mask),
    "_get_output_attention_mask": lambda method, mask, count: method(mask, count),
}


def find_frame_mask(
    encoder: nn.Module,
    output: Any,  # noqa: ANN401 (each encoder has its own class)
    mask: Tensor,
    num_frames: int,
) -> Tensor | None:
    """Return the mask of an encoder's frames, (B, F), 1 = audio; None where it is not known.

    Without it padding changes the mean: `probe_input_spec` finds this, and batches of equal length
    are formed.

    Args:
        encoder: Of the classifier.
        output: Of the encoder.
        mask: Of the input, (B, T) or (B, F).
        num_frames: F of the output.
    """
    known = getattr(output, "attention_mask", None)
    if isinstance(known, Tensor) and known.shape == (len(mask), num_frames):
        return known
    for module in encoder.modules():
        for name, apply in FRAME_MASK_METHODS.items():
            if hasattr(module, name):
                return apply(getattr(module, name), mask, num_frames)
    return mask if mask.shape[1] == num_frames else None
