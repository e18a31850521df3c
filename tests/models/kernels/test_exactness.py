"""Tests of audio_cls.models.kernels.exactness."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn
from transformers import AutoModel

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.kernels import install
from audio_cls.models.kernels.install import install_fast_kernels
from audio_cls.models.load import load_for_training
from audio_cls.models.probe import make_probe_noise

T: Any = transformers


class CausalConv1d(nn.Conv1d):
    """Pads on the left only, as streaming models do."""

    def forward(self, frames: Tensor) -> Tensor:
        """Convolve without looking ahead."""
        return super().forward(nn.functional.pad(frames, (self.kernel_size[0] - 1, 0)))


def make_long(kind: type[nn.Conv1d] = nn.Conv1d) -> nn.Conv1d:
    """Make a convolution as one over positions is."""
    return kind(4, 6, 33, groups=2)


def test_a_subclass_of_convolution_is_not_replaced() -> None:
    conv = make_long(CausalConv1d)
    frames = torch.randn(2, 4, 50)
    padded = nn.functional.pad(frames, (32, 0))
    expected = nn.functional.conv1d(padded, conv.weight, conv.bias, groups=2)
    assert install_fast_kernels(nn.Sequential(conv)) == 0
    torch.testing.assert_close(conv(frames), expected)


def test_a_forward_of_the_instance_is_kept() -> None:
    conv = make_long()
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

    monkeypatch.setattr(install, "_convolve_long", convolve)
    model = nn.Sequential(*(make_long() for _ in range(3)))
    with caplog.at_level(logging.INFO, logger="audio_cls"):
        assert install_fast_kernels(model) == 0
    assert len([r for r in caplog.records if "stock forward kept" in r.message]) == 1
    assert all("forward" not in vars(module) for module in model)


def test_comparing_leaves_modes_gradients_and_random_states_as_they_were() -> None:
    model = nn.Sequential(make_long(), make_long().eval())
    before = torch.get_rng_state()
    assert install_fast_kernels(model) == 2
    assert torch.equal(torch.get_rng_state(), before)
    assert [module.training for module in model] == [True, False]
    assert all(weight.grad is None for weight in model.parameters())


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
