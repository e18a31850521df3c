"""WaveProcessor: waveforms -> model inputs (padding, mask, normalisation); InputSpec."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, SequenceFeatureExtractor
from transformers import __version__ as transformers_version

from audio_cls import __version__
from audio_cls.audio.augmentation.spec_augment import FrameLayout
from audio_cls.config import Hertz, Seconds

MAX_PROBE_SECONDS: Seconds = 6.4  # the shortest waveform of a model is searched up to this length
RECORDED = ("has_mask", "pads_safely", "min_samples")  # fields that need runs of the model


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


def find_feature_layout(processor: WaveProcessor) -> FrameLayout | None:
    """Find the time axis of a processor's features; None where its output is waveforms.

    Two waveforms are compared: a second of noise followed by a second of silence, and the reverse.
    Along time their difference is first positive, then negative; along frequency it cancels out. A
    model whose input is shorter than two seconds gets shorter waveforms.
    """
    spec = processor.input_spec
    half = min(spec.sampling_rate, (spec.max_samples or math.inf) // 2)
    noise = np.random.default_rng(0).normal(0, 0.1, int(half)).astype(np.float32)
    silence = np.zeros_like(noise)
    waves = [np.concatenate([noise, silence]), np.concatenate([silence, noise])]
    features = processor(waves)[spec.input_name]
    if features.ndim != 3:
        return None
    difference = (features[0] - features[1]).double().numpy()
    profiles = [difference.mean(axis=1), difference.mean(axis=0)]
    axis = int(np.argmax([profile.var() for profile in profiles]))
    num_frames = int(np.abs(np.cumsum(profiles[axis])).argmax()) + 1  # of the first half
    return FrameLayout(spec.input_name, 1 + axis, num_frames * spec.sampling_rate / len(noise))


def record_input_spec(spec: InputSpec) -> dict[str, Any] | None:
    """Return what a probe found by running the model, for config.json; see `recall_input_spec`.

    None for a model of fixed input length, which a probe need not run.
    """
    if spec.max_samples is not None:
        return None
    return {"found_by": _list_versions(), **{name: getattr(spec, name) for name in RECORDED}}


def recall_input_spec(
    record: object, model: PreTrainedModel, extractor: SequenceFeatureExtractor
) -> InputSpec | None:
    """Return the input specification that training recorded: the one of its evaluation.

    Args:
        record: Of config.json, made by `record_input_spec`.
        model: The classifier.
        extractor: Its feature extractor.

    Returns:
        None, so that the model is probed, where there is no record, or one of other versions of the
        libraries or of another feature extractor.
    """
    if not isinstance(record, Mapping) or record.get("found_by") != _list_versions():
        return None
    values: list[Any] = [record.get(name) for name in RECORDED]
    has_mask, pads_safely, min_samples = values
    longest = 2 * MAX_PROBE_SECONDS * extractor.sampling_rate
    is_valid = (
        has_mask is bool(getattr(extractor, "return_attention_mask", False))
        and isinstance(pads_safely, bool)
        and isinstance(min_samples, int)
        and 0 < min_samples <= longest
    )
    if not is_valid:
        return None
    name, rate = str(model.main_input_name), int(extractor.sampling_rate)
    spec = InputSpec(name, rate, has_mask, pads_safely, min_samples, max_samples=None)
    return replace(spec, feature_layout=find_feature_layout(WaveProcessor(extractor, spec)))


def _list_versions() -> str:
    """Return the versions on which the result of a probe depends."""
    torch_version = torch.__version__.partition("+")[0]  # without the kind of device
    return f"audio_cls {__version__}, transformers {transformers_version}, torch {torch_version}"
