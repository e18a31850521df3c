"""Tests of audio_cls.models.kernels.exactness."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_outside import write_tiny_outside
from torch import Tensor, nn
from transformers import AutoModel
from transformers.models.hubert.modeling_hubert import HubertAttention

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.kernels import install
from audio_cls.models.kernels.attention import attend
from audio_cls.models.kernels.install import install_fast_kernels
from audio_cls.models.load import load_for_training
from audio_cls.models.probe import make_probe_noise

T: Any = transformers


class CausalConv1d(nn.Conv1d):
    """Pads on the left only, as streaming models do."""

    def forward(self, frames: Tensor) -> Tensor:
        """Convolve without looking ahead."""
        return super().forward(nn.functional.pad(frames, (self.kernel_size[0] - 1, 0)))


class HalvingDropout(nn.Dropout):
    """Drops nothing, but halves."""

    def forward(self, values: Tensor) -> Tensor:
        """Halve."""
        return values / 2


def test_subclasses_of_convolution_and_dropout_are_not_replaced() -> None:
    conv = CausalConv1d(4, 6, 3)
    frames = torch.randn(2, 4, 50)
    expected = nn.functional.conv1d(nn.functional.pad(frames, (2, 0)), conv.weight, conv.bias)
    drop = HalvingDropout(0.5)
    large = torch.ones(2**17)
    assert install_fast_kernels(nn.Sequential(conv, drop)) == 0
    torch.testing.assert_close(conv(frames), expected)
    assert bool((drop(large) == 0.5).all())


def test_a_forward_of_the_instance_is_kept() -> None:
    conv = nn.Conv1d(4, 6, 3)
    vars(conv)["forward"] = lambda frames: 2 * frames
    assert install_fast_kernels(conv) == 0
    assert float(conv(torch.ones(1))) == 2


@pytest.mark.parametrize("fault", ["output", "gradient", "shape", "error"])
def test_a_method_with_other_results_is_not_used_and_this_is_logged_once(
    fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def convolve(self: nn.Conv1d, frames: Tensor) -> Tensor:
        if fault == "error":
            raise RuntimeError("no")
        out = type(self).forward(self, frames.detach() if fault == "gradient" else frames)
        if fault == "output":
            out = out * 1.01
        return out[..., 1:] if fault == "shape" else out

    monkeypatch.setattr(install, "_convolve", convolve)
    model = nn.Sequential(*(nn.Conv1d(4, 4, 3) for _ in range(3)))
    with caplog.at_level(logging.INFO, logger="audio_cls"):
        assert install_fast_kernels(model) == 0
    assert len([r for r in caplog.records if "stock forward kept" in r.message]) == 1
    assert all("forward" not in vars(module) for module in model)


def test_comparing_leaves_modes_gradients_and_random_states_as_they_were() -> None:
    model = nn.Sequential(nn.Conv1d(4, 4, 3), nn.Conv1d(4, 4, 3).eval())
    before = torch.get_rng_state()
    assert install_fast_kernels(model) == 2
    assert torch.equal(torch.get_rng_state(), before)
    assert [module.training for module in model] == [True, False]
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("is_known", [True, False])
def test_a_trainable_bias_passed_as_mask_gets_the_gradient_of_sdpa(is_known: bool) -> None:  # noqa: FBT001
    config = T.HubertConfig(hidden_size=8, num_attention_heads=2)
    module = HubertAttention(8, 2, config=config) if is_known else nn.Module()
    module.is_causal = False
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 2, 9, 4, requires_grad=True) for _ in range(3))
    bias = torch.randn(2, 2, 9, 9, requires_grad=True)
    torch.manual_seed(1)
    out, _ = attend(module, query, key, value, bias, dropout=0.1)
    found = torch.autograd.grad(out.square().sum(), (query, bias))
    torch.manual_seed(1)
    stock = nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=bias, dropout_p=0.1
    ).transpose(1, 2)
    expected = torch.autograd.grad(stock.square().sum(), (query, bias))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert float(found[1].abs().max()) > 0


def test_parakeet_has_the_gradients_of_transformers(tmp_path: Path) -> None:
    write_tiny_outside("parakeet_ctc", tmp_path)
    audio_model = load_for_training(
        open_checkpoint(ModelConfig(model=str(tmp_path))), AudioConfig(max_seconds=1.0), ("a", "b")
    )
    own: Any = audio_model.model
    stock: Any = copy.deepcopy(own)
    stock.set_attn_implementation("sdpa")
    for module in stock.modules():
        vars(module).pop("forward", None)
    inputs = audio_model.processor([make_probe_noise(16_000)])
    found = []
    for model in (own, stock):
        model.train()
        torch.manual_seed(0)
        model(**inputs).logits.square().sum().backward()
        found.append({name: weight.grad for name, weight in model.named_parameters()})
    compared = 0
    for name, grad in found[1].items():
        if grad is not None and "self_attn" in name and grad.abs().max() > 0:
            assert (found[0][name] - grad).abs().max() <= 1e-3 * grad.abs().max() + 1e-7, name
            compared += 1
    assert compared >= 10


def make_moonshine_streaming() -> tuple[Any, Any]:
    """Return a tiny configuration and the family's extractor."""
    encoder = T.MoonshineStreamingEncoderConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, sliding_windows=[[16, 4], [16, 0]], attention_dropout=0.1,
    )  # fmt: skip
    config = T.MoonshineStreamingConfig(
        encoder_config=encoder, vocab_size=20, hidden_size=16, intermediate_size=16,
        num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
    )  # fmt: skip
    return config, T.Wav2Vec2FeatureExtractor(return_attention_mask=True)


def make_voxtral_realtime() -> tuple[Any, Any]:
    """Return a tiny configuration and the family's extractor."""
    audio = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_mel_bins": 20, "head_dim": 8, "vocab_size": 20,
    }  # fmt: skip
    text = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "vocab_size": 20,
        "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8,
    }  # fmt: skip
    config = T.VoxtralRealtimeConfig(audio_config=audio, text_config=text)
    return config, T.VoxtralRealtimeFeatureExtractor(feature_size=20)


@pytest.mark.parametrize("make", [make_moonshine_streaming, make_voxtral_realtime])
def test_causal_encoders_load_and_give_the_states_of_transformers(
    make: Callable[[], tuple[Any, Any]], tmp_path: Path
) -> None:
    config, extractor = make()
    torch.manual_seed(0)
    whole: Any = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    whole.save_pretrained(tmp_path)
    extractor.save_pretrained(tmp_path)
    audio_model = load_for_training(
        open_checkpoint(ModelConfig(model=str(tmp_path))), AudioConfig(max_seconds=1.0), ("a", "b")
    )
    own: Any = audio_model.model
    stock = next(one for one in whole.modules() if type(one) is type(own.encoder)).eval()
    inputs = audio_model.processor([make_probe_noise(16_000)])
    with torch.no_grad():
        found = own.encoder(**inputs).last_hidden_state
        expected = stock(**inputs).last_hidden_state
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
