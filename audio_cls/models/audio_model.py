"""AudioModel: network, labels, processor and commit; saving with merged adapters."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PreTrainedModel

from audio_cls.models.checkpoint_files import quiet_transformers
from audio_cls.models.inference_settings import PROBLEM_TYPES
from audio_cls.models.pooled_head import choose_loader
from audio_cls.models.processor import WaveProcessor

# Of the head's weights, the same in all model families; pooling: of a pooled head.
HEAD_PREFIXES = ("classifier.", "projector.", "pooling.", "layer_weights")
PEFT_ATTRIBUTE = "peft_config"  # set by peft on a model with adapters


def merge_adapters(model: PreTrainedModel) -> PreTrainedModel:
    """Return a copy with the adapters merged into its weights; a model without any as it is."""
    if not hasattr(model, PEFT_ATTRIBUTE):
        return model
    merged: Any = copy.deepcopy(model)
    for module in list(merged.modules()):
        if hasattr(module, "get_base_layer"):
            module.merge()
    remove_adapters(merged)
    result: PreTrainedModel = merged
    return result


def remove_adapters(model: PreTrainedModel) -> None:
    """Remove adapters without merging them. Changes the model in place."""
    network: Any = model
    for name, module in list(network.named_modules()):
        if hasattr(module, "get_base_layer"):
            network.set_submodule(name, module.get_base_layer())
    if hasattr(network, PEFT_ATTRIBUTE):
        delattr(network, PEFT_ATTRIBUTE)


@dataclass
class AudioModel:
    """A classifier, its labels and the processor of its inputs."""

    model: PreTrainedModel
    processor: WaveProcessor
    labels: tuple[str, ...]  # the name of each of the L logits
    revision: str | None  # commit of the checkpoint on the Hub; None for a folder
    code: dict[str, bytes] = field(default_factory=dict)  # trusted code files, by name
    head: str = ""  # "new classification head", or where it is from

    def save(self, folder: str | Path, weights: dict[str, torch.Tensor] | None = None) -> None:
        """Save the model so that transformers loads it without this project.

        Args:
            folder: Output folder.
            weights: All weights, where this process holds a shard of the model.

        Main process only::

            FOLDER/
              config.json                labels, shapes
              model.safetensors          float32 weights
              preprocessor_config.json   settings of the feature extractor
              *.py                       the model's code, if it was trusted
        """
        with quiet_transformers():
            merge_adapters(self.model).save_pretrained(folder, state_dict=weights)
            self.processor.extractor.save_pretrained(folder)
        for file, content in self.code.items():
            (Path(folder) / file).write_bytes(content)

    def load_state(self, folder: str | Path) -> None:
        """Load the weights that `save` wrote into the model, and remove its adapters. In place."""
        state = self.read_state(folder)
        remove_adapters(self.model)
        self.model.load_state_dict(state)

    def read_state(self, folder: str | Path) -> dict[str, Any]:
        """Read the weights that `save` wrote, on the CPU, named as in `model.state_dict()`.

        Some have other names in the file, which `from_pretrained` alone changes back: it builds a
        second network for that.
        """
        config = copy.deepcopy(self.model.config)
        config._attn_implementation = "eager"  # which every model has; this one is never run
        loader, options = choose_loader(config, may_run_code=bool(self.code))
        with quiet_transformers():
            saved = loader.from_pretrained(folder, config=config, dtype=torch.float32, **options)
        state: dict[str, Any] = saved.state_dict()
        return state

    @property
    def problem_type(self) -> Literal["single-label", "multi-label"]:
        """Return "multi-label" where each label has a probability of its own."""
        is_multilabel = self.model.config.problem_type == PROBLEM_TYPES["multi-label"]
        return "multi-label" if is_multilabel else "single-label"

    @property
    def is_multilabel(self) -> bool:
        """Return True if each label has a probability of its own."""
        return self.problem_type == "multi-label"
