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
    """What a model wants to be given."""

    input_name: str  # "input_values" or "input_features"
    sampling_rate: Hertz
    has_mask: bool  # an attention_mask goes into the model
    pads_safely: bool  # a clip's logits do not depend on the longer clips in its batch
    min_samples: int  # shortest wave that the model takes; zeros fill up shorter ones
    max_samples: int | None  # longest wave that is heard in full; None: no limit
    feature_layout: FrameLayout | None = None  # of a spectrogram; None where the input is waves
    unpadded_encoder: str | None = (
        None  # the module that leaves padding out, so that a mask is exact (front)
    )

    @property
    def trains_padded(self) -> bool:
        """Tell whether clips of unequal length may share a batch, each as if it were alone."""
        return self.pads_safely or self.unpadded_encoder is not None


@dataclass(frozen=True)
class WaveProcessor:
    """Waves become model inputs. Holds no weights: it can be pickled into loader workers."""

    extractor: SequenceFeatureExtractor
    input_spec: InputSpec

    def __call__(self, waves: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """Turn clips into one padded batch.

        Args:
            waves: B mono clips, each (T_i,), float32, at `input_spec.sampling_rate` Hz. One shorter
                than `input_spec.min_samples` is filled up with zeros, which count as sound; one
                longer than `input_spec.max_samples` loses its end.

        Returns:
            The batch under `input_spec.input_name`, (B, T) or (B, F, ...) float32, and, where the
            model takes it, `attention_mask`, (B, T) or (B, F) int, 1 = sound; with
            `input_spec.unpadded_encoder` also where clips differ in length.
        """
        input_spec = self.input_spec
        waves = [_fill_up(wave, input_spec.min_samples) for wave in waves]
        is_masked = input_spec.has_mask or (
            input_spec.unpadded_encoder is not None and len({len(wave) for wave in waves}) > 1
        )
        # An extractor with a limit pads every clip up to it by itself; told to pad, it would not.
        options: dict[str, Any] = {} if input_spec.max_samples else {"padding": True}
        extract: Any = self.extractor
        # An extractor that levels by the mask (Speech2Text) needs one even if the model does not.
        levels = bool(getattr(extract, "do_ceptral_normalize", False))
        inputs = extract(
            waves,
            sampling_rate=input_spec.sampling_rate,
            return_attention_mask=is_masked or levels,
            return_tensors="pt",
            **options,
        )
        names = [input_spec.input_name, *(["attention_mask"] if is_masked else [])]
        return {name: inputs[name] for name in names}


def _fill_up(wave: np.ndarray, min_samples: int) -> np.ndarray:
    """Append zeros to a wave (T,) that is shorter than `min_samples`."""
    wave = np.asarray(wave, dtype=np.float32)
    return np.pad(wave, (0, min_samples - len(wave))) if len(wave) < min_samples else wave
