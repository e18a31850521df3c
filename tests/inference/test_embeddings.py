"""Embeddings and number types of `Classifier`, by hand with stock transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from sounds import make_noise
from tiny_models import write_tiny_checkpoint
from tiny_outside import write_tiny_outside

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.errors import ModelError, SettingError
from audio_cls.inference.classifier import Classifier
from audio_cls.inference.forward import find_last_layer
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.load import load_for_training

RATE = 16_000
LABELS = ("a", "b", "c")
WAVE = make_noise(RATE * 3 // 2)


def write_classifier(folder: Path, family: str, **overrides: Any) -> Path:  # noqa: ANN401
    """Write a classifier of a family with a random head, whose windows are 1 s long."""
    write_tiny_checkpoint(family, folder / "encoder", **overrides)
    checkpoint = open_checkpoint(ModelConfig(model=str(folder / "encoder")))
    audio = AudioConfig(max_seconds=1.0)
    load_for_training(checkpoint, audio, LABELS).save(folder / "model")
    return folder / "model"


def stock(folder: Path) -> tuple[Any, Any]:
    """Return the model and the feature extractor, loaded by transformers alone."""
    model = transformers.AutoModelForAudioClassification.from_pretrained(folder)
    return model.eval(), transformers.AutoFeatureExtractor.from_pretrained(folder)


def make_inputs(extractor: Any) -> list[dict[str, torch.Tensor]]:  # noqa: ANN401
    """Return the inputs of the two windows of `WAVE`."""
    waves = (WAVE[:RATE], WAVE[-RATE:])
    return [dict(extractor(one, sampling_rate=RATE, return_tensors="pt")) for one in waves]


def check(folder: Path, expected: list[torch.Tensor]) -> None:
    """Compare the embedding of `WAVE` with the mean over its windows, (1, D) each."""
    found = Classifier.from_pretrained(folder).embed((WAVE, RATE))
    mean = torch.cat(expected).mean(0).numpy()
    assert found.dtype == np.float32
    assert found == pytest.approx(mean, abs=1e-5)


@torch.no_grad()
def test_hubert_is_the_mean_of_the_projected_frames(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path, "hubert")
    model, extractor = stock(folder)
    inputs = make_inputs(extractor)
    states = [model.hubert(one["input_values"]).last_hidden_state for one in inputs]
    check(folder, [model.projector(one).mean(dim=1) for one in states])


@torch.no_grad()
def test_a_weighted_layer_sum_comes_before_the_projection(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path, "wav2vec2", use_weighted_layer_sum=True)
    model, extractor = stock(folder)
    rows = []
    for one in make_inputs(extractor):
        states = model.wav2vec2(one["input_values"], output_hidden_states=True).hidden_states
        weights = model.layer_weights.softmax(0)
        mixed = sum(weight * state for weight, state in zip(weights, states, strict=True))
        rows.append(model.projector(mixed).mean(dim=1))
    check(folder, rows)


@torch.no_grad()
def test_ast_is_the_normalised_pooled_output(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path, "audio-spectrogram-transformer")
    model, extractor = stock(folder)
    pooled = [model.audio_spectrogram_transformer(**one) for one in make_inputs(extractor)]
    check(folder, [model.classifier.layernorm(one.pooler_output) for one in pooled])


@torch.no_grad()
def test_whisper_is_the_mean_of_the_projected_frames(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path, "whisper")
    model, extractor = stock(folder)
    states = [model.encoder(one["input_features"])[0] for one in make_inputs(extractor)]
    check(folder, [model.projector(one).mean(dim=1) for one in states])


@torch.no_grad()
def test_a_pooled_head_has_the_mean_of_the_encoders_frames(tmp_path: Path) -> None:
    write_tiny_outside("moonshine", tmp_path / "encoder")
    checkpoint = open_checkpoint(ModelConfig(model=str(tmp_path / "encoder")))
    audio_model = load_for_training(checkpoint, AudioConfig(max_seconds=1.0), LABELS)
    audio_model.save(tmp_path / "model")
    encoder = audio_model.model.encoder.eval()  # type: ignore[union-attr, operator]
    inputs = [audio_model.processor([one]) for one in (WAVE[:RATE], WAVE[-RATE:])]
    frames = [encoder(one["input_values"]).last_hidden_state for one in inputs]
    check(tmp_path / "model", [one.mean(dim=1) for one in frames])


@pytest.mark.parametrize("family", ["hubert", "whisper", "audio-spectrogram-transformer"])
@pytest.mark.parametrize(("dtype", "bound"), [("bfloat16", 0.05), ("float16", 0.005)])
def test_16_bit_numbers_give_about_the_same_scores(
    family: str, dtype: str, bound: float, tmp_path: Path
) -> None:
    folder = write_classifier(tmp_path, family)
    exact = Classifier.from_pretrained(folder)((WAVE, RATE))
    classifier = Classifier.from_pretrained(folder, dtype=dtype)
    assert classifier.model.dtype is getattr(torch, dtype)
    found = classifier((WAVE, RATE))
    assert found.scores == pytest.approx(exact.scores, abs=bound)


def test_values_that_are_not_possible_are_refused_before_the_model_is_loaded() -> None:
    wrong: tuple[dict[str, Any], ...] = (
        {"device": "gpu"}, {"device": "cuda:99"}, {"dtype": "int8"}, {"batch_size": 0},
        {"num_workers": -1}, {"reject_below": 2.0},
    )  # fmt: skip
    for given in wrong:
        with pytest.raises(SettingError, match="is not possible"):
            Classifier.from_pretrained("missing", **given)


def test_a_model_without_a_last_linear_layer_has_no_embeddings() -> None:
    with pytest.raises(ModelError, match="no linear layer with 3 outputs"):
        find_last_layer(torch.nn.Linear(3, 4), 3)
