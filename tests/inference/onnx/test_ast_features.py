"""Features of AST: the numbers of the stock extractor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from transformers import ASTFeatureExtractor

from audio_cls.inference.onnx.ast_features import AstFilterbank

SETTINGS: list[dict[str, Any]] = [
    {},
    {"num_mel_bins": 32, "max_length": 306},
    {"do_normalize": False},
    {"sampling_rate": 32_000, "mean": -3.0, "std": 2.0},
]


@pytest.mark.filterwarnings("ignore:At least one mel filter")
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("num_samples", [400, 559, 560, 16_000, 200_000])
def test_features_are_those_of_the_stock_extractor(
    settings: dict[str, Any], num_samples: int
) -> None:
    stock: Any = ASTFeatureExtractor(**settings)
    wave = np.random.default_rng(0).normal(0, 0.1, num_samples).astype(np.float32)
    wave[num_samples // 2 :] = 0  # digital silence has the smallest energy
    waves = [wave, 0.5 + 0.1 * wave]  # and an offset
    rate = stock.sampling_rate
    expected = stock(waves, sampling_rate=rate, return_tensors="np")["input_values"]
    given = AstFilterbank(stock.to_dict())(waves, sampling_rate=rate)["input_values"]
    assert given.shape == expected.shape
    assert given.dtype == np.float32
    np.testing.assert_allclose(given, expected, atol=2e-6)


def test_another_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="16000 Hz, not 8000"):
        AstFilterbank({})([np.zeros(800, np.float32)], sampling_rate=8000)
