"""Which modules may compute with a forward method of ours, and whether it gives the stock numbers.

A forward method is replaced only in a module whose class is exactly one that is listed here: a
subclass may pad, mask or scale in its own way. Before it is replaced, output and gradients of both
methods are compared on a small random input.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

logger = logging.getLogger(__name__)

FAMILIES = {  # file of transformers.models -> prefix of its classes
    "data2vec.modeling_data2vec_audio": "Data2VecAudio",
    "hubert.modeling_hubert": "Hubert",
    "sew.modeling_sew": "SEW",
    "sew_d.modeling_sew_d": "SEWD",
    "speecht5.modeling_speecht5": "SpeechT5",
    "unispeech.modeling_unispeech": "UniSpeech",
    "unispeech_sat.modeling_unispeech_sat": "UniSpeechSat",
    "wav2vec2.modeling_wav2vec2": "Wav2Vec2",
    "wav2vec2_bert.modeling_wav2vec2_bert": "Wav2Vec2Bert",
    "wav2vec2_conformer.modeling_wav2vec2_conformer": "Wav2Vec2Conformer",
    "wavlm.modeling_wavlm": "WavLM",
}
OTHER_ATTENTIONS = {
    "audio_spectrogram_transformer.modeling_audio_spectrogram_transformer.ASTAttention",
    "speech_to_text.modeling_speech_to_text.Speech2TextAttention",
    "whisper.modeling_whisper.WhisperAttention",
}


def _name_classes(part: str) -> frozenset[str]:
    """Return the full names of the families' classes for one part of the network."""
    return frozenset(
        f"transformers.models.{file}.{prefix}{part}" for file, prefix in FAMILIES.items()
    )


FEATURE_ENCODERS = _name_classes("FeatureEncoder")  # the convolutions over the wave
FEED_FORWARDS = _name_classes("FeedForward")
ATTENTIONS = _name_classes("Attention") | {
    f"transformers.models.{name}" for name in OTHER_ATTENTIONS
}  # scaled dot products, without anything added to the scores that is learnt

TOLERANCE = 1e-3  # of the largest value of a tensor: sums in another order stay far below
SMALL_SHARE = 1e-3  # of the largest gradient of all: smaller ones are compared with this


def is_exactly(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Tell whether a module's class is `kind` and no subclass, with or without weight norm."""
    return parametrize.type_before_parametrizations(module) is kind


def is_named(module: nn.Module, names: frozenset[str]) -> bool:
    """Tell whether a module's class is one of these, by its full name, and no subclass."""
    kind = type(module)
    return f"{kind.__module__}.{kind.__qualname__}" in names


def draw_input(shape: Sequence[int], *, requires_grad: bool = True) -> Tensor:
    """Draw a random input of a shape; torch's own generator is left as it was."""
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    return drawn.requires_grad_(requires_grad)


def gives_stock_numbers(module: nn.Module, forward: Callable[..., Tensor], given: Tensor) -> bool:
    """Compare a forward method with a module's own: output, gradients of input and parameters.

    Args:
        module: The module, on the CPU. It is compared in evaluation mode, without dropout; modes
            and gradients are as before afterwards.
        forward: Takes the module and the input.
        given: The input.

    Returns:
        Whether all agree to `TOLERANCE`; False where one of the two raises.
    """
    modes = [(one, one.training) for one in module.modules()]
    module.train(mode=False)
    try:
        stock = _list_numbers(module, type(module).forward, given)
        own = _list_numbers(module, forward, given)
    except (RuntimeError, TypeError, ValueError) as error:
        logger.info("%s keeps its own forward: %s", type(module).__name__, error)
        return False
    finally:
        for one, mode in modes:
            one.training = mode
    return agree(own, stock)


def _list_numbers(
    module: nn.Module, forward: Callable[..., Any], given: Tensor
) -> list[Tensor | None]:
    """Return the output and the gradients of a fixed sum of it."""
    learnt = [one for one in (given, *module.parameters()) if one.requires_grad]
    with torch.enable_grad():
        out = forward(module, given)
        return [out.detach(), *find_gradients(out, learnt)]


def find_gradients(out: Tensor, learnt: Sequence[Tensor]) -> list[Tensor | None]:
    """Return the gradients of a fixed sum of an output; None where it does not depend on one."""
    if not learnt:
        return []
    weights = draw_input(out.shape, requires_grad=False)
    return list(torch.autograd.grad(out, learnt, weights, allow_unused=True))


def agree(own: Sequence[Tensor | None], stock: Sequence[Tensor | None]) -> bool:
    """Tell whether an output (the first) and its gradients are those of the stock module."""
    sizes = [0.0 if one is None else float(one.abs().max()) for one in stock]
    least = SMALL_SHARE * max(sizes[1:], default=0.0)
    for number, (found, expected) in enumerate(zip(own, stock, strict=True)):
        if found is None or expected is None:
            if found is not expected:
                return False
            continue
        bound = TOLERANCE * max(sizes[number], least if number else 0.0)
        is_close = found.shape == expected.shape and bool(((found - expected).abs() <= bound).all())
        if not is_close:
            return False
    return True
