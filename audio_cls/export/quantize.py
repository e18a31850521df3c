"""int8 weights of an ONNX file, and how often its labels agree with those of the float32 file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio_cls.audio.waveform import Wave
from audio_cls.inference.onnx.classifier import OnnxClassifier

# Convolutions stay in float32: ONNX Runtime's int8 convolution is several times slower.
QUANTIZED = ["MatMul", "Gemm"]


@dataclass(frozen=True)
class Agreement:
    """int8 against float32 on N clips."""

    num_clips: int
    num_equal: int  # clips with the same label, or the same labels if multi-label
    largest: float  # difference of a probability


def quantize(source: Path, target: Path) -> None:
    """Write a file whose matrix products have int8 weights, with a scale per output channel.

    Weights are from -64 to 64 (7 bits): processors without the instructions VNNI add pairs of
    products in 16 bits, and would cut the sums of larger ones off without an error.

    Args:
        source: A float32 ONNX file.
        target: Where to write.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)  # advice for developers, which comes from the root logger
    try:
        quantize_dynamic(
            source,
            target,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            op_types_to_quantize=QUANTIZED,
        )
    finally:
        root.setLevel(before)


def measure_agreement(folder: Path, waves: Sequence[Wave]) -> Agreement:
    """Compare `onnx/model_quantized.onnx` with `onnx/model.onnx` of a folder.

    Args:
        folder: An export.
        waves: N clips at the model's rate, (T,) each.
    """
    exact = OnnxClassifier.from_pretrained(folder, calibrate=False)
    int8 = OnnxClassifier.from_pretrained(folder, calibrate=False, int8=True)
    inputs = [(wave, exact.sampling_rate) for wave in waves]
    pairs = list(zip(exact(inputs), int8(inputs), strict=True))
    differences = [
        np.abs(np.subtract(list(a.scores.values()), list(b.scores.values()))).max()
        for a, b in pairs
        if a.scores and b.scores
    ]
    num_equal = sum(a.label == b.label for a, b in pairs)
    return Agreement(len(pairs), num_equal, float(max(differences)))
