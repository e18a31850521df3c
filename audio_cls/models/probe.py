"""Probe: find a model's input specification by running it on noise.

No model family is known by name: a new one needs no change here. Letters: B clips, T samples,
F feature frames, H hidden size.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, SequenceFeatureExtractor

from audio_cls.config import Seconds
from audio_cls.errors import ModelError
from audio_cls.models.input_length import max_input_samples
from audio_cls.models.kernels.unpadded_conv import (
    find_feature_encoder,
    read_unpadded_encoder,
    run_by_length,
)
from audio_cls.models.processor import (
    MAX_PROBE_SECONDS,
    InputSpec,
    WaveProcessor,
    find_feature_layout,
)

STEP_SECONDS: Seconds = 0.005  # resolution of the search for the shortest wave
# Lengths beyond the shortest, of the clips that test padding. The first three end on different
# frames (SEW squeezes pairs of frames); the last two show the effect of padding on SeamlessM4T.
PADDING_TRIAL: tuple[Seconds, ...] = (0.0, 0.01, 0.02, 0.12, 0.475, 1.31)
SHORT_TRIAL = (0, 3)  # of them: enough to reject most models at little cost
PADDING_TOLERANCE = 1e-4  # of the largest pooled feature, and absolute


def probe_input_spec(
    model: PreTrainedModel,
    extractor: SequenceFeatureExtractor,
    *,
    use_mask: bool | None = None,
    is_trained: bool = True,
) -> InputSpec:
    """Find a model's input specification. Its state is as before afterwards.

    Args:
        model: A classifier on the CPU. It is changed if padding is harmless only where its feature
            encoder is run without it (kernels/unpadded_conv.py).
        extractor: Its feature extractor.
        use_mask: Whether an attention mask is passed to a model that takes one. None: the
            extractor's setting, or the opposite if padding is harmless only then.
        is_trained: False: an unpadded encoder, which evaluation does not use, is not tried.

    Returns:
        The input specification. An extractor of fixed length pads safely by construction.

    Raises:
        ModelError: The model gives no finite logits even for seconds of noise.
    """
    input_name, rate = str(model.main_input_name), int(extractor.sampling_rate)
    default = bool(getattr(extractor, "return_attention_mask", False))
    with preserve_model_state(model):
        limit = _find_max_samples(extractor, input_name)
        is_fixed = limit is not None
        names = inspect.signature(model.forward).parameters
        takes_mask = not is_fixed and "attention_mask" in names
        has_mask = takes_mask and (default if use_mask is None else use_mask)
        spec = InputSpec(input_name, rate, has_mask, is_fixed, min_samples=1, max_samples=limit)
        processor = WaveProcessor(extractor, spec)
        input_spec = replace(
            spec,
            min_samples=_find_min_samples(model, processor),
            feature_layout=find_feature_layout(processor),
        )
        if is_fixed:
            return input_spec
        if name := read_unpadded_encoder(model):  # set by an earlier probe
            return replace(input_spec, unpadded_encoder=name)
        may_differ = takes_mask and use_mask is None
        for choice in (has_mask, not has_mask) if may_differ else (has_mask,):
            trial = replace(input_spec, has_mask=choice, pads_safely=True)
            if _is_padding_harmless(model, WaveProcessor(extractor, trial)):
                return trial
        if is_trained and takes_mask and use_mask is not False:
            return _try_unpadded_encoder(model, WaveProcessor(extractor, input_spec))
    return input_spec


def _try_unpadded_encoder(model: PreTrainedModel, processor: WaveProcessor) -> InputSpec:
    """Run the feature encoder without padding, if that makes padding harmless.

    Returns:
        The specification with `unpadded_encoder`, and the model changed; or both as they were.
    """
    name = find_feature_encoder(model)
    if name is None:
        return processor.input_spec
    undo = run_by_length(model, name)
    trial = replace(processor.input_spec, unpadded_encoder=name)
    if _is_padding_harmless(model, replace(processor, input_spec=trial)):
        return trial
    undo()
    return processor.input_spec


@contextmanager
def preserve_model_state(model: PreTrainedModel) -> Iterator[None]:
    """Keep random states, modes and buffers (batch norm's); fix the seed; use all layers."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several threads are slower on inputs as short as these
    numpy_state = np.random.get_state()  # SpecAugment draws from numpy's global generator
    drops = {n: share for n, share in vars(model.config).items() if n.endswith("layerdrop")}
    vars(model.config).update(dict.fromkeys(drops, 0.0))  # a skipped layer cannot fail
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), torch.no_grad():
            warnings.simplefilter("ignore")  # of the mean of a waveform that is too short
            torch.manual_seed(0)
            np.random.seed(0)
            yield
    finally:
        torch.set_num_threads(threads)
        np.random.set_state(numpy_state)
        vars(model.config).update(drops)
        for buffer, before in buffers:
            buffer.copy_(before)
        for module, mode in modes:
            module.training = mode


class _Reached(Exception):
    """Raised to end a forward pass at a module."""


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

    register = module.register_forward_hook if after else module.register_forward_pre_hook
    with register(stop), suppress(_Reached):
        yield outputs


def make_probe_noise(num_samples: int) -> np.ndarray:
    """Return white noise, (T,) float32: always the same, and a prefix of any longer one."""
    noise = np.random.default_rng(0).standard_normal(num_samples, dtype=np.float32)
    return np.float32(0.1) * noise


def _find_max_samples(extractor: Any, input_name: str) -> int | None:  # noqa: ANN401
    """Return the input length of a fixed-length extractor; None where it follows the clip."""
    rate = extractor.sampling_rate
    waves = make_probe_noise(rate // 2), make_probe_noise(rate)
    half, full = (extractor(one, sampling_rate=rate, return_tensors="pt") for one in waves)
    is_fixed = half[input_name].shape == full[input_name].shape
    return max_input_samples(extractor) if is_fixed else None


Trial = Callable[[PreTrainedModel, WaveProcessor, int], bool]


def _find_min_samples(model: PreTrainedModel, processor: WaveProcessor) -> int:
    """Find the shortest waveform, to the sample, for which the model gives finite logits.

    It is up to 5 ms longer where training needs more frames than evaluation (batch norm: two).
    """
    step = round(STEP_SECONDS * processor.input_spec.sampling_rate)
    works: Trial = _has_features if processor.input_spec.max_samples else _has_score
    model.train(mode=False)
    enough = _search(works, model, processor, (4 * step, 1))
    model.train()
    if processor.input_spec.max_samples or _succeeds(_has_score, model, processor, enough):
        return enough
    return _search(_has_score, model, processor, (max(enough, 4 * step), step))


def _search(
    works: Trial, model: PreTrainedModel, processor: WaveProcessor, steps: tuple[int, int]
) -> int:
    """Return the least number of samples with which a trial succeeds, by binary search.

    Args:
        works: The trial.
        model: A classifier.
        processor: Of its inputs.
        steps: Number of samples to begin with, and resolution of the result in samples.

    Raises:
        ModelError: Seconds of noise are not enough.
    """
    rate = processor.input_spec.sampling_rate
    (enough, exact), too_short = steps, 0
    while not _succeeds(works, model, processor, enough):
        if enough > MAX_PROBE_SECONDS * rate:
            works(model, processor, enough)  # raises the model's error, if that is the cause
            raise ModelError(
                f"The model's scores for {enough / rate:g} s of noise are not finite: its"
                " weights cannot be used. Choose another model."
            )
        too_short, enough = enough, 2 * enough
    while enough - too_short > exact:
        middle = (too_short + enough) // 2 // exact * exact
        if _succeeds(works, model, processor, middle):
            enough = middle
        else:
            too_short = middle
    return enough


def _succeeds(trial: Trial, model: PreTrainedModel, processor: WaveProcessor, count: int) -> bool:
    """Run a trial; an error, as for a waveform that is too short, counts as failure."""
    try:
        return trial(model, processor, count)
    except (RuntimeError, ValueError, IndexError, AssertionError):  # the last is torchaudio's
        return False


def _has_score(model: PreTrainedModel, processor: WaveProcessor, count: int) -> bool:
    """Return True if features and logits of `count` samples are finite, in the current mode.

    A model can mask a frame that is not finite: its gradient is still not finite.
    """
    inputs = processor([make_probe_noise(count)])
    logits: Tensor = model(**inputs).logits
    return all(
        bool(one.isfinite().all()) for one in (inputs[processor.input_spec.input_name], logits)
    )


def _has_features(_model: PreTrainedModel, processor: WaveProcessor, count: int) -> bool:
    """Return True if `count` samples of noise and of silence give different finite features."""
    inputs = processor([make_probe_noise(count), np.zeros(count, np.float32)])
    noise, silence = inputs[processor.input_spec.input_name]
    return bool(noise.isfinite().all()) and not torch.equal(noise, silence)


def _is_padding_harmless(model: PreTrainedModel, processor: WaveProcessor) -> bool:
    """Return True if clips give the same pooled features alone and in one padded batch."""
    rate = processor.input_spec.sampling_rate
    shortest = max(processor.input_spec.min_samples, round(0.1 * rate))
    waves = [make_probe_noise(shortest + round(more * rate)) for more in PADDING_TRIAL]
    model.train(mode=False)
    trials = ([waves[n] for n in SHORT_TRIAL], waves)
    return all(_is_same_alone(model, processor, trial) for trial in trials)


def _is_same_alone(
    model: PreTrainedModel, processor: WaveProcessor, waves: list[np.ndarray]
) -> bool:
    """Return True if waveforms give the same pooled features alone and in one batch."""
    alone = torch.cat([pooled_features(model, processor([wave])) for wave in waves])
    together = pooled_features(model, processor(waves))
    scale = min(1.0, float(alone.abs().max()))
    return bool((alone - together).abs().max() <= PADDING_TOLERANCE * scale)


def pooled_features(model: Any, inputs: dict[str, Tensor]) -> Tensor:  # noqa: ANN401
    """Return the input of the last layer, (B, H); zero weights there would hide it in logits."""
    with record_input(model.classifier) as seen:
        model(**inputs)
    return seen[0]


@contextmanager
def record_input(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Yield a list that gets the input of a layer in each forward pass of the block."""
    inputs: list[Tensor] = []
    with layer.register_forward_pre_hook(lambda _, args: inputs.append(args[0])):
        yield inputs
