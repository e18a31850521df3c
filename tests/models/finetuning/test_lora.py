"""Adapters learn, nothing else but the head does, and what is saved has none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from tiny_models import FAMILIES, write_tiny_checkpoint
from tiny_runs import make_config, set_up

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.errors import ModelError, SettingError
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.finetuning.lora import add_adapters, find_targets
from audio_cls.models.load import load_for_training
from audio_cls.runs.provenance import count_parameters
from audio_cls.training.loop import train

FEED_FORWARD = {"wavlm"}  # its attention reads the weights and runs no layer


def load(folder: Path, **choices: Any) -> tuple[AudioModel, ModelConfig]:  # noqa: ANN401
    torch.manual_seed(0)
    cfg = ModelConfig(model=str(folder), lora_rank=2, **choices)
    return load_for_training(open_checkpoint(cfg), AudioConfig(max_seconds=1.0), ("a", "b")), cfg


def make_wave(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(9600).astype(np.float32)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_adapter_is_trained_and_the_saved_model_has_none(family: str, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    folder = write_tiny_checkpoint(family, tmp_path / "given", layerdrop=0.0, encoder_layerdrop=0.0)
    audio_model, cfg = load(folder)
    stock_names = set(audio_model.model.state_dict())
    count = count_parameters(audio_model)
    add_adapters(audio_model.model, audio_model.processor, cfg)
    assert count_parameters(audio_model) == count
    model = audio_model.model
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    heads = {name for name in learning if name.startswith(("classifier.", "projector."))}
    assert all(".lora_" in name for name in learning.keys() - heads)
    assert len(heads) >= 2
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.AdamW(learning.values(), lr=0.05)
    model.train()
    for _ in range(2):  # the first moves B alone: it begins with zeros
        logits = model(**audio_model.processor([make_wave(0), make_wave(1)])).logits
        torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    adapters = {name for name in learning if ".lora_" in name}
    assert adapters <= moved <= learning.keys()
    assert len(adapters) >= (4 if family in FEED_FORWARD else 16)
    is_attention = any("ttention" in name or "attn" in name for name in adapters)
    assert is_attention == (family not in FEED_FORWARD)

    model.eval()
    audio_model.save(tmp_path / "saved")
    assert any(".lora_" in name for name in model.state_dict())  # training could go on
    saved, report = transformers.AutoModelForAudioClassification.from_pretrained(
        tmp_path / "saved", output_loading_info=True
    )
    assert set(saved.state_dict()) == stock_names
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    with torch.no_grad():
        inputs = audio_model.processor([make_wave(7)])
        torch.testing.assert_close(
            saved(**inputs).logits, model(**inputs).logits, rtol=0, atol=1e-5
        )


def test_rank_scale_and_dropout_are_those_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    folder = write_tiny_checkpoint("whisper", tmp_path)
    for alpha, scale in ((None, 2.0), (3.0, 1.5)):
        audio_model, cfg = load(folder, lora_alpha=alpha, lora_dropout=0.25)
        add_adapters(audio_model.model, audio_model.processor, cfg)
        layer: Any = audio_model.model.get_submodule("encoder.layers.1.self_attn.q_proj")
        assert layer.r["default"] == 2
        assert layer.scaling["default"] == scale
        assert layer.lora_dropout["default"].p == 0.25


def test_without_peft_the_extra_is_named(tmp_path: Path) -> None:
    audio_model, cfg = load(write_tiny_checkpoint("hubert", tmp_path))
    with (
        mock.patch.dict(sys.modules, {"peft": None}),
        pytest.raises(ModelError, match=r"audio-cls\[lora\]"),
    ):
        add_adapters(audio_model.model, audio_model.processor, cfg)


@pytest.mark.parametrize(
    "other", [{"freeze": "backbone"}, {"freeze": "features", "unfreeze_after_epochs": 1}]
)
def test_adapters_in_a_frozen_backbone_are_refused(other: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="--lora-rank 4"):
        ModelConfig(lora_rank=4, **other)


def test_a_run_with_adapters_goes_on_exactly_and_saves_its_average_merged(
    tone_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    folder = write_tiny_checkpoint("hubert", tmp_path / "given")
    choices: dict[str, Any] = {
        "lora_rank": 2, "lora_dropout": 0.1, "freeze": "features", "ema_decay": 0.9,
        "max_seconds": 0.3, "epochs": 2, "max_train_samples": 24,
    }  # fmt: skip
    whole = set_up(make_config(tone_folder, folder, tmp_path / "whole", **choices))
    train(whole)
    # The first epoch of the same run, as if it had been killed just after its checkpoint.
    half = set_up(make_config(tone_folder, folder, tmp_path / "cut", **choices))
    half.callbacks = mock.Mock(after_checkpoint=mock.Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        train(half)
    rest = set_up(make_config(tone_folder, folder, tmp_path / "cut", resume="auto", **choices))
    assert 0 < rest.state.step < rest.num_steps
    train(rest)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert one.keys() == other.keys()
    assert not any("lora" in name or "base_layer" in name for name in one)
    assert all(torch.equal(one[name], other[name]) for name in one)
    given = load_file(folder / "model.safetensors")
    key = "encoder.layers.0.attention.k_proj.weight"
    assert not torch.equal(one[f"hubert.{key}"], given[key])
    front = [name for name in given if name.startswith("feature_")]
    assert all(torch.equal(one[f"hubert.{name}"], given[name]) for name in front)


def test_targets_are_found_without_running_more_than_the_first_layer(tmp_path: Path) -> None:
    audio_model, _ = load(write_tiny_checkpoint("wav2vec2", tmp_path))
    second = audio_model.model.get_submodule("wav2vec2.encoder.layers.1")
    ran: list[object] = []
    second.register_forward_hook(lambda *_: ran.append(1))
    targets = find_targets(audio_model.model, audio_model.processor)
    assert ran == []
    assert len(targets) == 2 * 4
