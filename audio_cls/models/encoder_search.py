"""Which part of a model hears: found by letting its parts hear noise; none is known by name.

Comes in: a model that `AutoModel` made and a feature extractor. Goes out: the first part that turns
what the extractor prepares into hidden states over time, (B, F, H), and what these look like.
Letters: B clips, F frames, H width.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel, SequenceFeatureExtractor

from audio_cls.config import ModelConfig
from audio_cls.errors import ModelError
from audio_cls.models.probe import make_probe_noise, preserve_model_state


def find_audio_encoder(
    cfg: ModelConfig,
    whole: Any,  # noqa: ANN401
    extractor: SequenceFeatureExtractor,
) -> tuple[str, PreTrainedModel, dict[str, Any]]:
    """Let the parts of a model hear noise; return the first that answers over time.

    Returns:
        Its name in the model ("" for the model itself), itself, and what it gives (the rest of our
        note).
    """
    for part in _list_parts(whole):
        found = _listen(part, extractor)
        if found:
            path = find_prefix(whole, part).removesuffix(".")
            return path, part, found
    raise ModelError(
        f"'{cfg.model}' cannot be classified with: no part of {type(whole).__name__} turns what "
        f"{type(extractor).__name__} prepares into hidden states over time. Name another model "
        "with --model."
    )


def _list_parts(whole: Any) -> Iterator[PreTrainedModel]:  # noqa: ANN401
    """Yield the parts that may hear, the likeliest first, each once."""
    parts = [whole.get_encoder(modality="audio"), whole, *whole.modules()]
    if getattr(whole.config, "is_encoder_decoder", False):
        parts = [parts[0], whole.get_encoder(), *whole.modules()]
    if parts[0] is whole:
        parts = parts[1:]
    for part in dict.fromkeys(parts):
        if isinstance(part, PreTrainedModel):
            yield part


def _listen(part: PreTrainedModel, extractor: Any) -> dict[str, Any] | None:  # noqa: ANN401
    """Return what a part gives for sound; None where it is no hidden states over time."""
    known = inspect.signature(part.forward).parameters
    rate = int(extractor.sampling_rate)
    try:
        inputs = [
            extractor([make_probe_noise(seconds * rate)], sampling_rate=rate, return_tensors="pt")
            for seconds in (1, 2)
        ]
        name = next((key for key in inputs[0] if key.startswith("input")), "")
        if name not in known:
            return None
        options = {"output_hidden_states": True, "return_dict": True}
        with preserve_model_state(part):
            part.train(mode=False)
            heard = [part(**{name: one[name]}, **options) for one in inputs]
    except (RuntimeError, ValueError, LookupError, TypeError, AttributeError):
        return None  # whatever it is, it does not hear sound alone
    is_fixed = inputs[0][name].shape == inputs[1][name].shape
    frames: list[Any] = [_read_frames(one) for one in heard]
    if not _are_over_time(*frames, is_fixed=is_fixed):
        return None
    return {"input": name, "width": frames[0].shape[2], "states": _count_states(heard[0])}


def _are_over_time(short: Tensor | None, long: Tensor | None, *, is_fixed: bool) -> bool:
    """Tell whether longer sound gave more frames of the same width; as many for a fixed input."""
    if short is None or long is None or short.shape[2] != long.shape[2]:
        return False
    return is_fixed or long.shape[1] > short.shape[1]


def _count_states(heard: Any) -> int:  # noqa: ANN401
    """Return how many layers' states can be mixed: all, or none where they differ in shape."""
    layers = getattr(heard, "hidden_states", None) or ()
    shape = heard.last_hidden_state.shape
    alike = all(isinstance(one, Tensor) and one.shape == shape for one in layers)
    return len(layers) if alike else 0


def _read_frames(heard: Any) -> Tensor | None:  # noqa: ANN401
    """Return the hidden states of an answer, (1, F, H); None where there are none over time."""
    states = getattr(heard, "last_hidden_state", None)
    if (
        not isinstance(states, Tensor)
        or not states.is_floating_point()
        or states.dim() not in (3, 4)
    ):
        return None
    frames = to_frames(states)
    return frames if frames.shape[1] > 1 and bool(frames.isfinite().all()) else None


def to_frames(states: Tensor) -> Tensor:
    """Lay the cells of a picture (B, H, bands, steps) in a row: (B, F, H); frames stay frames."""
    return states.flatten(2).transpose(1, 2) if states.dim() == 4 else states


def find_prefix(whole: nn.Module, part: nn.Module) -> str:
    """Return the prefix of a part's parameters within a model, "" for the model itself."""
    name = next(name for name, module in whole.named_modules() if module is part)
    return f"{name}." if name else ""
