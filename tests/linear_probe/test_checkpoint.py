"""The checkpoint of a linear probe, in every family: what transformers computes from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tiny_models import FAMILIES, write_tiny_checkpoint
from tiny_outside import write_tiny_outside

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.errors import ModelError
from audio_cls.inference.classifier import Classifier
from audio_cls.linear_probe.checkpoint import apply_probe, check_probabilities
from audio_cls.linear_probe.cut import Candidate
from audio_cls.linear_probe.layers import LayerReader
from audio_cls.linear_probe.regression import LinearLayer
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.finetuning.layer_groups import find_transformer_layers
from audio_cls.models.load import load_for_training
from audio_cls.models.probe import make_probe_noise

LABELS = ("a", "b", "c")
LENGTHS = (9_000, 16_000)  # samples of two clips
FAMILIES_AND_OPTIONS: list[tuple[str, dict[str, Any]]] = [
    *((family, {}) for family in FAMILIES),
    ("wav2vec2", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
    ("hubert", {"classifier_proj_size": 2}),  # smaller than the number of labels
    ("wavlm", {"use_weighted_layer_sum": True}),
]


def load(folder: Path) -> AudioModel:
    """Load a tiny checkpoint with a new head."""
    cfg = ModelConfig(model=str(folder))
    return load_for_training(open_checkpoint(cfg), AudioConfig(max_seconds=1.0), LABELS)


def read_vectors(audio_model: AudioModel) -> tuple[LayerReader, torch.Tensor]:
    """Return the reader of the layers, and the vectors of two clips, each alone: (2, C, H)."""
    reader = LayerReader(audio_model.model, audio_model.processor)
    audio_model.model.train(mode=False)
    rate = audio_model.processor.input_spec.sampling_rate
    noises = [make_probe_noise(length * rate // 16_000) for length in LENGTHS]
    inputs = [audio_model.processor([noise]) for noise in noises]
    return reader, torch.cat([reader.read(one) for one in inputs])


def make_layer(vectors: torch.Tensor) -> LinearLayer:
    """Return a layer that gives the clips different probabilities: logits of a few units."""
    rng = np.random.default_rng(0)
    spread = float((vectors[0] - vectors[1]).abs().max())
    weight = rng.standard_normal((len(LABELS), vectors.shape[1])) / max(spread, 1e-3)
    return LinearLayer(weight, -weight @ vectors.mean(0).double().numpy())


@pytest.mark.parametrize(("family", "options"), FAMILIES_AND_OPTIONS)
def test_stock_pipeline_computes_the_regression_of_each_layer(
    family: str, options: dict[str, Any], tmp_path: Path
) -> None:
    folder = write_tiny_checkpoint(family, tmp_path / "given", num_hidden_layers=3, **options)
    reader, vectors = read_vectors(load(folder))
    assert {one.layer for one in reader.candidates} == {1, 2, 3}
    assert {one.num_layers for one in reader.candidates if not one.is_raw} == {1, 2, 3}
    for number, candidate in enumerate(reader.candidates):
        if candidate.layer == 2 and not candidate.is_raw:
            continue  # as layer 1
        audio_model = load(folder)
        layer = make_layer(vectors[:, number])
        apply_probe(audio_model, candidate, layer)
        out = tmp_path / f"{candidate.num_layers}-{candidate.layer}"
        audio_model.save(out)
        classify = transformers.pipeline("audio-classification", str(out), device="cpu")
        expected = torch.tensor(layer(vectors[:, number].numpy())).softmax(1)
        assert (expected[0] - expected[1]).abs().max() > 0.01
        for row, length in enumerate(LENGTHS):
            sound = {"raw": make_probe_noise(length), "sampling_rate": 16_000}
            found = {one["label"]: one["score"] for one in classify(sound, top_k=None)}
            assert [found[name] for name in LABELS] == pytest.approx(
                expected[row].tolist(), abs=1e-4
            )
        assert len(find_transformer_layers(classify.model)[1]) == candidate.num_layers


@pytest.mark.parametrize("family", ["speech_to_text", "moonshine", "clap"])
def test_families_with_a_pooled_head(family: str, tmp_path: Path) -> None:
    folder = write_tiny_outside(family, tmp_path / "given")
    reader, vectors = read_vectors(load(folder))
    audio_model = load(folder)
    layer = make_layer(vectors[:, 0])
    apply_probe(audio_model, reader.candidates[0], layer)
    audio_model.save(tmp_path / "out")
    classifier = Classifier.from_pretrained(tmp_path / "out", device="cpu")
    rate = audio_model.processor.input_spec.sampling_rate
    expected = torch.tensor(layer(vectors[:, 0].numpy())).softmax(1)
    for row, length in enumerate(LENGTHS):
        noise = make_probe_noise(length * rate // 16_000)
        found = classifier({"raw": noise, "sampling_rate": rate})
        assert [found.scores[name] for name in LABELS] == pytest.approx(
            expected[row].tolist(), abs=1e-4
        )


def test_whisper_offers_layers_without_its_final_norm(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint("whisper", tmp_path / "given")
    reader, vectors = read_vectors(load(folder))
    assert reader.candidates == (Candidate(1, 1), Candidate(2, 1), Candidate(2, 2))
    model = transformers.WhisperModel.from_pretrained(folder)
    audio_model = load(folder)  # its extractor is cut to 1 s
    inputs = audio_model.processor([make_probe_noise(LENGTHS[1])])
    model.encoder.embed_positions = audio_model.model.encoder.embed_positions
    model.encoder.config.max_source_positions = 50
    states = model.encoder(**inputs, output_hidden_states=True).hidden_states
    raw, last = states[1].mean(1)[0], states[2].mean(1)[0]
    assert torch.allclose(vectors[1, 1], raw, atol=1e-5)
    assert torch.allclose(vectors[1, 2], last, atol=1e-5)
    normed = model.encoder.layer_norm(states[1]).mean(1)[0]
    assert torch.allclose(vectors[1, 0], normed, atol=1e-5)


def test_other_probabilities_are_an_error() -> None:
    check_probabilities(np.array([[0.5, 0.5]]), np.array([[0.50005, 0.49995]]))
    with pytest.raises(ModelError, match=r"differ by 0\.2"):
        check_probabilities(np.array([[0.5, 0.5]]), np.array([[0.7, 0.3]]))
