"""AudioModel: network, labels, processor and commit; saving with merged adapters."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PreTrainedModel

from audio_cls.models.checkpoint_files import quiet_transformers
from audio_cls.models.processor import WaveProcessor

HEAD_PREFIXES = ("classifier.", "projector.", "layer_weights")  # the same in all families


ADAPTED = "peft_config"  # the attribute that peft leaves on a model with adapters


def merge_adapters(model: PreTrainedModel) -> PreTrainedModel:
    """Return a stock model that computes the same; one without adapters is returned as it is."""
    if not hasattr(model, ADAPTED):
        return model
    merged: Any = copy.deepcopy(model)
    for name, module in list(merged.named_modules()):
        if hasattr(module, "get_base_layer"):
            module.merge()
            merged.set_submodule(name, module.get_base_layer())
    delattr(merged, ADAPTED)
    result: PreTrainedModel = merged
    return result


NOTE = "audio_cls"  # the key of config.json that keeps what evaluation must do as training did


NOTED = ("max_seconds", "window_seconds", "hop_seconds", "aggregate", "repeat_short")


PROBLEM_TYPES = {  # ours -> config.json's
    "single-label": "single_label_classification",
    "multi-label": "multi_label_classification",
}


@dataclass
class AudioModel:
    """A classifier and what it must be given."""

    model: PreTrainedModel
    encoder: WaveProcessor
    labels: tuple[str, ...]  # the name of each of the L logits
    revision: str | None  # commit of the checkpoint on the Hub; None for a folder
    code: dict[str, bytes] = field(default_factory=dict)  # trusted code files, by name

    def save(self, folder: str | Path, weights: dict[str, torch.Tensor] | None = None) -> None:
        """Write what stock `AutoModelForAudioClassification` and `pipeline` need.

        Args:
            folder: Where to.
            weights: The whole model's, where this process holds a part of them only.

        Main process only::

            FOLDER/
              config.json                labels, shapes
              model.safetensors          float32 weights
              preprocessor_config.json   how waves become inputs
              *.py                       the model's own code, where it was trusted
        """
        with quiet_transformers():
            merge_adapters(self.model).save_pretrained(folder, state_dict=weights)
            self.encoder.extractor.save_pretrained(folder)
        for file, content in self.code.items():
            (Path(folder) / file).write_bytes(content)

    @property
    def problem_type(self) -> Literal["single-label", "multi-label"]:
        """Return whether one label is chosen, or each label has a probability of its own."""
        is_multilabel = self.model.config.problem_type == PROBLEM_TYPES["multi-label"]
        return "multi-label" if is_multilabel else "single-label"

    @property
    def is_multilabel(self) -> bool:
        """Tell whether each label has a probability of its own."""
        return self.problem_type == "multi-label"
