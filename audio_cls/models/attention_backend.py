"""Attention implementation, gradient checkpointing and torch.compile.

They change memory and speed, not results. What a model family or a machine does not support is
refused before training.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from transformers import PreTrainedModel
from transformers.utils.import_utils import is_flash_attn_2_available

from audio_cls.errors import ModelError, SettingError, describe_error
from audio_cls.models.kernels.unpadded_conv import read_unpadded_encoder

SUPPORT = {"sdpa": "_supports_sdpa", "flash_attention_2": "_supports_flash_attn"}


def choose_attention(model: PreTrainedModel, wanted: str) -> None:
    """Set the attention implementation of `--attention`. Changes the model in place.

    Args:
        model: A classifier, after the probe: flash attention does not run on a CPU.
        wanted: "auto" (the default of transformers), "sdpa", "eager" or "flash_attention_2".

    Raises:
        ModelError: The model family or the machine does not support it.
    """
    if wanted == "auto":
        return
    family = model.config.model_type
    advice = "Use --attention eager, or leave it out."
    if not getattr(model, SUPPORT.get(wanted, ""), True):
        raise ModelError(f"--attention {wanted} is not possible: {family} has none. {advice}")
    if wanted == "flash_attention_2" and not torch.cuda.is_available():
        raise ModelError(f"--attention {wanted} needs a CUDA GPU, and there is none. {advice}")
    if wanted == "flash_attention_2" and not is_flash_attn_2_available():
        raise ModelError(
            f"--attention {wanted} needs the package flash-attn, which is not installed. Run: "
            "pip install flash-attn, or use --attention sdpa."
        )
    try:
        model.set_attn_implementation(wanted)
    except (ImportError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"--attention {wanted} is not possible: {reason} {advice}") from error
    if model.config._attn_implementation != wanted:
        raise ModelError(f"--attention {wanted} is not possible: {family} cannot change. {advice}")


def check_precision(wanted: str, precision: str) -> None:
    """Check that flash attention is used with 16-bit numbers.

    Args:
        wanted: The attention implementation.
        precision: Accelerate's mixed precision: "no", "fp16" or "bf16".

    Raises:
        SettingError: It is not.
    """
    if wanted == "flash_attention_2" and precision not in ("fp16", "bf16"):
        raise SettingError(
            f"--attention {wanted} supports 16-bit precision only, and the precision is"
            f" '{precision}'. Add --mixed-precision bf16, or use --attention sdpa."
        )


def enable_gradient_checkpointing(model: PreTrainedModel) -> None:
    """Recompute each layer's activations in the backward pass. Changes the model in place.

    Raises:
        ModelError: The model family does not support it.
    """
    network: Any = model
    older = "gradient_checkpointing_enable"  # the only name before transformers 5.23
    enable = getattr(network, "activation_checkpointing_enable", None) or getattr(network, older)
    try:
        enable({"use_reentrant": False})
    except ValueError as error:
        raise ModelError(
            f"--gradient-checkpointing is not possible: {model.config.model_type} does not"
            " support it. Remove it and use a smaller --batch-size with"
            " --gradient-accumulation-steps."
        ) from error


def compile_model(model: PreTrainedModel) -> None:
    """Compile the forward pass at its first call. In place: parameter names do not change.

    Raises:
        SettingError: This machine has no compiler that torch can use.
    """
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    trial: Any = torch.compile(torch.sin)
    try:
        trial(torch.ones(8, device=device))
    except (RuntimeError, ImportError, OSError) as error:
        raise SettingError(
            f"--compile does not work here ({describe_error(error)[:200]}). Install a C++ compiler"
            " (and Triton, for a GPU), or remove --compile."
        ) from error
    name = read_unpadded_encoder(model)
    if name is not None:  # its forward loops over clip lengths: only its submodules are compiled
        module, compiler = cast("Any", model.get_submodule(name)), cast("Any", torch.compiler)
        module.forward = compiler.disable(module.forward, recursive=False)
    model.compile()
