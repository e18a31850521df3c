"""What a model wants to be given, found by trying it on noise; and how waves become just that.

A classifier and its feature extractor come in; `InputSpec` and a `WaveProcessor` go out. No family
is known by name, so that a new one needs no new line. Letters: B clips, T samples, F feature
frames, H width. Forming batches of equal length, where a model needs them, is the work of `data/`.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, SequenceFeatureExtractor

from audio_cls.audio.augmentation.spec_augment import FrameLayout
from audio_cls.config import Seconds
from audio_cls.errors import ModelError
from audio_cls.models.input_length import max_input_samples
from audio_cls.models.kernels.unpadded_conv import (
    find_feature_encoder,
    read_unpadded_encoder,
    run_by_length,
)
from audio_cls.models.processor import InputSpec, WaveProcessor

STEP_SECONDS: Seconds = 0.005  # resolution of the search for the shortest wave
MAX_PROBE_SECONDS: Seconds = 6.4  # a model that refuses this much noise refuses everything
LONGER: tuple[Seconds, ...] = (0.0, 0.01, 0.02, 0.12, 0.475, 1.31)  # the padding trial's clips
TWO = (0, 3)  # of them: so short that most of what padding can harm shows for little
PADDING_TOLERANCE = 1e-4  # of the largest pooled value, and never more than this absolutely


def probe_input_spec(
    model: PreTrainedModel, extractor: SequenceFeatureExtractor, *, use_mask: bool | None = None
) -> InputSpec:
    """Try a model on noise; weights, buffers, modes and random states are as before afterwards.

    Args:
        model: A classifier on the CPU. Where padding is harmless only if its convolutions leave it
            out, it is changed so that they do (`front.py`).
        extractor: Its feature extractor.
        use_mask: True or False decide about the mask, where the model takes one. None: what the
            extractor says, or its contrary if padding is harmless only then.

    Returns:
        The input specification. An extractor of fixed length pads safely by construction.

    Raises:
        ModelError: The model has no finite score even for seconds of noise.
    """
    input_name, rate = str(model.main_input_name), int(extractor.sampling_rate)
    own = bool(getattr(extractor, "return_attention_mask", False))
    with preserve_model_state(model):
        max_samples = _find_max_samples(extractor, input_name)
        is_fixed = max_samples is not None
        takes_mask = (
            not is_fixed and "attention_mask" in inspect.signature(model.forward).parameters
        )
        has_mask = takes_mask and (own if use_mask is None else use_mask)
        input_spec = InputSpec(
            input_name, rate, has_mask, is_fixed, min_samples=1, max_samples=max_samples
        )
        processor = WaveProcessor(extractor, input_spec)
        input_spec = replace(
            input_spec,
            min_samples=_find_min_samples(model, processor),
            feature_layout=find_feature_layout(processor),
        )
        if is_fixed:
            return input_spec
        if (
            read_unpadded_encoder(model) is not None
        ):  # of an earlier probe: padding was found to do harm
            return replace(input_spec, unpadded_encoder=read_unpadded_encoder(model))
        may_differ = takes_mask and use_mask is None
        for choice in (has_mask, not has_mask) if may_differ else (has_mask,):
            trial = replace(input_spec, has_mask=choice, pads_safely=True)
            if _is_padding_harmless(model, WaveProcessor(extractor, trial)):
                return trial
        if takes_mask and use_mask is not False:
            input_spec = _try_front(model, extractor, input_spec)
    return input_spec


def _try_front(model: PreTrainedModel, extractor: Any, input_spec: InputSpec) -> InputSpec:  # noqa: ANN401
    """Let the convolutions over the wave leave padding out, where that makes padding harmless.

    Returns:
        The specification with `front`, and the model changed; or both as they were.
    """
    name = find_feature_encoder(model)
    if name is None:
        return input_spec
    undo = run_by_length(model, name)
    trial = replace(input_spec, unpadded_encoder=name)
    if _is_padding_harmless(model, WaveProcessor(extractor, trial)):
        return trial
    undo()
    return input_spec


@contextmanager
def preserve_model_state(model: PreTrainedModel) -> Iterator[None]:
    """Put back random states, training modes and buffers (batch norm counts while training)."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # moments of noise: sharing them out costs more than it brings
    numpy_state = np.random.get_state()  # SpecAugment draws from numpy's global generator
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), torch.no_grad():
            warnings.simplefilter("ignore")  # too short a wave has no mean
            yield
    finally:
        torch.set_num_threads(threads)
        np.random.set_state(numpy_state)
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        for module, mode in modes:
            module.training = mode


class _Reached(Exception):
    """A forward pass has come to the module where it ends."""


@contextmanager
def stop_forward(module: nn.Module, *, after: bool) -> Iterator[list[Any]]:
    """End each forward pass in the block before or after a module; the block ends with it.

    Yields:
        An empty list, to which the module's output is added if the pass ends after it.
    """
    outputs: list[Any] = []

    def stop(_module: nn.Module, _args: object, *output: Any) -> None:  # noqa: ANN401
        outputs.extend(output)
        raise _Reached

    hook = (module.register_forward_hook if after else module.register_forward_pre_hook)(stop)
    try:
        yield outputs
    except _Reached:
        pass
    finally:
        hook.remove()


def make_probe_noise(num_samples: int) -> np.ndarray:
    """White noise, (T,) float32, the same each time and a prefix of any longer one."""
    noise = np.random.default_rng(0).standard_normal(num_samples, dtype=np.float32)
    return np.float32(0.1) * noise


def _find_max_samples(extractor: Any, input_name: str) -> int | None:  # noqa: ANN401
    """Return how much a fixed-length extractor hears; None where the length follows the wave."""
    rate = extractor.sampling_rate
    half, whole = (
        extractor(make_probe_noise(count), sampling_rate=rate, return_tensors="pt")[
            input_name
        ].shape
        for count in (rate // 2, rate)
    )
    return max_input_samples(extractor) if half == whole else None


def find_feature_layout(processor: WaveProcessor) -> FrameLayout | None:
    """Find the time axis of a processor's features; None where its output is waves.

    Two waves are compared: a second of noise followed by as much silence, and the reverse. Along
    time their difference is first positive, then negative; along frequency it cancels out. A model
    whose input is shorter than two seconds gets shorter waves.
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


Trial = Callable[[PreTrainedModel, WaveProcessor, int], bool]


def _find_min_samples(model: PreTrainedModel, processor: WaveProcessor) -> int:
    """Search for the shortest wave, to the sample, that the model has a finite score for.

    It is a little longer where training needs more frames than that (batch norm: two).
    """
    step = round(STEP_SECONDS * processor.input_spec.sampling_rate)
    works: Trial = _is_heard if processor.input_spec.max_samples else _has_score
    model.train(mode=False)
    enough = _search(works, model, processor, (4 * step, 1))
    model.train()
    if processor.input_spec.max_samples or _succeeds(_has_score, model, processor, enough):
        return enough
    return _search(_has_score, model, processor, (max(enough, 4 * step), step))


def _search(
    works: Trial, model: PreTrainedModel, processor: WaveProcessor, steps: tuple[int, int]
) -> int:
    """Return the least number of samples with which a trial succeeds.

    Args:
        works: The trial.
        model: What is tried.
        processor: What makes its inputs.
        steps: Samples to begin with, and how exact the result is to be.

    Raises:
        ModelError: Seconds of noise are not enough.
    """
    rate = processor.input_spec.sampling_rate
    enough, exact = steps
    too_short = 0
    while not _succeeds(works, model, processor, enough):
        if enough > MAX_PROBE_SECONDS * rate:
            works(model, processor, enough)  # raises what is wrong with the model, if anything
            raise ModelError(f"This model has no finite score for {enough / rate:g} s of noise.")
        too_short, enough = enough, 2 * enough
    while enough - too_short > exact:
        middle = (too_short + enough) // 2 // exact * exact
        if _succeeds(works, model, processor, middle):
            enough = middle
        else:
            too_short = middle
    return enough


def _succeeds(trial: Trial, model: PreTrainedModel, processor: WaveProcessor, count: int) -> bool:
    """Run a trial; an error that too short a wave provokes counts as no."""
    try:
        return trial(model, processor, count)
    except (RuntimeError, ValueError, IndexError, AssertionError):  # the last is torchaudio's
        return False


def _has_score(model: PreTrainedModel, processor: WaveProcessor, count: int) -> bool:
    """Forward one clip of `count` samples in the model's present mode."""
    logits: Tensor = model(**processor([make_probe_noise(count)])).logits
    return bool(logits.isfinite().all())


def _is_heard(_model: PreTrainedModel, processor: WaveProcessor, count: int) -> bool:
    """Tell whether `count` samples of sound give other features than as many of silence."""
    inputs = processor([make_probe_noise(count), np.zeros(count, np.float32)])
    sound, silence = inputs[processor.input_spec.input_name]
    return bool(sound.isfinite().all()) and not torch.equal(sound, silence)


def _is_padding_harmless(model: PreTrainedModel, processor: WaveProcessor) -> bool:
    """Compare what clips give alone and in one padded batch; two of them first, then all.

    The first three end on different frames: SEW squeezes frames in pairs and drops a last odd one.
    The last two are far longer: SeamlessM4T hears padding only then.
    """
    rate = processor.input_spec.sampling_rate
    shortest = max(processor.input_spec.min_samples, round(0.1 * rate))
    waves = [make_probe_noise(shortest + round(more * rate)) for more in LONGER]
    model.train(mode=False)
    return all(_gives_same(model, processor, part) for part in ([waves[n] for n in TWO], waves))


def _gives_same(model: PreTrainedModel, processor: WaveProcessor, waves: list[np.ndarray]) -> bool:
    """Tell whether waves give the same alone and in one batch."""
    alone = torch.cat([pooled_features(model, processor([wave])) for wave in waves])
    together = pooled_features(model, processor(waves))
    scale = min(1.0, float(alone.abs().max()))
    return bool((alone - together).abs().max() <= PADDING_TOLERANCE * scale)


def pooled_features(model: Any, inputs: dict[str, Tensor]) -> Tensor:  # noqa: ANN401
    """Return what the last layer is given, (B, H); a head that is still zero would hide it."""
    seen: list[Tensor] = []
    hook = model.classifier.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        model(**inputs)
    finally:
        hook.remove()
    return seen[0]
