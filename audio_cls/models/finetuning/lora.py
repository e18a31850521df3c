"""LoRA: trainable low-rank matrices added to frozen linear layers (arXiv:2106.09685), by peft.

The layers are found by running the first transformer layer: a network that reads the weights of a
projection without running it, as WavLM's attention does, would ignore an adapter there. The head is
trained in full. A model is saved with its adapters merged.
"""

from __future__ import annotations

import logging
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from audio_cls.config import ModelConfig
from audio_cls.errors import ModelError, count_of
from audio_cls.models.audio_model import HEAD_PREFIXES
from audio_cls.models.finetuning.layer_groups import find_transformer_layers, trace_modules
from audio_cls.models.processor import WaveProcessor

logger = logging.getLogger(__name__)


def import_peft(cfg: ModelConfig) -> Any:  # noqa: ANN401 (a module)
    """Return the library peft, which `--lora-rank` needs.

    Raises:
        ModelError: It is not installed.
    """
    try:
        import peft
    except ImportError as error:
        raise ModelError(
            f"--lora-rank {cfg.lora_rank} needs peft, which is not installed. Run: "
            "pip install 'audio-cls[lora]', or leave --lora-rank out."
        ) from error
    return peft


def add_adapters(model: PreTrainedModel, processor: WaveProcessor, cfg: ModelConfig) -> None:
    """Add adapters of `--lora-rank` to a classifier; 0 changes nothing. In place.

    Everything but adapters and head is frozen. Initialised from torch's global generator.

    Raises:
        ModelError: peft is not installed, or no layer can have an adapter.
    """
    if cfg.lora_rank == 0:
        return
    peft = import_peft(cfg)
    targets = find_targets(model, processor)
    if not targets:
        raise ModelError(
            f"--lora-rank {cfg.lora_rank} is not possible: {type(model).__name__} has no linear"
            " attention layer to adapt. Use --freeze features instead."
        )
    alpha = cfg.lora_alpha if cfg.lora_alpha is not None else 2.0 * cfg.lora_rank
    config = peft.LoraConfig(
        r=cfg.lora_rank,
        lora_alpha=alpha,
        lora_dropout=cfg.lora_dropout,
        target_modules=targets,
    )
    peft.inject_adapter_in_model(config, model)
    for name, weight in model.named_parameters():
        if name.startswith(HEAD_PREFIXES):
            weight.requires_grad_()
    kinds = sorted({name.rpartition(".")[2] for name in targets})
    logger.info("LoRA adapters: %s (%s)", count_of(len(targets), "layer"), ", ".join(kinds))


def find_targets(model: PreTrainedModel, processor: WaveProcessor) -> list[str]:
    """Return the names of the attention's linear layers; of all linear layers if it runs none.

    Only those whose input is the hidden size count, not small ones such as WavLM's gates.
    """
    stack, layers = find_transformer_layers(model)
    executed: set[nn.Module] = set()
    second = layers[1] if len(layers) > 1 else None
    trace_modules(model, processor, lambda module: executed.add(module), stop_at=second)
    width = getattr(model.config, "hidden_size", None)
    linear = {
        name: module
        for name, module in layers[0].named_modules()
        if isinstance(module, nn.Linear) and module in executed and module.in_features == width
    }
    attention = [
        name for name, module in layers[0].named_modules() if "Attention" in type(module).__name__
    ]
    prefixes = tuple(f"{name}." for name in attention)
    targets = [name for name in linear if name.startswith(prefixes)] or list(linear)
    return [f"{stack}.{number}.{name}" for number in range(len(layers)) for name in targets]
