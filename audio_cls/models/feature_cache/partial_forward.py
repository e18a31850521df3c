"""Partial forward pass: the model starts after its frozen modules, from their cached output.

`plan_partial_forward` finds the tensors of the frozen modules' output that the rest of the model
uses, and checks that the rest gives the same logits from them alone. `enable_partial_forward` lets
the model start there when it is called with `cached_features` instead of audio. Saved weights and
calls with audio do not change. Letters: B clips, F frames (1 where the output has no time axis),
D values per frame.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from audio_cls.config import Seconds
from audio_cls.models.feature_cache.output_layout import (
    FrozenOutputLayout,
    Place,
    build_output,
    list_tensors,
)
from audio_cls.models.probe import (
    make_probe_noise,
    pooled_features,
    preserve_model_state,
    stop_forward,
)
from audio_cls.models.processor import WaveProcessor

CACHED_FEATURES = "cached_features"  # name of the model's argument
TOLERANCE = 1e-4  # of the largest pooled feature: differences by rounding are smaller
# Beyond the shortest; two lengths show the time axis, also of encoders with 0.1 s per frame.
TRIALS: tuple[Seconds, Seconds] = (0.1, 0.35)


@dataclass(frozen=True)
class CachedFeatureProcessor(WaveProcessor):
    """Cached rows -> model inputs; waveforms as in WaveProcessor."""

    layout: FrozenOutputLayout
    lengths: Mapping[int, int]  # F -> a length of the model's input that gives F frames

    def __call__(self, waves: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """Turn the rows (F_i, D) of B clips into one padded batch: `cached_features`, (B, F, D).

        The attention mask of the input is added where the model takes one, or where clips have
        different numbers of frames: the frozen modules were run on batches of equal length, so that
        a mask is exact where `input_spec.trains_padded` is true.
        """
        if waves[0].ndim == 1:
            return super().__call__(waves)
        rows = [torch.from_numpy(wave) for wave in waves]
        inputs = {CACHED_FEATURES: nn.utils.rnn.pad_sequence(rows, batch_first=True)}
        counts = [len(row) for row in rows]
        if self.input_spec.has_mask or len(set(counts)) > 1:
            ends = torch.tensor([self.lengths[count] for count in counts])
            width = max(counts) if self.layout.is_mask_framed else int(ends.max())
            inputs["attention_mask"] = (torch.arange(width) < ends[:, None]).long()
        return inputs


def plan_partial_forward(
    model: PreTrainedModel, processor: WaveProcessor, names: tuple[str, ...]
) -> FrozenOutputLayout | None:
    """Find the output of the frozen modules from which a model can start.

    The model's state is as before afterwards.

    Returns:
        The layout of that output; None where the rest of the model does not give the same logits.
    """
    rate, shortest = processor.input_spec.sampling_rate, processor.input_spec.min_samples
    takes_mask = "attention_mask" in inspect.signature(model.forward).parameters
    with preserve_model_state(model):
        model.train(mode=False)
        trials = []
        for more in TRIALS:
            inputs = processor([make_probe_noise(shortest + round(more * rate))])
            trials.append({name: value.to(model.device) for name, value in inputs.items()})
        outputs = [run_frozen(model, names, trial) for trial in trials]
        layout = _describe_output(names, processor.input_spec.input_name, trials[0], outputs)
        try:
            used = [p for p in layout.places if _is_used(model, layout, trials[0], outputs[0], p)]
        except (RuntimeError, ValueError):  # what runs besides the frozen modules needs the audio
            return None
        kept = [layout.places.index(place) for place in used]
        shapes = tuple(layout.shapes[number] for number in kept)
        if not used or len({-1 in shape for shape in shapes}) > 1:
            return None
        orders = tuple(layout.orders[number] for number in kept)
        layout = replace(layout, places=tuple(used), shapes=shapes, orders=orders)
        is_same = _gives_same(model, layout, trials)
    has_mask = takes_mask and (processor.input_spec.has_mask or len(layout.input_shape) == 1)
    is_exact = has_mask or not layout.has_time or not processor.input_spec.trains_padded
    return layout if is_same and is_exact else None


def _describe_output(
    names: tuple[str, ...],
    input_name: str,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[Any],
) -> FrozenOutputLayout:
    """Return the layout of the frozen modules' outputs for two clips of different length."""
    first, second = (list_tensors(output) for output in outputs)
    shapes = tuple(_read_shape(first[place], second[place]) for place in first)
    kind = None if isinstance(outputs[0], Tensor) else type(outputs[0])
    mask = inputs.get("attention_mask")
    is_framed = mask is not None and any(
        -1 in shape and tensor.shape[1 + shape.index(-1)] == mask.shape[1]
        for tensor, shape in zip(first.values(), shapes, strict=True)
    )
    return FrozenOutputLayout(
        names=names,
        input_name=input_name,
        input_shape=tuple(inputs[input_name].shape[1:]),
        kind=kind,
        places=tuple(first),
        shapes=shapes,
        orders=tuple(_read_order(tensor) for tensor in first.values()),
        all_places=tuple(first),
        is_mask_framed=is_framed,
    )


def run_frozen(model: Any, names: Sequence[str], inputs: Mapping[str, Tensor]) -> Any:  # noqa: ANN401
    """Run a model to the end of its frozen modules; return the output of the last one."""
    with stop_forward(model.get_submodule(names[-1]), after=True) as outputs:
        model(**inputs)
    return outputs[0]


class _CachedInput:
    """A forward pre-hook that keeps `cached_features` until the frozen modules are reached."""

    def __init__(self, layout: FrozenOutputLayout) -> None:
        self.layout = layout
        self.rows: Tensor | None = None  # (B, F, D)

    def __call__(
        self, _model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Take the rows out of the arguments, before the model's forward."""
        kwargs = dict(kwargs)
        self.rows = kwargs.pop(CACHED_FEATURES, None)
        if self.rows is not None:
            # Not used, but a model may read its shape.
            placeholder = self.rows.new_zeros(()).expand(len(self.rows), *self.layout.input_shape)
            kwargs[self.layout.input_name] = placeholder
        return args, kwargs


def enable_partial_forward(model: nn.Module, layout: FrozenOutputLayout) -> RemovableHandle:
    """Let a model start after its frozen modules when called with `cached_features`. In place.

    Names of modules and weights, and the results of calls with audio, do not change.

    Returns:
        The handle for `disable_partial_forward`.
    """
    cached = _CachedInput(layout)
    for name in layout.names:
        module = model.get_submodule(name)
        attributes: dict[str, Any] = vars(module)
        attributes["_cached_input"], attributes["_uncached_forward"] = cached, module.forward
        is_last = name == layout.names[-1]
        # Bound to the module, so that deepcopy() binds them to the copy.
        attributes["forward"] = MethodType(
            _return_cached if is_last else _pass_input_through, module
        )
    return model.register_forward_pre_hook(cached, with_kwargs=True)


def disable_partial_forward(
    model: nn.Module, layout: FrozenOutputLayout, handle: RemovableHandle
) -> None:
    """Undo `enable_partial_forward`."""
    handle.remove()
    for name in layout.names:
        attributes: dict[str, Any] = vars(model.get_submodule(name))
        attributes["forward"] = attributes.pop("_uncached_forward")
        del attributes["_cached_input"]


def _return_cached(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    """Replace the forward of the last frozen module."""
    rows = self._cached_input.rows
    return (
        self._uncached_forward(*args, **kwargs)
        if rows is None
        else self._cached_input.layout.restore(rows)
    )


def _pass_input_through(self: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    """Replace the forward of the frozen modules before the last one."""
    return (
        self._uncached_forward(inputs, *args, **kwargs)
        if self._cached_input.rows is None
        else inputs
    )


def _read_shape(tensor: Tensor, longer: Tensor) -> tuple[int, ...]:
    """Return a tensor's shape without B; -1 for the axis along which two clips differ."""
    pairs = zip(tensor.shape[1:], longer.shape[1:], strict=True)
    return tuple(size if size == other else -1 for size, other in pairs)


def _read_order(tensor: Tensor) -> tuple[int, ...]:
    """Return the axes without B, by descending stride."""
    strides = tensor.stride()[1:]
    return tuple(sorted(range(len(strides)), key=lambda axis: (-strides[axis], axis)))


def _is_used(
    model: PreTrainedModel,
    whole: FrozenOutputLayout,
    inputs: Mapping[str, Tensor],
    output: Any,  # noqa: ANN401
    place: Place,
) -> bool:
    """Return True if the logits depend on a tensor of the output: NaN in it spreads to them.

    Of a mask, which cannot be NaN, they depend if they change with a mask of zeros.
    """
    found = list_tensors(output)
    is_number = found[place].is_floating_point()
    found[place] = torch.full_like(found[place], torch.nan if is_number else 0)
    with _replaced_output(model, whole.names, build_output(whole.kind, found, whole.all_places)):
        logits = model(**inputs).logits
    if is_number:
        return bool(logits.isnan().any())
    return not torch.allclose(logits, model(**inputs).logits)


@contextmanager
def _replaced_output(model: nn.Module, names: Sequence[str], output: Any) -> Iterator[None]:  # noqa: ANN401
    """Let the last frozen module return a given output, without running any of them."""
    modules = [vars(model.get_submodule(name)) for name in names]
    before = [attributes.get("forward") for attributes in modules]
    for attributes in modules:
        attributes["forward"] = lambda inputs, *_, **__: inputs
    modules[-1]["forward"] = lambda *_, **__: output
    try:
        yield
    finally:
        for attributes, forward in zip(modules, before, strict=True):
            attributes["forward"] = forward
            if forward is None:
                del attributes["forward"]


def _gives_same(
    model: PreTrainedModel, layout: FrozenOutputLayout, trials: Sequence[Mapping[str, Tensor]]
) -> bool:
    """Return True if the model gives the same pooled features when it starts at the layout."""
    is_same = True
    for inputs in trials:
        expected = pooled_features(model, dict(inputs))
        cached = dict(inputs)
        cached[CACHED_FEATURES] = layout.flatten(run_frozen(model, layout.names, inputs))
        del cached[layout.input_name]
        handle = enable_partial_forward(model, layout)
        try:
            found = pooled_features(model, cached)
        finally:
            disable_partial_forward(model, layout, handle)
        scale = float(expected.abs().max())
        is_same &= bool((found - expected).abs().max() <= TOLERANCE * scale)
    return is_same
