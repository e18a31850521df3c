"""Attention, checkpointing and compilation change the cost, not the answer."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_models import FAMILIES, write_tiny_checkpoint
from tiny_runs import make_config, set_up

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.errors import ModelError, SettingError
from audio_cls.models.attention_backend import (
    check_precision,
    choose_attention,
    compile_model,
    enable_gradient_checkpointing,
)
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.finetuning.layer_groups import find_transformer_layers
from audio_cls.models.load import load_for_inference, load_for_training
from audio_cls.training import loop

EAGER_ONLY = {"sew-d", "wavlm"}
NO_FLASH = {*EAGER_ONLY, "wav2vec2-bert", "wav2vec2-conformer"}
NO_LAYER_SUM = {"audio-spectrogram-transformer"}
SDPA = "torch.nn.functional.scaled_dot_product_attention"


def load(folder: Path, **choices: Any) -> AudioModel:  # noqa: ANN401
    torch.manual_seed(0)
    cfg = ModelConfig(model=str(folder), **choices)
    return load_for_training(open_checkpoint(cfg), AudioConfig(max_seconds=1.0), ("a", "b"))


def make_waves() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(9600).astype(np.float32) for _ in range(3)]


@torch.no_grad()
def score(audio_model: AudioModel) -> torch.Tensor:
    audio_model.model.eval()
    logits: torch.Tensor = audio_model.model(**audio_model.processor(make_waves())).logits
    return logits


@pytest.mark.parametrize("family", FAMILIES)
def test_every_attention_that_a_family_has_gives_the_same_logits(
    family: str, tmp_path: Path
) -> None:
    folder = write_tiny_checkpoint(family, tmp_path)
    logits = []
    for wanted in ("eager", "sdpa"):
        if wanted == "sdpa" and family in EAGER_ONLY:
            with pytest.raises(ModelError, match=rf"--attention sdpa .*{family} has none"):
                load(folder, attention=wanted)
            return
        audio_model = load(folder, attention=wanted)
        with mock.patch(SDPA, wraps=torch.nn.functional.scaled_dot_product_attention) as call:
            logits.append(score(audio_model))
        assert call.called == (wanted == "sdpa")
    torch.testing.assert_close(*logits, rtol=0, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_flash_attention_is_refused_by_what_is_missing(family: str, tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(family, tmp_path)
    audio_model = load(folder)
    reasons = [f"{family} has none"] if family in NO_FLASH else ["needs a CUDA GPU", "flash-attn"]
    for has_gpu, reason in zip((False, True), reasons, strict=False):
        with (
            mock.patch("torch.cuda.is_available", return_value=has_gpu),
            mock.patch(f"{choose_attention.__module__}.is_flash_attn_2_available", lambda: False),
            pytest.raises(ModelError, match=rf"--attention flash_attention_2 .*{reason}"),
        ):
            choose_attention(audio_model.model, "flash_attention_2")


def test_flash_attention_needs_half_numbers() -> None:
    check_precision("flash_attention_2", "bf16")
    check_precision("sdpa", "no")
    with pytest.raises(SettingError, match="--mixed-precision bf16"):
        check_precision("flash_attention_2", "no")


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_are_summed_where_the_family_supports_it_and_the_weights_are_trained(
    family: str, tmp_path: Path
) -> None:
    skipping = {"layerdrop": 0.9, "encoder_layerdrop": 0.9}
    folder = write_tiny_checkpoint(family, tmp_path / "given", **skipping)
    if family in NO_LAYER_SUM:
        with pytest.raises(ModelError, match=r"--weighted-layer-sum .* no weighted sum"):
            load(folder, weighted_layer_sum=True)
        return
    audio_model = load(folder, weighted_layer_sum=True)
    weights: Any = audio_model.model.layer_weights
    assert weights.tolist() == pytest.approx([1 / 3] * 3)  # two layers, and what comes into them
    assert not torch.equal(score(audio_model), score(load(folder)))
    audio_model.model.train()
    for _ in range(4):  # no step may skip a layer
        audio_model.model(**audio_model.processor(make_waves())).logits.square().sum().backward()
    audio_model.model.eval()
    assert weights.grad.abs().max() > 0
    weights.data = torch.tensor([1.0, 2.0, 3.0])
    audio_model.save(tmp_path / "saved")
    torch.testing.assert_close(score(load_for_inference(tmp_path / "saved")), score(audio_model))
    again = load(tmp_path / "saved")  # the checkpoint says so, and its mix is kept
    assert again.model.layer_weights.tolist() == [1, 2, 3]  # type: ignore[union-attr, operator]
    plain = load(tmp_path / "saved", weighted_layer_sum=False)
    assert not hasattr(plain.model, "layer_weights")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_checkpoint("hubert", tmp_path_factory.mktemp("hubert"))


def train(tone_folder: Path, checkpoint: Path, run: Path, **choices: Any) -> list[float]:  # noqa: ANN401
    """Train four steps and return their losses."""
    settings = {"max_steps": 4, "max_train_samples": 16, "max_eval_samples": 3, **choices}
    cast = set_up(make_config(tone_folder, checkpoint, run, **settings))
    losses: list[float] = []
    after_step = cast.progress.after_step
    cast.progress.after_step = lambda step, loss: (  # type: ignore[method-assign]
        losses.append(float(loss)), after_step(step, loss),
    )[1]  # fmt: skip
    loop.train(cast)
    return losses


@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpointed_layer_runs_twice_and_gives_the_same_gradient(
    family: str, tmp_path: Path
) -> None:
    folder = write_tiny_checkpoint(family, tmp_path, layerdrop=0.0, encoder_layerdrop=0.0)
    found = []
    for is_saving in (False, True):
        audio_model = load(folder)
        if is_saving:
            enable_gradient_checkpointing(audio_model.model)
        calls: list[int] = []
        part = next(
            m for m in find_transformer_layers(audio_model.model)[1][0].modules() if _is_norm(m)
        )
        part.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        audio_model.model.train()
        torch.manual_seed(1)
        np.random.seed(1)
        logits = audio_model.model(**audio_model.processor(make_waves())).logits
        logits.square().sum().backward()
        gradients = [p.grad for p in audio_model.model.parameters() if p.grad is not None]
        found.append((len(calls), logits.detach(), torch.cat([g.flatten() for g in gradients])))
    plain, saving = found
    assert (plain[0], saving[0]) == (1, 2)
    torch.testing.assert_close(plain[1], saving[1], rtol=0, atol=0)
    torch.testing.assert_close(plain[2], saving[2], rtol=1e-4, atol=1e-6)


def _is_norm(module: torch.nn.Module) -> bool:
    return isinstance(module, torch.nn.LayerNorm)


def test_a_run_with_gradient_checkpointing_has_the_same_losses(
    tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    plain = train(tone_folder, checkpoint, tmp_path / "a")
    saving = train(tone_folder, checkpoint, tmp_path / "b", gradient_checkpointing=True)
    assert saving == pytest.approx(plain, rel=1e-6)
    assert "gradient_checkpointing: true" in (tmp_path / "b" / "run_config.yaml").read_text()


def test_a_family_that_cannot_checkpoint_is_refused(checkpoint: Path) -> None:
    audio_model = load(checkpoint)
    with (
        mock.patch.object(type(audio_model.model), "supports_gradient_checkpointing", new=False),
        pytest.raises(ModelError, match=r"--gradient-checkpointing .*hubert"),
    ):
        enable_gradient_checkpointing(audio_model.model)


@pytest.mark.long
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles for a CPU with g++")
def test_a_compiled_model_gives_the_same_logits_and_is_saved_as_stock(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint("whisper", tmp_path / "given", encoder_layers=1)
    audio_model = load(folder)
    plain, names = score(audio_model), list(audio_model.model.state_dict())
    torch._dynamo.utils.counters.clear()
    compile_model(audio_model.model)
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    torch.testing.assert_close(score(audio_model), plain, rtol=0, atol=1e-4)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > before
    assert list(audio_model.model.state_dict()) == names
    audio_model.save(tmp_path / "saved")
    assert set(load_file(tmp_path / "saved" / "model.safetensors")) <= set(names)
    torch.testing.assert_close(score(load_for_inference(tmp_path / "saved")), plain)


def test_compile_reaches_the_network_of_a_run_and_not_what_is_saved(
    tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    def trace_only(call: Any, *_: Any, **__: Any) -> Any:  # noqa: ANN401 (stands for torch.compile)
        def run(*given: Any, **named: Any) -> Any:  # noqa: ANN401
            calls.append(1)
            return call(*given, **named)

        return run

    calls: list[int] = []
    with mock.patch("torch.compile", side_effect=trace_only):
        compiled = train(tone_folder, checkpoint, tmp_path / "a", compile=True, ema_decay=0.5)
    assert len(calls) == 1 + 4  # the trial, then every step; the average is judged as it is
    assert compiled == train(tone_folder, checkpoint, tmp_path / "b", ema_decay=0.5)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("a", "b"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_machine_without_a_compiler_is_reported_before_training(checkpoint: Path) -> None:
    audio_model = load(checkpoint)
    broken = mock.Mock(side_effect=RuntimeError("No working C++ compiler found\nlong trace"))
    with (
        mock.patch("torch.compile", return_value=broken),
        pytest.raises(SettingError, match=r"--compile .*No working C\+\+ compiler found .*Install"),
    ):
        compile_model(audio_model.model)
