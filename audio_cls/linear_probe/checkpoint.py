"""Checkpoint of a linear probe: the encoder cut after a layer, with the regression as its head.

transformers loads it as any other classifier. Letters: L labels, H hidden size.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from audio_cls.errors import ModelError
from audio_cls.inference.forward import find_last_layer
from audio_cls.linear_probe.cut import Candidate, cut_layers, set_layer_sum
from audio_cls.linear_probe.regression import LinearLayer
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import POOLED_HEAD, has_pooled_head
from audio_cls.models.finetuning.layer_groups import find_transformer_layers
from audio_cls.models.load import keep_all_layers

TOLERANCE = 1e-4  # of a probability


def apply_probe(audio_model: AudioModel, candidate: Candidate, layer: LinearLayer) -> None:
    """Cut the encoder after a layer and make the regression the head. Changes the model in place.

    A head with a projection before the mean over frames, as most families have, gets the regression
    as that projection and the identity as its last layer, since both are linear.

    Args:
        audio_model: The classifier whose layers were read.
        candidate: The layer.
        layer: The regression, on plain vectors.

    Raises:
        ModelError: transformers would not build the model that is saved.
    """
    model: Any = audio_model.model
    if candidate.num_layers < len(find_transformer_layers(model)[1]):
        cut_layers(model, candidate.num_layers)
    set_layer_sum(model, candidate)
    if candidate.is_raw:
        keep_all_layers(model.config)
        if has_pooled_head(model.config):
            getattr(model.config, POOLED_HEAD)["states"] = candidate.num_layers + 1
    set_head(model, layer)
    _check_loadable(audio_model)


def set_head(model: Any, layer: LinearLayer) -> None:  # noqa: ANN401 (of any family)
    """Make a regression the head of a model that is cut. In place; see `apply_probe`."""
    weight = torch.tensor(layer.weight, dtype=torch.float32)
    bias = torch.tensor(layer.bias, dtype=torch.float32)
    last = find_last_layer(model, model.config.num_labels)
    if hasattr(model, "projector"):
        _set_layer(model.projector, weight, torch.zeros_like(bias))
        weight = torch.eye(len(weight))
        model.config.classifier_proj_size = len(weight)
    _set_layer(last, weight, bias)


def _set_layer(layer: nn.Linear, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Give a linear layer other weights, which may have another shape. In place."""
    device = layer.weight.device
    layer.out_features, layer.in_features = weight.shape
    layer.weight, layer.bias = nn.Parameter(weight.to(device)), nn.Parameter(bias.to(device))


def _check_loadable(audio_model: AudioModel) -> None:
    """Check that a model built from the configuration alone has the same weights.

    Raises:
        ModelError: It has others.
    """
    model: Any = audio_model.model
    config = copy.deepcopy(model.config)
    config._attn_implementation = "eager"  # which every model has; this one is never run
    options = {"may_run_code": bool(audio_model.code)} if has_pooled_head(config) else {}
    with torch.device("meta"):
        built = type(model)(config, **options)
    shapes = {name: value.shape for name, value in built.state_dict().items()}
    own = {name: value.shape for name, value in model.state_dict().items()}
    if shapes != own:
        differing = sorted(name for name in {*shapes, *own} if shapes.get(name) != own.get(name))
        raise ModelError(
            f"--method probe is not possible with {type(model).__name__}: a model of"
            f" {model.config.num_hidden_layers} layers would not have the weights"
            f" {', '.join(differing[:3])}. Use --method fine-tune."
        )


def check_probabilities(
    found: np.ndarray[Any, np.dtype[np.float64]], expected: np.ndarray[Any, np.dtype[np.float64]]
) -> None:
    """Compare the probabilities of the checkpoint with those of the regression, (N, L) both.

    Raises:
        ModelError: They differ by more than 1e-4.
    """
    difference = float(np.abs(found - expected).max())
    if difference > TOLERANCE:
        raise ModelError(
            "--method probe is not possible with this model: the probabilities of the saved model"
            f" and of the regression differ by {difference:.2g}, and at most {TOLERANCE:g} is"
            " rounding. Use --method fine-tune, or another --model."
        )
