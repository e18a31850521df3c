"""A model that brings its own code, as strangers publish them: it leaves a mark when it is run."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers

CONFIGURATION = """
from transformers import PreTrainedConfig


class MineConfig(PreTrainedConfig):
    model_type = "mine-of-{number}"

    def __init__(self, width=8, num_hidden_layers=1, **others):
        self.width = width
        self.num_hidden_layers = num_hidden_layers
        super().__init__(**others)
"""
MODELING = """
import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from .configuration_mine import MineConfig
from .helper_mine import leave_mark

leave_mark()


class MineModel(PreTrainedModel):
    config_class = MineConfig
    main_input_name = "input_values"

    def __init__(self, config):
        super().__init__(config)
        self.front = nn.Conv1d(1, config.width, 320, 160)
        self.layers = nn.ModuleList([nn.Linear(config.width, config.width)])
        self.post_init()

    def _init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Conv1d)):
            nn.init.normal_(module.weight, std=0.1)
            nn.init.zeros_(module.bias)

    def forward(self, input_values, output_hidden_states=False, return_dict=True):
        states = self.front(input_values[:, None]).transpose(1, 2)
        for layer in self.layers:
            states = torch.tanh(layer(states))
        return BaseModelOutput(last_hidden_state=states)
"""
HELPER = """
from pathlib import Path


def leave_mark():
    with Path({mark!r}).open("a") as file:
        file.write("run\\n")
"""


def write_remote_model(folder: Path, mark: Path) -> Path:
    """Write a checkpoint whose classes are in three files beside it; return the folder.

    Args:
        folder: Where to write; made if need be.
        mark: The file to which a line is added whenever the code is run.
    """
    folder.mkdir(parents=True)
    number = abs(hash(str(folder)))  # no two tests share a kind of model
    (folder / "configuration_mine.py").write_text(CONFIGURATION.format(number=number))
    (folder / "modeling_mine.py").write_text(MODELING)
    (folder / "helper_mine.py").write_text(HELPER.format(mark=str(mark)))
    (folder / "unrelated.py").write_text("raise SystemExit('never to be run')\n")
    auto_map = {
        "AutoConfig": "configuration_mine.MineConfig",
        "AutoModel": "modeling_mine.MineModel",
    }
    config = {"model_type": f"mine-of-{number}", "auto_map": auto_map, "width": 8}
    (folder / "config.json").write_text(json.dumps(config))
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    weights = {"front.weight": (8, 1, 320), "front.bias": (8,)}
    weights |= {"layers.0.weight": (8, 8), "layers.0.bias": (8,)}
    generator = torch.Generator().manual_seed(0)
    tensors = {n: torch.randn(s, generator=generator) / 10 for n, s in weights.items()}
    from safetensors.torch import save_file

    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
