"""Candidates of a linear probe, and an encoder that ends after one of its layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from audio_cls.models.finetuning.layer_groups import find_transformer_layers

COUNT_FIELDS = ("num_hidden_layers", "encoder_layers", "encoder_num_hidden_layers")
ONE_LAYER = 200.0  # layer weight before the softmax: all others become exactly 0 in float32


@dataclass(frozen=True, order=True)
class Candidate:
    """An encoder with its first `num_layers` layers, and the layer whose output the head gets.

    That is the last one, with what the family has after its layers, such as a final norm; or one
    before it, as it is, through the weighted sum of layers with all weight on this one.
    """

    num_layers: int
    layer: int  # counted from 1

    @property
    def is_raw(self) -> bool:
        """Return whether the output of the layer is used as it is, without a final norm."""
        return self.layer < self.num_layers


@contextmanager
def shortened(model: Any, num_layers: int) -> Iterator[None]:  # noqa: ANN401
    """Let an encoder have only its first layers in the block."""
    name, layers = find_transformer_layers(model)
    if num_layers == len(layers):
        yield
        return
    before = cut_layers(model, num_layers)
    try:
        yield
    finally:
        model.set_submodule(name, layers)
        for config, field, value in before:
            setattr(config, field, value)


def cut_layers(model: Any, num_layers: int) -> list[tuple[Any, str, int]]:  # noqa: ANN401
    """Remove the layers after the first `num_layers` from an encoder. In place.

    Returns:
        The fields of configurations that were changed, with their former values.
    """
    name, layers = find_transformer_layers(model)
    owner = model
    configs = [model.config]
    for part in name.split(".")[:-1]:
        owner = getattr(owner, part)
        if hasattr(owner, "config") and all(owner.config is not one for one in configs):
            configs.append(owner.config)
    before = [
        (config, field, len(layers))
        for config in configs
        for field in COUNT_FIELDS
        if getattr(config, field, None) == len(layers)
    ]
    model.set_submodule(name, layers[:num_layers])
    for config, field, _ in before:
        setattr(config, field, num_layers)
    return before


def set_layer_sum(model: Any, candidate: Candidate | None) -> None:  # noqa: ANN401
    """Let the head get one layer through the weighted sum of layers; None: switch the sum off.

    Changes model and configuration in place.
    """
    is_raw = candidate is not None and candidate.is_raw
    model.config.use_weighted_layer_sum = is_raw
    if "layer_weights" in dict(model.named_parameters(recurse=False)):
        del model.layer_weights
    if is_raw and candidate is not None:
        weights = torch.zeros(candidate.num_layers + 1, device=model.device)
        weights[candidate.layer] = ONE_LAYER
        model.layer_weights = nn.Parameter(weights)


@contextmanager
def plain_head(model: Any) -> Iterator[None]:  # noqa: ANN401
    """Switch a weighted sum of layers off in the block."""
    is_sum, weights = getattr(model.config, "use_weighted_layer_sum", None), None
    if is_sum:
        weights = model.layer_weights
        set_layer_sum(model, None)
    try:
        yield
    finally:
        if is_sum:
            model.config.use_weighted_layer_sum, model.layer_weights = is_sum, weights


@contextmanager
def cut_for_trial(model: Any, candidate: Candidate) -> Iterator[None]:  # noqa: ANN401
    """Cut a model for a candidate in the block."""
    before = getattr(model.config, "use_weighted_layer_sum", None)
    with shortened(model, candidate.num_layers):
        try:
            if candidate.is_raw:
                set_layer_sum(model, candidate)
            yield
        finally:
            if candidate.is_raw:
                set_layer_sum(model, None)
                model.config.use_weighted_layer_sum = before
