"""LoRA: small matrices learn beside the attention's large ones, which stay (arXiv:2106.09685).

`peft` puts them in. Which layers they belong to is found by watching the first one run: a network
that reads the weights of a projection without running it, as WavLM's attention does, would not
feel an adapter there. The head learns whole. What is saved has the adapters merged: a stock model.
"""

from __future__ import annotations

import logging

from torch import nn
from transformers import PreTrainedModel

from audio_cls.config import ModelConfig
from audio_cls.errors import ModelError
from audio_cls.models.audio_model import HEAD_PREFIXES
from audio_cls.models.finetuning.layer_groups import find_transformer_layers, trace_modules
from audio_cls.models.processor import WaveProcessor

logger = logging.getLogger(__name__)


def add_adapters(model: PreTrainedModel, processor: WaveProcessor, cfg: ModelConfig) -> None:
    """Put adapters of `--lora-rank` into a classifier; 0 changes nothing. In place.

    Everything but adapters and head stops learning. Draws from torch's global generator.

    Raises:
        ModelError: peft is not installed, or no layer can have an adapter.
    """
    if cfg.lora_rank == 0:
        return
    try:
        import peft
    except ImportError as error:
        raise ModelError(
            f"--lora-rank {cfg.lora_rank} needs peft, which is not installed. Run: "
            "pip install 'audio-cls[lora]', or leave --lora-rank out."
        ) from error
    targets = find_targets(model, processor)
    if not targets:
        raise ModelError(
            f"--lora-rank {cfg.lora_rank} is not possible: {type(model).__name__} has no linear "
            "layer that an adapter could stand beside. Use --freeze features instead."
        )
    alpha = cfg.lora_alpha if cfg.lora_alpha is not None else 2.0 * cfg.lora_rank
    choice = peft.LoraConfig(
        r=cfg.lora_rank,
        lora_alpha=alpha,
        lora_dropout=cfg.lora_dropout,
        target_modules=targets,
    )
    peft.inject_adapter_in_model(choice, model)
    for name, weight in model.named_parameters():
        if name.startswith(HEAD_PREFIXES):
            weight.requires_grad_()
    learning = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    kinds = sorted({name.rpartition(".")[2] for name in targets})
    logger.info(
        "lora: rank %d beside %s in %d places; %s parameters learn",
        *(cfg.lora_rank, ", ".join(kinds), len(targets), f"{learning:,}"),
    )


def find_targets(model: PreTrainedModel, processor: WaveProcessor) -> list[str]:
    """Return the attention's linear layers by name; the feed-forward ones where it runs none.

    Only those as wide as the network are meant, not small ones such as WavLM's gates.
    """
    stack, layers = find_transformer_layers(model)
    ran: set[nn.Module] = set()
    rest = list(layers)[1:]
    trace_modules(
        model, processor, lambda module: ran.add(module), stop_at=rest[0] if rest else None
    )
    width = getattr(model.config, "hidden_size", None)
    linear = {
        name: module
        for name, module in layers[0].named_modules()
        if isinstance(module, nn.Linear) and module in ran and module.in_features == width
    }
    attention = [
        name for name, module in layers[0].named_modules() if "Attention" in type(module).__name__
    ]
    own = [name for name in linear if name.startswith(tuple(f"{part}." for part in attention))]
    return [f"{stack}.{number}.{name}" for number in range(len(layers)) for name in own or linear]
