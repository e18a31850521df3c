"""Tests of audio_cls.models.feature_cache.partial_forward."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import FAMILIES, write_tiny_checkpoint
from tiny_outside import OUTSIDE, write_tiny_outside
from torch import nn

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.feature_cache.output_layout import FrozenOutputLayout
from audio_cls.models.feature_cache.partial_forward import (
    CACHED_FEATURES,
    enable_partial_forward,
    plan_partial_forward,
    run_frozen,
)
from audio_cls.models.finetuning.freeze import find_frozen
from audio_cls.models.load import load_for_training
from audio_cls.models.probe import make_probe_noise


def load(family: str, folder: Path, **changes: Any) -> AudioModel:  # noqa: ANN401
    """Load a tiny classifier of three labels, with or without a head in transformers."""
    if family in OUTSIDE:
        write_tiny_outside(family, folder)
    else:
        write_tiny_checkpoint(family, folder, **changes)
    audio_model = load_for_training(
        open_checkpoint(ModelConfig(model=str(folder))),
        AudioConfig(max_seconds=1.0),
        ("a", "b", "c"),
    )
    if hasattr(audio_model.model, "layer_weights"):
        nn.init.normal_(audio_model.model.layer_weights)
    return audio_model


def cut_at(audio_model: AudioModel, what: str) -> FrozenOutputLayout:
    """Find the cut of what is frozen."""
    names = find_frozen(audio_model.model, audio_model.processor, what)
    layout = plan_partial_forward(audio_model.model, audio_model.processor, names)
    assert layout is not None
    return layout


@pytest.mark.parametrize("family", FAMILIES)
def test_a_mix_of_frozen_layers_starts_from_the_layers(family: str, tmp_path: Path) -> None:
    if family == "audio-spectrogram-transformer":
        pytest.skip("has no mix of layers")
    layout = cut_at(load(family, tmp_path, use_weighted_layer_sum=True), "backbone")
    assert {name for name, _ in layout.places} == {"hidden_states"}


@pytest.mark.parametrize("is_weighted", [False, True])
def test_only_what_the_head_uses_is_kept(is_weighted: bool, tmp_path: Path) -> None:  # noqa: FBT001
    audio_model = load(
        "wavlm", tmp_path, feat_extract_norm="layer", use_weighted_layer_sum=is_weighted
    )
    layout = cut_at(audio_model, "backbone")
    layers = tuple(("hidden_states", number) for number in range(3))
    assert layout.places == (layers if is_weighted else (("last_hidden_state", -1),))
    assert set(layout.shapes) == {(-1, 32)}


def test_of_ast_the_pooled_vector_is_kept(tmp_path: Path) -> None:
    layout = cut_at(load("audio-spectrogram-transformer", tmp_path), "backbone")
    assert layout.places == (("pooler_output", -1),)
    assert layout.shapes == ((32,),)
    assert not layout.has_time


def test_a_front_end_whose_output_is_not_all_that_is_needed_is_not_cached(tmp_path: Path) -> None:
    audio_model = load("clap", tmp_path)
    names = find_frozen(audio_model.model, audio_model.processor, "features")
    assert plan_partial_forward(audio_model.model, audio_model.processor, names) is None


@pytest.mark.parametrize("family", ["wavlm", "whisper", "sew", "parakeet_ctc"])
@pytest.mark.parametrize("what", ["features", "backbone"])
def test_a_model_and_its_copy_take_audio_or_cached_features(
    family: str, what: str, tmp_path: Path
) -> None:
    audio_model = load(family, tmp_path)
    model, inputs = (
        audio_model.model,
        audio_model.processor([make_probe_noise(9000), make_probe_noise(9000)]),
    )
    names = list(model.state_dict())
    layout = cut_at(audio_model, what)
    with torch.no_grad():
        expected = model(**inputs).logits
        rows = layout.flatten(run_frozen(model, layout.names, inputs))
        enable_partial_forward(model, layout)
        given: dict[str, Any] = {**inputs, CACHED_FEATURES: rows}
        del given[layout.input_name]
        for one in (model, copy.deepcopy(model)):
            torch.testing.assert_close(one(**given).logits, expected, rtol=1e-4, atol=1e-7)
            torch.testing.assert_close(one(**inputs).logits, expected, rtol=1e-4, atol=1e-7)
            changed = {**given, CACHED_FEATURES: torch.randn_like(rows)}
            assert not torch.allclose(one(**changed).logits, expected, rtol=1e-3, atol=0)
    assert list(model.state_dict()) == names
