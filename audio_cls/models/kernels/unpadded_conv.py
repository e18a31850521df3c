"""The convolutions over the wave run on clips of one length at a time, so that padding is exact.

wav2vec 2.0, HuBERT, WavLM and their like, where they were trained with a norm over time (group
norm), give other frames for a clip as soon as silence is appended to it; an attention mask cannot
undo that. Here their feature encoder is run for each length in a batch without the padding, and the
frames are padded with zeros afterwards. What follows gets transformers' attention mask, as it does
in models that were trained with one. A clip's output and its gradient then do not depend on the
clips in its batch. Letters: B clips, T samples, C channels, F frames.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from audio_cls.data.loading.length_buckets import split_by_length
from audio_cls.models.kernels.exactness import FEATURE_ENCODERS, is_named


def find_feature_encoder(model: nn.Module) -> str | None:
    """Return the name of a model's convolutions over the wave; None where it has none we know."""
    return next(
        (name for name, one in model.named_modules() if is_named(one, FEATURE_ENCODERS)), None
    )


def read_unpadded_encoder(model: nn.Module) -> str | None:
    """Return the name of the feature encoder that leaves the padding out; None where none does."""
    return vars(model).get("_unpadded_encoder")


def run_by_length(model: nn.Module, name: str) -> Callable[[], None]:
    """Let a model's feature encoder leave the padding out. Changes the model in place.

    What is padding is read from the `attention_mask` that the model is called with: (B, T), 1 where
    there is sound. Without one, and where all clips are equally long, nothing changes.

    Args:
        model: A classifier.
        name: Of its feature encoder.

    Returns:
        What undoes it.
    """
    front: Any = model.get_submodule(name)
    own = vars(front).get("forward")
    vars(model)["_unpadded_encoder"] = name
    # A method of the very module: deepcopy() binds the copy's to the copy.
    vars(front)["_forward_one_length"], vars(front)["_lengths"] = front.forward, None
    vars(front)["forward"] = MethodType(_run_each_length, front)
    before = model.register_forward_pre_hook(_note_lengths, with_kwargs=True)
    after = model.register_forward_hook(_forget_lengths, always_call=True)

    def undo() -> None:
        before.remove()
        after.remove()
        for key in ("_forward_one_length", "_lengths", "forward"):
            del vars(front)[key]
        if own is not None:
            vars(front)["forward"] = own
        del vars(model)["_unpadded_encoder"]

    return undo


def _note_lengths(model: nn.Module, _args: object, kwargs: dict[str, Any]) -> None:
    """Keep how long the clips of a batch are: called before the model's forward."""
    mask = kwargs.get("attention_mask")
    lengths = None if mask is None else mask.sum(dim=1).tolist()
    _encoder_attributes(model)["_lengths"] = lengths


def _forget_lengths(model: nn.Module, *_: object) -> None:
    """Forget them: called after the model's forward, and where it raised."""
    _encoder_attributes(model)["_lengths"] = None


def _encoder_attributes(model: nn.Module) -> dict[str, Any]:
    """Return the attributes of a model's feature encoder."""
    return vars(model.get_submodule(vars(model)["_unpadded_encoder"]))


def _run_each_length(self: Any, waves: Tensor) -> Tensor:  # noqa: ANN401
    """Stand in for the forward of a feature encoder: (B, T) -> (B, C, F)."""
    lengths = self._lengths
    if lengths is None or len(lengths) != len(waves) or min(lengths) == waves.shape[1]:
        whole: Tensor = self._forward_one_length(waves)
        return whole
    groups = split_by_length(lengths)  # the longest first: F is of these
    parts: list[Tensor] = []
    for group in groups:
        own = waves[group, : lengths[group[0]]].detach()
        frames = self._forward_one_length(own).transpose(1, 2)
        missing = parts[0].shape[1] - frames.shape[1] if parts else 0
        parts.append(nn.functional.pad(frames, (0, 0, 0, missing)))
    order = torch.tensor([number for group in groups for number in group])
    return torch.cat(parts)[order.argsort().to(waves.device)].transpose(1, 2)
