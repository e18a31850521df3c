"""Poolings of hidden states against numpy, and in whole classifiers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from tiny_models import write_tiny_checkpoint
from tiny_outside import write_tiny_outside
from tiny_runs import make_config

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.errors import ModelError
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.load import load_for_inference, load_for_training
from audio_cls.models.pooling.pool import pool_by_attention, pool_frames, pool_mean_std
from audio_cls.models.probe import make_probe_noise
from audio_cls.workflows.train import run_all

Pooling = Literal["mean_std", "attention"]
POOLINGS: tuple[Pooling, ...] = ("mean_std", "attention")


def load(path: Path, **settings: Any) -> AudioModel:  # noqa: ANN401
    """Load a checkpoint for two labels."""
    cfg = ModelConfig(model=str(path), **settings)
    return load_for_training(open_checkpoint(cfg), AudioConfig(max_seconds=1.0), ["a", "b"])


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_outside("parakeet_ctc", tmp_path_factory.mktemp("encoder"))


def test_poolings_are_those_of_numpy_and_padding_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    counts, states = (5, 1, 3), rng.normal(size=(3, 5, 4)).astype(np.float32)
    scores = rng.normal(size=(3, 5)).astype(np.float32)
    mask = np.arange(5) < np.array(counts)[:, None]
    padded = torch.from_numpy(np.where(mask[..., None], states, np.nan))
    heard = torch.from_numpy(mask).long()
    means, both = pool_frames(padded, heard), pool_mean_std(padded, heard)
    attended = pool_by_attention(padded, heard, torch.from_numpy(scores))
    for row, count in enumerate(counts):
        clip, score = states[row, :count], scores[row, :count]
        weights = np.exp(score) / np.exp(score).sum()
        assert means[row].numpy() == pytest.approx(clip.mean(axis=0), abs=1e-6)
        wanted = np.concatenate([clip.mean(axis=0), np.maximum(clip.std(axis=0), 1e-5)])
        assert both[row].numpy() == pytest.approx(wanted, abs=1e-6)
        assert attended[row].numpy() == pytest.approx(weights @ clip, abs=1e-6)
        alone = torch.from_numpy(clip[None])
        assert torch.allclose(pool_mean_std(alone, None)[0], both[row], atol=1e-6)
        own = pool_by_attention(alone, None, torch.from_numpy(score[None]))
        assert torch.allclose(own[0], attended[row], atol=1e-6)


def test_a_clip_without_frames_or_variation_has_finite_gradients() -> None:
    states = torch.ones(2, 3, 4, requires_grad=True)
    mask = torch.tensor([[1, 1, 1], [0, 0, 0]])
    attended = pool_by_attention(states, mask, states.sum(dim=2))
    (pool_mean_std(states, mask).sum() + attended.sum()).backward()  # type: ignore[no-untyped-call]
    assert states.grad is not None and bool(states.grad.isfinite().all())
    assert attended[1].tolist() == [0.0] * 4


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_saved_classifier_has_its_pooling(
    pooling: Pooling, encoder: Path, tmp_path: Path
) -> None:
    audio_model = load(encoder, pooling=pooling)
    model: Any = audio_model.model.eval()  # type: ignore[no-untyped-call]
    assert audio_model.processor.input_spec.pads_safely
    assert model.classifier.in_features == model.config.pooled_head["width"] * (
        2 if pooling == "mean_std" else 1
    )
    if pooling == "attention":
        torch.nn.init.normal_(model.pooling.weight, std=3.0)
    waves = [make_probe_noise(count) for count in (8_000, 16_000)]
    with torch.inference_mode():
        before = model(**audio_model.processor(waves)).logits
        alone = [model(**audio_model.processor([wave])).logits for wave in waves]
    assert torch.allclose(torch.cat(alone), before, atol=1e-5)
    audio_model.save(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["pooled_head"]["pooling"] == pooling
    again = load_for_inference(tmp_path)
    again.model.eval()  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        assert torch.allclose(again.model(**again.processor(waves)).logits, before, atol=1e-6)
    kept: Any = load(tmp_path)
    assert kept.head == "head of the checkpoint" and kept.model.pooling_kind == pooling
    assert load(tmp_path, pooling="mean").model.classifier.in_features == 16


def test_attention_is_the_mean_at_first(encoder: Path) -> None:
    torch.manual_seed(0)
    models: list[Any] = [load(encoder, pooling=kind) for kind in ("mean", "attention")]
    models[1].model.classifier.load_state_dict(models[0].model.classifier.state_dict())
    wave = [make_probe_noise(8_000)]
    logits = [one.model.eval()(**one.processor(wave)).logits for one in models]
    assert torch.allclose(*logits, atol=1e-6)


def test_a_family_with_a_head_in_transformers_takes_the_mean_only(tmp_path: Path) -> None:
    write_tiny_checkpoint("hubert", tmp_path)
    with pytest.raises(ModelError, match="--pooling attention is not possible: hubert has a"):
        load(tmp_path, pooling="attention")
    assert load(tmp_path, pooling="mean").labels == ("a", "b")


def test_a_frozen_encoder_is_cached_once_and_the_pooling_is_trained(
    encoder: Path, tone_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "audio_cls")
    for pooling in POOLINGS:
        changes = {"freeze": "backbone", "crop": "start", "pooling": pooling}
        run = tmp_path / pooling
        run_all(make_config(tone_folder, encoder, run, learning_rate=1e-2, **changes))
    assert caplog.text.count("feature cache: computing") == 2
    assert caplog.text.count("feature cache: computing 0 of") == 1
    model: Any = load_for_inference(tmp_path / "attention").model
    assert float(model.pooling.weight.abs().max()) > 0
