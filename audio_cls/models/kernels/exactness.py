"""Exactness checks: which modules may be replaced, and whether results are equal.

A forward is replaced only in a module whose class is exactly one of those listed here: a subclass
may pad, mask or scale in another way. Before it is replaced, output and gradients of both forwards
are compared on a small random input. Tests in tests/models/kernels/test_exactness.py.
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
# Convolutions over the waveform of all model families.
FEATURE_ENCODERS = frozenset(
    f"transformers.models.{file}.{prefix}FeatureEncoder" for file, prefix in FAMILIES.items()
)

TOLERANCE = 1e-3  # of the largest value of a tensor; rounding is far below
SMALL_SHARE = 1e-3  # of the largest of all gradients: the least reference for a tensor's gradient


def is_exactly(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Return True if a module's class is `kind` and no subclass, with or without weight norm."""
    return parametrize.type_before_parametrizations(module) is kind


def is_named(module: nn.Module, names: frozenset[str]) -> bool:
    """Return True if a module's class is one of these by its full name, and no subclass."""
    kind = type(module)
    return f"{kind.__module__}.{kind.__qualname__}" in names


def draw_input(shape: Sequence[int], *, requires_grad: bool = True) -> Tensor:
    """Return a random input of a shape; torch's global generator is not used."""
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    return values.requires_grad_(requires_grad)


def gives_stock_numbers(
    module: nn.Module,
    forward: Callable[..., Tensor],
    inputs: Tensor,
    *,
    with_gradients: bool = True,
) -> bool:
    """Compare a forward with that of a module's class: output, gradients of input and parameters.

    Args:
        module: The module, on the CPU. It is run in evaluation mode, without dropout; modes and
            gradients are as before afterwards.
        forward: Takes the module and the input.
        inputs: The input.
        with_gradients: False compares outputs only, for a model that is not trained.

    Returns:
        True if all are equal to `TOLERANCE`; False where one of the two raises an error.
    """
    modes = [(one, one.training) for one in module.modules()]
    module.train(mode=False)
    try:
        with torch.set_grad_enabled(with_gradients):
            stock = _compute_numbers(module, type(module).forward, inputs)
            fast = _compute_numbers(module, forward, inputs)
    except (RuntimeError, TypeError, ValueError) as error:
        logger.info("%s keeps the stock forward: %s", type(module).__name__, error)
        return False
    finally:
        for one, mode in modes:
            one.training = mode
    return agree(fast, stock)


def _compute_numbers(
    module: nn.Module, forward: Callable[..., Any], inputs: Tensor
) -> list[Tensor | None]:
    """Return the output and, where gradients are enabled, these, see `find_gradients`."""
    leaves = [one for one in (inputs, *module.parameters()) if one.requires_grad]
    out = forward(module, inputs)
    return [out.detach(), *(find_gradients(out, leaves) if torch.is_grad_enabled() else ())]


def find_gradients(out: Tensor, leaves: Sequence[Tensor]) -> list[Tensor | None]:
    """Return the gradients of a fixed weighted sum of an output; None for a tensor without one."""
    if not leaves:
        return []
    weights = draw_input(out.shape, requires_grad=False)
    return list(torch.autograd.grad(out, leaves, weights, allow_unused=True))


def agree(fast: Sequence[Tensor | None], stock: Sequence[Tensor | None]) -> bool:
    """Return True if an output (the first) and its gradients are equal to the stock module's."""
    sizes = [0.0 if one is None else float(one.abs().max()) for one in stock]
    least = SMALL_SHARE * max(sizes[1:], default=0.0)
    for number, (found, expected) in enumerate(zip(fast, stock, strict=True)):
        if found is None or expected is None:
            if found is not expected:
                return False
            continue
        bound = TOLERANCE * max(sizes[number], least if number else 0.0)
        is_close = found.shape == expected.shape and bool(((found - expected).abs() <= bound).all())
        if not is_close:
            return False
    return True
