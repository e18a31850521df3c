"""NumpyProcessor: waveforms -> model inputs as numpy arrays, without torch; see `WaveProcessor`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import AutoFeatureExtractor

from audio_cls.audio.waveform import Wave
from audio_cls.errors import ModelError
from audio_cls.inference.onnx.ast_features import AstFilterbank
from audio_cls.inference.onnx.session import OnnxInputSpec

PREPROCESSOR = "preprocessor_config.json"
DTYPES = {"attention_mask": np.int64}  # of inputs that are not float32


def load_extractor(folder: Path) -> Any:  # noqa: ANN401 (each family has its own class)
    """Return the feature extractor of a folder: own code for AST, else the class of transformers.

    Raises:
        ModelError: There is none, or it needs torch, which is not installed.
    """
    try:
        settings: Mapping[str, Any] = json.loads((folder / PREPROCESSOR).read_text("utf-8"))
        if settings.get("feature_extractor_type") == "ASTFeatureExtractor":
            return AstFilterbank(settings)
        make: Any = AutoFeatureExtractor.from_pretrained
        return make(folder)
    except (OSError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"The feature extractor in '{folder}' cannot be used: {reason}. Export the model again;"
            " where PyTorch is missing, install it: this family's feature extractor needs it."
        ) from error


@dataclass(frozen=True)
class NumpyProcessor:
    """Waveforms -> model inputs."""

    extractor: Any  # of transformers, or `AstFilterbank`
    input_spec: OnnxInputSpec

    def __call__(self, waves: Sequence[Wave]) -> dict[str, NDArray[Any]]:
        """Turn B mono waveforms, each (T_i,), at the model's rate, into one padded batch.

        Returns:
            As `WaveProcessor` does: the input under its name, float32, and, where the model takes
            it, `attention_mask`, int64.
        """
        spec, extract = self.input_spec, self.extractor
        options: dict[str, Any] = {} if spec.max_samples else {"padding": True}
        by_mask = bool(getattr(extract, "do_ceptral_normalize", False))
        inputs = extract(
            [_pad(np.asarray(wave, np.float32), spec.min_samples) for wave in waves],
            sampling_rate=extract.sampling_rate,
            return_attention_mask=spec.has_mask or by_mask,
            return_tensors="np",
            **options,
        )
        names = [spec.input_name, *(["attention_mask"] if spec.has_mask else [])]
        return {
            name: np.ascontiguousarray(inputs[name], DTYPES.get(name, np.float32)) for name in names
        }


def _pad(wave: Wave, min_samples: int) -> Wave:
    """Append zeros to a waveform (T,) that is shorter than `min_samples`."""
    return np.pad(wave, (0, max(0, min_samples - len(wave))))
