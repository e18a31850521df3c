"""WaveProcessor: waveforms -> model inputs (padding, mask, normalisation); InputSpec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor
from transformers import SequenceFeatureExtractor

from audio_cls.audio.augmentation.spec_augment import FrameLayout
from audio_cls.config import Hertz


@dataclass(frozen=True)
class InputSpec:
    """The inputs that a model takes; found by `probe_input_spec`."""

    input_name: str  # "input_values" or "input_features"
    sampling_rate: Hertz
    has_mask: bool  # an attention_mask is passed to the model
    pads_safely: bool  # a clip's logits do not depend on longer clips in its batch
    min_samples: int  # shortest waveform that the model takes; zeros are added to shorter ones
    max_samples: int | None  # what comes after them is cut off; None: no limit
    feature_layout: FrameLayout | None = None  # of a spectrogram; None where the input is waveforms
    # Name of the feature encoder that is run without padding, which makes a mask exact; None where
    # the model does not need that, or where it does not help. See kernels/unpadded_conv.py.
    unpadded_encoder: str | None = None

    @property
    def trains_padded(self) -> bool:
        """Return True if clips of unequal length can share a batch without changing a result."""
        return self.pads_safely or self.unpadded_encoder is not None


@dataclass(frozen=True)
class WaveProcessor:
    """Waveforms -> model inputs. Has no weights: it can be pickled into loader workers."""

    extractor: SequenceFeatureExtractor
    input_spec: InputSpec

    def __call__(self, waves: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """Turn clips into one padded batch.

        Args:
            waves: B mono clips, each (T_i,), float32, at `input_spec.sampling_rate` Hz. Zeros are
                appended to one shorter than `input_spec.min_samples`; they count as audio. One
                longer than `input_spec.max_samples` loses its end.

        Returns:
            The batch under `input_spec.input_name`, (B, T) or (B, F, ...) float32, and, where the
            model takes it, `attention_mask`, (B, T) or (B, F) int, 1 = audio; with
            `input_spec.unpadded_encoder` also where clips differ in length.
        """
        spec = self.input_spec
        waves = [_pad_to_minimum(wave, spec.min_samples) for wave in waves]
        is_unequal = len({len(wave) for wave in waves}) > 1
        is_masked = spec.has_mask or (spec.unpadded_encoder is not None and is_unequal)
        # With a fixed length, the extractor pads to it by default; `padding=True` would prevent it.
        options: dict[str, Any] = {} if spec.max_samples else {"padding": True}
        extract: Any = self.extractor
        # Speech2Text normalises by the mask, and needs one even if the model takes none.
        normalizes_by_mask = bool(getattr(extract, "do_ceptral_normalize", False))
        inputs = extract(
            waves,
            sampling_rate=spec.sampling_rate,
            return_attention_mask=is_masked or normalizes_by_mask,
            return_tensors="pt",
            **options,
        )
        names = [spec.input_name, *(["attention_mask"] if is_masked else [])]
        return {name: inputs[name] for name in names}


def _pad_to_minimum(wave: np.ndarray, min_samples: int) -> np.ndarray:
    """Append zeros to a waveform (T,) that is shorter than `min_samples`."""
    wave = np.asarray(wave, dtype=np.float32)
    return np.pad(wave, (0, min_samples - len(wave))) if len(wave) < min_samples else wave
