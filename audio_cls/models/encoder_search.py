"""Audio encoder search: the first module of a model that returns hidden states over time.

Modules are found by running them on noise, not by the names of model families. Letters: B clips,
F frames, H hidden size.
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
    model: Any,  # noqa: ANN401
    extractor: SequenceFeatureExtractor,
) -> tuple[str, PreTrainedModel, dict[str, Any]]:
    """Run the modules of a model on noise; return the first that gives hidden states over time.

    Args:
        cfg: Names the checkpoint in the error.
        model: As `AutoModel` loaded it.
        extractor: Its feature extractor.

    Returns:
        The module's name in the model ("" for the model itself), the module, and a description of
        its input and output: `input`, `width` and `states`.

    Raises:
        ModelError: No module does.
    """
    for module in _list_candidates(model):
        found = _probe_module(module, extractor)
        if found:
            path = find_prefix(model, module).removesuffix(".")
            return path, module, found
    raise ModelError(
        f"'{cfg.model}' cannot be used as a classifier: no submodule of {type(model).__name__}"
        f" turns the output of {type(extractor).__name__} into hidden states over time. Choose"
        " another model."
    )


def _list_candidates(model: Any) -> Iterator[PreTrainedModel]:  # noqa: ANN401
    """Yield the modules that may be the audio encoder, the most probable first, each once."""
    modules = [model.get_encoder(modality="audio"), model, *model.modules()]
    if getattr(model.config, "is_encoder_decoder", False):
        modules = [modules[0], model.get_encoder(), *model.modules()]
    if modules[0] is model:
        modules = modules[1:]
    for module in dict.fromkeys(modules):
        if isinstance(module, PreTrainedModel):
            yield module


def _probe_module(module: PreTrainedModel, extractor: Any) -> dict[str, Any] | None:  # noqa: ANN401
    """Return a description of a module that encodes audio; None for any other module.

    Returns:
        `input`: the name of the argument. `width`: H. `states`: see `_count_states`.
    """
    arguments = inspect.signature(module.forward).parameters
    rate = int(extractor.sampling_rate)
    try:
        inputs = [
            extractor([make_probe_noise(seconds * rate)], sampling_rate=rate, return_tensors="pt")
            for seconds in (1, 2)
        ]
        name = next((key for key in inputs[0] if key.startswith("input")), "")
        if name not in arguments:
            return None
        options = {"output_hidden_states": True, "return_dict": True}
        with preserve_model_state(module):
            module.train(mode=False)
            outputs = [module(**{name: one[name]}, **options) for one in inputs]
    except (RuntimeError, ValueError, LookupError, TypeError, AttributeError):
        return None  # a module that needs more than audio, such as a decoder
    is_fixed = inputs[0][name].shape == inputs[1][name].shape
    short, long = (_read_frames(output) for output in outputs)
    if short is None or long is None or short.shape[2] != long.shape[2]:
        return None
    if not is_fixed and long.shape[1] <= short.shape[1]:
        return None
    return {"input": name, "width": short.shape[2], "states": _count_states(outputs[0])}


def _count_states(output: Any) -> int:  # noqa: ANN401
    """Return the number of layers whose hidden states can be summed; 0 if their shapes differ."""
    layers = getattr(output, "hidden_states", None) or ()
    shape = output.last_hidden_state.shape
    is_equal = all(isinstance(one, Tensor) and one.shape == shape for one in layers)
    return len(layers) if is_equal else 0


def _read_frames(output: Any) -> Tensor | None:  # noqa: ANN401
    """Return the hidden states of an output, (1, F, H); None where there are none over time."""
    states = getattr(output, "last_hidden_state", None)
    if (
        not isinstance(states, Tensor)
        or not states.is_floating_point()
        or states.dim() not in (3, 4)
    ):
        return None
    frames = to_frames(states)
    return frames if frames.shape[1] > 1 and bool(frames.isfinite().all()) else None


def to_frames(states: Tensor) -> Tensor:
    """Flatten the patches of a spectrogram, (B, H, bands, steps), to (B, F, H)."""
    return states.flatten(2).transpose(1, 2) if states.dim() == 4 else states


def find_prefix(model: nn.Module, module: nn.Module) -> str:
    """Return the prefix of a module's parameters within a model, "" for the model itself."""
    name = next(name for name, child in model.named_modules() if child is module)
    return f"{name}." if name else ""
