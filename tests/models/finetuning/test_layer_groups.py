"""Front end, layers and head are found in every family."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import FAMILIES, write_tiny_checkpoint

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.finetuning.layer_groups import (
    backbone_parameters,
    find_transformer_layers,
    frontend_parameters,
    layer_depths,
)
from audio_cls.models.load import load_for_training
from audio_cls.models.probe import stop_forward


@pytest.mark.parametrize("family", FAMILIES)
def test_depth_counts_the_layers_between_the_input_and_the_head(
    family: str, tmp_path: Path
) -> None:
    folder = write_tiny_checkpoint(family, tmp_path, num_hidden_layers=3, encoder_layers=3)
    audio_model = load_for_training(
        open_checkpoint(ModelConfig(model=str(folder))), AudioConfig(max_seconds=1.0), ("a", "b")
    )
    model = audio_model.model
    depths = layer_depths(model, audio_model.processor)
    assert depths.keys() == dict(model.named_parameters()).keys()
    stack, layers = find_transformer_layers(model)
    assert len(layers) == 3
    for name, depth in depths.items():
        if name.startswith(f"{stack}."):
            assert depth == 1 + int(name[len(stack) + 1])
        elif name.startswith(("classifier.", "projector.")):
            assert depth == 4
        elif "feature_" in name or "embeddings." in name or ".conv1." in name:
            assert depth == 0, name
    assert set(depths.values()) == {0, 1, 2, 3, 4}
    body = backbone_parameters(model)
    assert depths.keys() - body == {n for n in depths if n.startswith(("classifier", "projector"))}


def test_the_layers_of_an_encoder_that_was_cut_to_one_are_found(tmp_path: Path) -> None:
    """Weight norm of its positions is a module list of length 1, too, with more parameters."""
    folder = write_tiny_checkpoint("hubert", tmp_path, num_hidden_layers=1)
    audio_model = load_for_training(
        open_checkpoint(ModelConfig(model=str(folder))), AudioConfig(max_seconds=1.0), ("a", "b")
    )
    assert find_transformer_layers(audio_model.model)[0] == "hubert.encoder.layers"
    assert set(layer_depths(audio_model.model, audio_model.processor).values()) == {0, 1, 2}


def test_looking_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint("wav2vec2-conformer", tmp_path)
    audio_model = load_for_training(
        open_checkpoint(ModelConfig(model=str(folder))), AudioConfig(), ("a", "b")
    )
    model = audio_model.model.train()
    frontend_parameters(
        model, audio_model.processor
    )  # transformers hangs hooks of its own on first use
    hooks = [len(module._forward_hooks) for module in model.modules()]
    state, random = torch.get_rng_state(), np.random.get_state()[1]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert len(frontend_parameters(model, audio_model.processor)) > 10
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], random)
    assert all(module.training for module in model.modules())
    assert hooks == [len(module._forward_hooks) for module in model.modules()]
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("family", FAMILIES)
def test_inputs_are_moved_to_the_device_of_the_model(family: str, tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(family, tmp_path)
    audio_model = load_for_training(
        open_checkpoint(ModelConfig(model=str(folder))), AudioConfig(max_seconds=1.0), ("a", "b")
    )
    front, depths = (
        frontend_parameters(audio_model.model, audio_model.processor),
        layer_depths(audio_model.model, audio_model.processor),
    )
    audio_model.model.to("meta")  # type: ignore[arg-type] # fails like a GPU where an input stays behind
    if audio_model.processor.input_spec.has_mask:  # whose values are looked at, and meta has none
        given: list[str] = []

        def note(_: object, __: object, inputs: dict[str, torch.Tensor]) -> None:
            given.extend(value.device.type for value in inputs.values())

        audio_model.model.register_forward_pre_hook(note, with_kwargs=True)
        with stop_forward(audio_model.model, after=False):
            frontend_parameters(audio_model.model, audio_model.processor)
        assert given == ["meta", "meta"]
        return
    assert frontend_parameters(audio_model.model, audio_model.processor) == front
    assert layer_depths(audio_model.model, audio_model.processor) == depths
