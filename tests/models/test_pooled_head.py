"""Tests of audio_cls.models.pooled_head: scored, trained, saved and loaded with equal scores."""

from __future__ import annotations

import csv
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tiny_outside import OUTSIDE, write_tiny_outside
from tiny_runs import make_config, set_up

from audio_cls.config import AudioConfig, ModelConfig, RunConfig
from audio_cls.data.loading.length_buckets import group_windows
from audio_cls.errors import ModelError
from audio_cls.evaluation.scorer import make_scorer
from audio_cls.inference.classifier import Classifier
from audio_cls.models.attention_backend import enable_gradient_checkpointing
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import open_checkpoint, resolve_audio_settings
from audio_cls.models.finetuning.freeze import find_frozen, freeze
from audio_cls.models.finetuning.layer_groups import find_transformer_layers
from audio_cls.models.finetuning.setup import prepare_for_finetuning
from audio_cls.models.load import load_for_inference, load_for_training
from audio_cls.models.pooled_head import PooledAudioClassifier, pool_frames
from audio_cls.models.probe import make_probe_noise
from audio_cls.training.loop import train

LABELS = ["high", "low", "middle"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a checkpoint of every kind."""
    root = tmp_path_factory.mktemp("outside")
    for kind in OUTSIDE:
        write_tiny_outside(kind, root / kind)
    return root


def load(path: Path, max_seconds: float = 1.0, **settings: Any) -> AudioModel:  # noqa: ANN401
    """Load a checkpoint for three labels."""
    cfg = ModelConfig(model=str(path), **settings)
    return load_for_training(open_checkpoint(cfg), AudioConfig(max_seconds=max_seconds), LABELS)


def score(audio_model: AudioModel, waves: list[np.ndarray]) -> torch.Tensor:
    """Return the logits of a batch, without dropout."""
    audio_model.model.train(mode=False)
    with torch.inference_mode():
        logits: torch.Tensor = audio_model.model(**audio_model.processor(waves)).logits
    return logits


@pytest.mark.parametrize("kind", OUTSIDE)
def test_what_was_saved_gives_the_same_logits(kind: str, root: Path, tmp_path: Path) -> None:
    audio_model = load(root / kind)
    waves = [make_probe_noise(8_000)]
    before = score(audio_model, waves)
    audio_model.save(tmp_path)
    again = load_for_inference(tmp_path)
    assert again.labels == tuple(LABELS)
    # Which is for training only.
    expected = replace(audio_model.processor.input_spec, unpadded_encoder=None)
    assert again.processor.input_spec == expected
    assert torch.allclose(score(again, waves), before, atol=1e-6)
    assert len({round(float(value), 6) for value in before[0]}) == 3


@pytest.mark.parametrize("kind", OUTSIDE)
def test_the_encoders_weights_are_the_checkpoints(kind: str, root: Path) -> None:
    whole = transformers.AutoModel.from_pretrained(root / kind)
    there = [weight for weight in whole.state_dict().values() if weight.dim() > 1]
    model: Any = load(root / kind).model
    own = [weight for name, weight in model.encoder.named_parameters() if weight.dim() > 1]
    assert len(own) > 5
    cut = "position"  # positions are cut to the clips' length
    for name, weight in model.encoder.named_parameters():
        if weight.dim() > 1 and cut not in name:
            same = [other for other in there if other.shape == weight.shape]
            assert any(torch.equal(weight, other) for other in same), name


@pytest.mark.parametrize("kind", OUTSIDE)
def test_a_score_does_not_depend_on_other_clips_of_the_batch(kind: str, root: Path) -> None:
    audio_model = load(root / kind, max_seconds=2.0)
    rate, input_spec = (
        audio_model.processor.input_spec.sampling_rate,
        audio_model.processor.input_spec,
    )
    seconds = [0.3, 0.31, 0.5, 0.505, 0.77, 1.0, 1.0, 1.49, 1.9]
    waves = [
        make_probe_noise(round(one * rate)) * np.float32(1 + n) for n, one in enumerate(seconds)
    ]
    alone = torch.cat([score(audio_model, [wave]) for wave in waves])
    lengths = [len(wave) for wave in waves]
    batches = list(group_windows(lengths, 4, equal_lengths=not input_spec.pads_safely))
    assert max(map(len, batches)) > 1
    for batch in batches:
        together = score(audio_model, [waves[number] for number in batch])
        assert torch.allclose(together, alone[list(batch)], atol=1e-4)


def test_some_kinds_mask_and_the_rest_is_batched_by_length(root: Path) -> None:
    safe = {kind for kind in OUTSIDE if load(root / kind).processor.input_spec.pads_safely}
    assert safe == {"clap", "lasr_ctc", "parakeet_ctc", "qwen2_audio", "voxtral"}


@pytest.mark.parametrize("kind", OUTSIDE)
def test_freezing_keeps_the_head_trainable(kind: str, root: Path) -> None:
    audio_model = load(root / kind)
    front = find_frozen(audio_model.model, audio_model.processor, "features")
    assert front
    assert not any(find_transformer_layers(audio_model.model)[0] in name for name in front)
    frozen = freeze(audio_model, ModelConfig(freeze="backbone"))
    learning = {n for n, weight in audio_model.model.named_parameters() if weight.requires_grad}
    assert learning == {"classifier.weight", "classifier.bias"}
    audio_model.model.train()
    assert not any(part.training for m in frozen.modules.values() for part in m.modules())


def test_layers_are_mixed_where_the_encoder_shows_them(root: Path, tmp_path: Path) -> None:
    audio_model = load(root / "parakeet_ctc", weighted_layer_sum=True)
    model: Any = audio_model.model
    with torch.no_grad():
        model.layer_weights.copy_(torch.tensor([3.0, 0.0, 0.0]))
    mixed = score(audio_model, [make_probe_noise(8_000)])
    with torch.no_grad():
        model.layer_weights.copy_(torch.tensor([0.0, 0.0, 3.0]))
    assert not torch.allclose(score(audio_model, [make_probe_noise(8_000)]), mixed, atol=1e-4)
    audio_model.save(tmp_path)
    assert "layer_weights" in dict(load_for_inference(tmp_path).model.named_parameters())
    with pytest.raises(ModelError, match="--weighted-layer-sum is not possible"):
        load(root / "clap", weighted_layer_sum=True)


def test_adapters_are_merged_into_the_saved_encoder(root: Path, tmp_path: Path) -> None:
    audio_model = load(root / "parakeet_ctc")
    cfg = RunConfig.from_flat({"dataset": "x", "lora_rank": 2})
    prepare_for_finetuning(audio_model, cfg, "no")
    with torch.no_grad():
        for name, weight in audio_model.model.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    before = score(audio_model, [make_probe_noise(8_000)])
    audio_model.save(tmp_path)
    again = load_for_inference(tmp_path)
    assert torch.allclose(score(again, [make_probe_noise(8_000)]), before, atol=1e-5)


@pytest.mark.parametrize("kind", ["moonshine", "speech_to_text", "parakeet_ctc"])
def test_how_attention_is_computed_changes_no_score(kind: str, root: Path) -> None:
    waves = [make_probe_noise(8_000)]
    audio_models = [load(root / kind, attention=choice) for choice in ("auto", "eager")]
    for audio_model in audio_models[1:]:
        assert audio_model.model.config._attn_implementation == "eager"
    torch.manual_seed(0)
    weight: Any = torch.randn(3, 16)
    for audio_model in audio_models:
        head: Any = audio_model.model.get_submodule("classifier")
        head.weight.data.copy_(weight)
    one, other = (score(audio_model, waves) for audio_model in audio_models)
    assert torch.allclose(one, other, atol=1e-5)


def test_activations_are_computed_again_for_the_same_gradients(root: Path) -> None:
    audio_model = load(root / "moonshine")
    model: Any = audio_model.model
    inputs = audio_model.processor([make_probe_noise(8_000)])
    gradients = []
    for saves in (False, True):
        if saves:
            enable_gradient_checkpointing(model)
        model.zero_grad()
        model.train()
        model.dropout.p = 0.0
        model(**inputs).logits.square().sum().backward()
        gradients.append(model.encoder.layers[0].mlp.fc1.weight.grad.clone())
    assert torch.allclose(*gradients, atol=1e-6)
    assert gradients[0].abs().max() > 0


def test_a_language_model_above_the_encoder_is_not_saved(root: Path, tmp_path: Path) -> None:
    load(root / "qwen2_audio").save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model_type"] == "qwen2_audio_encoder"
    assert config["max_source_positions"] == 50  # one second, not thirty
    assert config["architectures"] == ["PooledAudioClassifier"]
    assert config["audio_cls"]["max_seconds"] == 1.0


def test_random_weights_in_the_same_shape(root: Path) -> None:
    pretrained, drawn = (load(root / "moonshine", from_scratch=choice) for choice in (False, True))
    shapes = [{n: w.shape for n, w in b.model.named_parameters()} for b in (pretrained, drawn)]
    assert shapes[0] == shapes[1]
    old, new = (dict(one.model.named_parameters()) for one in (pretrained, drawn))
    name = "encoder.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(old[name], new[name])


def test_a_head_with_these_labels_is_kept_and_another_replaced(root: Path, tmp_path: Path) -> None:
    first = load(root / "moonshine")
    first.save(tmp_path)
    kept: Any = load(tmp_path).model
    assert torch.equal(
        kept.classifier.weight, dict(first.model.named_parameters())["classifier.weight"]
    )
    cfg = ModelConfig(model=str(tmp_path))
    other: Any = load_for_training(
        open_checkpoint(cfg), AudioConfig(max_seconds=1.0), ["a", "b"]
    ).model
    assert other.classifier.weight.shape[0] == 2


@pytest.mark.parametrize("seconds", [None, 1.0])
def test_a_codec_is_refused_in_one_line(seconds: float | None, tmp_path: Path) -> None:
    write_tiny_outside("mimi", tmp_path)
    cfg, audio = ModelConfig(model=str(tmp_path)), AudioConfig(max_seconds=seconds)
    if seconds is None:  # the extractor of codecs has a chunk_length, which is None or in samples
        assert resolve_audio_settings(audio, open_checkpoint(cfg)).max_seconds == 30.0
    with pytest.raises(
        ModelError, match=r"no submodule of MimiModel turns .* hidden states over time"
    ):
        load_for_training(open_checkpoint(cfg), audio, ["a", "b"])


def test_clips_longer_than_a_picture_holds_are_refused(root: Path) -> None:
    with pytest.raises(ModelError, match=r"--max-seconds 5 is too long: .* at most 2 s"):
        load(root / "clap", max_seconds=5.0)


def test_loading_logs_that_transformers_alone_cannot(
    root: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    audio_model = load(root / "moonshine")
    audio_model.save(tmp_path)
    with caplog.at_level(logging.INFO, "audio_cls"):
        load_for_inference(tmp_path)
    assert "pipeline() cannot load this model" in caplog.text
    with pytest.raises(ValueError, match="Unrecognized configuration class"):
        transformers.AutoModelForAudioClassification.from_pretrained(tmp_path)


def test_only_frames_of_audio_are_averaged() -> None:
    states = torch.tensor([[[1.0], [3.0], [float("nan")]], [[2.0], [4.0], [6.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert pool_frames(states, mask).tolist() == [[2.0], [4.0]]


@pytest.mark.parametrize("kind", ["moonshine", "clap", "qwen2_audio"])
def test_a_run_trains_and_all_ways_to_score_agree(
    kind: str, root: Path, tone_folder: Path, tmp_path: Path
) -> None:
    changes = {"epochs": 3, "learning_rate": 3e-3, "max_train_samples": 24}
    run = set_up(cfg := make_config(tone_folder, root / kind, tmp_path / "run", **changes))
    train(run)
    rows = list(csv.DictReader((tmp_path / "run/summary.csv").read_text().splitlines()))
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    classifier = Classifier.from_pretrained(tmp_path / "run")
    assert isinstance(classifier.model, PooledAudioClassifier)
    clips = run.loader.dataset.clips
    scores = make_scorer(classifier.audio_model, cfg, run.accelerator).score(
        classifier.model, clips
    )
    paths = [tone_folder / clip for clip in scores.ids[:5]]
    for number, prediction in enumerate(classifier(paths)):
        assert prediction.scores is not None
        own = np.array(list(prediction.scores.values()))
        assert own == pytest.approx(scores.probabilities[number], abs=2e-5)
