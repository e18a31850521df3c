"""Feature encoders run on batches of one length, so that padding does not change a result.

Replaces: the forward of the convolutions over the waveform of wav2vec 2.0, HuBERT, WavLM and their
relatives (`exactness.FEATURE_ENCODERS`).
Active: on any device, where the probe finds that padding is harmless with it and not without it,
for batches with an attention mask whose clips have different lengths.
Why: with a norm over time (group norm), the frames of a clip change when silence is appended to it,
which an attention mask cannot undo. Here the feature encoder is run once per length in the batch,
without padding, and the frames are padded with zeros. The layers that follow get the attention mask
of transformers. Output and gradient of a clip do not depend on the other clips in its batch.
Results: equal to the stock forward of each clip alone; tests in tests/models/test_padding.py.
Letters: B clips, T samples, C channels, F frames.
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
    """Return the name of a model's feature encoder; None where it has none of a known class."""
    return next(
        (name for name, one in model.named_modules() if is_named(one, FEATURE_ENCODERS)), None
    )


def read_unpadded_encoder(model: nn.Module) -> str | None:
    """Return the name of the feature encoder that runs without padding; None without one."""
    return vars(model).get("_unpadded_encoder")


def run_by_length(model: nn.Module, name: str) -> Callable[[], None]:
    """Run a model's feature encoder without padding. Changes the model in place.

    Padding is read from the `attention_mask` that the model is called with: (B, T), 1 = audio.
    Without one, and where all clips have the same length, nothing changes.

    Args:
        model: A classifier.
        name: Of its feature encoder.

    Returns:
        A function that undoes it.
    """
    encoder: Any = model.get_submodule(name)
    before = vars(encoder).get("forward")
    vars(model)["_unpadded_encoder"] = name
    # Bound to the module, so that deepcopy() binds it to the copy.
    vars(encoder)["_forward_one_length"], vars(encoder)["_lengths"] = encoder.forward, None
    vars(encoder)["forward"] = MethodType(_run_each_length, encoder)
    hooks = [
        model.register_forward_pre_hook(_set_lengths, with_kwargs=True),
        model.register_forward_hook(_clear_lengths, always_call=True),
    ]

    def undo() -> None:
        for hook in hooks:
            hook.remove()
        for key in ("_forward_one_length", "_lengths", "forward"):
            del vars(encoder)[key]
        if before is not None:
            vars(encoder)["forward"] = before
        del vars(model)["_unpadded_encoder"]

    return undo


def _set_lengths(model: nn.Module, _args: object, kwargs: dict[str, Any]) -> None:
    """Set the lengths of a batch's clips, before the model's forward."""
    mask = kwargs.get("attention_mask")
    lengths = None if mask is None else mask.sum(dim=1).tolist()
    _encoder_attributes(model)["_lengths"] = lengths


def _clear_lengths(model: nn.Module, *_: object) -> None:
    """Clear the lengths, after the model's forward, also if that raised an error."""
    _encoder_attributes(model)["_lengths"] = None


def _encoder_attributes(model: nn.Module) -> dict[str, Any]:
    """Return the attributes of a model's feature encoder."""
    return vars(model.get_submodule(vars(model)["_unpadded_encoder"]))


def _run_each_length(self: Any, waves: Tensor) -> Tensor:  # noqa: ANN401
    """Replace the forward of a feature encoder: (B, T) -> (B, C, F)."""
    lengths = self._lengths
    if lengths is None or len(lengths) != len(waves) or min(lengths) == waves.shape[1]:
        whole: Tensor = self._forward_one_length(waves)
        return whole
    groups = split_by_length(lengths)  # the longest first: it has F frames
    padded: list[Tensor] = []
    for group in groups:
        unpadded = waves[group, : lengths[group[0]]].detach()
        frames = self._forward_one_length(unpadded).transpose(1, 2)
        missing = padded[0].shape[1] - frames.shape[1] if padded else 0
        padded.append(nn.functional.pad(frames, (0, 0, 0, missing)))
    order = torch.tensor([number for group in groups for number in group])
    return torch.cat(padded)[order.argsort().to(waves.device)].transpose(1, 2)
