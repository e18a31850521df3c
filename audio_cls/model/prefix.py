"""A frozen front part's output takes the place of the sound: the model starts after it.

Comes in: a classifier and the names of its frozen modules. `find_cut` finds out what of their
output the rest of the model uses, and checks that the rest gives the same logits from it alone;
`install_cut` lets the model start there whenever it is given `prefix` instead of sound. What is
saved, and what the model does with sound, stay as they are. Letters: B clips, F frames (1 where the
output has no axis of time), D values a frame.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel
from transformers.utils.generic import ModelOutput

from audio_cls.config import Seconds
from audio_cls.model.traits import WaveEncoder, make_noise, undisturbed

PREFIX = "prefix"  # the name of the model's argument
TOLERANCE = 1e-4  # of the logits: what rounding may change
TRIALS: tuple[Seconds, Seconds] = (0.1, 0.15)  # beyond the shortest; two lengths show where time is

Place = tuple[str, int]  # a field of the output, and the number in it where it is a tuple, else -1


class _Reached(Exception):
    """The frozen part has run: the rest of the network need not."""


@dataclass(frozen=True)
class Cut:
    """Where a model starts after its frozen part, and what it needs there."""

    names: tuple[str, ...]  # the frozen modules, in the order they run
    input_name: str
    kind: type | None  # of the last one's output; None: a tensor
    places: tuple[Place, ...]  # the tensors of it that the rest of the model uses
    shapes: tuple[tuple[int, ...], ...]  # of these, for one clip; -1 is the axis of time

    @property
    def has_time(self) -> bool:
        """Tell whether the frozen part's output is as long as the clip."""
        return -1 in self.shapes[0]

    def flatten(self, output: Any) -> Tensor:  # noqa: ANN401 (tensor or ModelOutput)
        """Turn the frozen part's output into rows, (B, F, D) float32."""
        found, parts = _list_tensors(output), []
        for place, shape in zip(self.places, self.shapes, strict=True):
            tensor = found[place].float()
            if -1 in shape:
                tensor = tensor.movedim(1 + shape.index(-1), 1).flatten(2)
            else:
                tensor = tensor.flatten(1)[:, None]
            parts.append(tensor)
        return torch.cat(parts, dim=2) if len(parts) > 1 else parts[0]

    def restore(self, rows: Tensor) -> Any:  # noqa: ANN401
        """Turn rows (B, F, D) back into an output of which the used tensors are there."""
        widths = [int(-np.prod(s) if -1 in s else np.prod(s)) for s in self.shapes]
        parts = torch.split(rows, widths, dim=2)
        found: dict[Place, Tensor] = {}
        for place, shape, part in zip(self.places, self.shapes, parts, strict=True):
            rest = [size for size in shape if size != -1]
            if -1 in shape:
                framed = part.reshape(*part.shape[:2], *rest)
                found[place] = framed.movedim(1, 1 + shape.index(-1))
            else:
                found[place] = part.reshape(len(rows), *shape)
        return _build_output(self.kind, found)


@dataclass(frozen=True)
class PrefixEncoder(WaveEncoder):
    """Stored rows become model inputs; waves do so as before."""

    cut: Cut
    samples: Mapping[int, int]  # F -> a length in samples that gives as many frames

    def __call__(self, waves: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """Turn rows (F_i, D), one a clip, into one padded batch: `prefix`, (B, F, D).

        With them goes the attention mask of the sound, (B, T), where the model has one, or where
        clips end at different frames: the frozen part heard each clip alone, so a mask is exact.
        """
        if waves[0].ndim == 1:
            return super().__call__(waves)
        rows = [torch.from_numpy(wave) for wave in waves]
        inputs = {PREFIX: nn.utils.rnn.pad_sequence(rows, batch_first=True)}
        counts = [len(row) for row in rows]
        if self.traits.has_mask or len(set(counts)) > 1:
            ends = torch.tensor([self.samples[count] for count in counts])
            inputs["attention_mask"] = (torch.arange(int(ends.max())) < ends[:, None]).long()
        return inputs


def find_cut(model: PreTrainedModel, encoder: WaveEncoder, names: tuple[str, ...]) -> Cut | None:
    """Find out how a model can start after its frozen modules; it is as before afterwards.

    Returns:
        The cut; None where the rest of the model does not give the same logits from it.
    """
    rate, shortest = encoder.traits.sampling_rate, encoder.traits.min_samples
    takes_mask = "attention_mask" in inspect.signature(model.forward).parameters
    with undisturbed(model):
        model.train(mode=False)
        trials = []
        for more in TRIALS:
            inputs = encoder([make_noise(shortest + round(more * rate))])
            trials.append({name: value.to(model.device) for name, value in inputs.items()})
        first, second = (_list_tensors(run_frozen(model, names, trial)) for trial in trials)
        if not first:
            return None
        output = run_frozen(model, names, trials[0])
        shapes = {place: _read_shape(first[place], second[place]) for place in first}
        kind = None if isinstance(output, Tensor) else type(output)
        whole = Cut(names, encoder.traits.input_name, kind, tuple(first), tuple(shapes.values()))
        used = [place for place in first if _is_used(model, whole, trials[0], place)]
        if not used or len({-1 in shapes[place] for place in used}) > 1:
            return None
        cut = Cut(names, whole.input_name, kind, tuple(used), tuple(shapes[p] for p in used))
        is_same = _gives_same(model, cut, trials)
    return cut if is_same and (takes_mask or not cut.has_time) else None


def run_frozen(model: Any, names: Sequence[str], inputs: Mapping[str, Tensor]) -> Any:  # noqa: ANN401
    """Run a model up to the end of its frozen modules and return the last one's output."""
    seen: list[Any] = []

    def stop(_module: nn.Module, _given: object, output: Any) -> None:  # noqa: ANN401
        seen.append(output)
        raise _Reached

    hook = model.get_submodule(names[-1]).register_forward_hook(stop)
    try:
        model(**inputs)
    except _Reached:
        pass
    finally:
        hook.remove()
    return seen[0]


class _Start:
    """What a model is given instead of sound, on its way from the model's call to the cut."""

    def __init__(self, cut: Cut) -> None:
        self.cut = cut
        self.rows: Tensor | None = None  # (B, F, D)

    def __call__(
        self, _model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Take the rows out of the arguments: called before the model's forward."""
        kwargs = dict(kwargs)
        self.rows = kwargs.pop(PREFIX, None)
        if self.rows is not None:
            kwargs[self.cut.input_name] = self.rows  # never looked at, but something must be given
        return args, kwargs


def install_cut(model: nn.Module, cut: Cut) -> RemovableHandle:
    """Let a model start after its frozen part when it is called with `prefix`. Changes it in place.

    Its modules keep their names, its weights theirs, and calls with sound their results.

    Returns:
        What `remove_cut` wants.
    """
    start = _Start(cut)
    for name in cut.names:
        module = model.get_submodule(name)
        own: dict[str, Any] = vars(module)
        own["_start"], own["_hear"] = start, module.forward
        is_last = name == cut.names[-1]
        # Methods of the very module: deepcopy() binds the copy's to the copy.
        own["forward"] = MethodType(_recall if is_last else _pass_on, module)
    return model.register_forward_pre_hook(start, with_kwargs=True)


def remove_cut(model: nn.Module, cut: Cut, handle: RemovableHandle) -> None:
    """Undo `install_cut`."""
    handle.remove()
    for name in cut.names:
        own: dict[str, Any] = vars(model.get_submodule(name))
        own["forward"] = own.pop("_hear")
        del own["_start"]


def _recall(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    """Stand in for the forward of the frozen part's last module."""
    rows = self._start.rows
    return self._hear(*args, **kwargs) if rows is None else self._start.cut.restore(rows)


def _pass_on(self: Any, given: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    """Stand in for the forward of the frozen modules before the last one."""
    return self._hear(given, *args, **kwargs) if self._start.rows is None else given


def _list_tensors(output: Any) -> dict[Place, Tensor]:  # noqa: ANN401
    """Return the tensors of an output by their place; {} for an output of an unknown kind."""
    if isinstance(output, Tensor):
        return {("", -1): output}
    if not isinstance(output, ModelOutput):
        return {}
    found: dict[Place, Tensor] = {}
    for name, value in output.items():
        if isinstance(value, Tensor):
            found[name, -1] = value
        elif isinstance(value, tuple) and all(isinstance(one, Tensor) for one in value):
            found.update(((name, number), one) for number, one in enumerate(value))
    return found


def _build_output(kind: type | None, found: Mapping[Place, Tensor]) -> Any:  # noqa: ANN401
    """Put tensors back to their places in an output."""
    if kind is None:
        return found["", -1]
    fields: dict[str, Any] = {}
    for name, group in itertools.groupby(found, key=lambda place: place[0]):
        places = list(group)
        values = tuple(found[place] for place in places)
        fields[name] = values[0] if places[0][1] == -1 else values
    return kind(**fields)


def _read_shape(tensor: Tensor, longer: Tensor) -> tuple[int, ...]:
    """Return a tensor's shape without B; -1 where that of a longer clip is larger."""
    pairs = zip(tensor.shape[1:], longer.shape[1:], strict=True)
    return tuple(size if size == other else -1 for size, other in pairs)


def _is_used(
    model: PreTrainedModel, whole: Cut, inputs: Mapping[str, Tensor], place: Place
) -> bool:
    """Tell whether a tensor of the frozen part's output changes the logits: NaN would show."""

    def spoil(_module: nn.Module, _given: object, output: Any) -> Any:  # noqa: ANN401
        found = _list_tensors(output)
        found[place] = torch.full_like(found[place], torch.nan)
        return _build_output(whole.kind, found)

    hook = model.get_submodule(whole.names[-1]).register_forward_hook(spoil)
    try:
        return bool(model(**inputs).logits.isnan().any())
    finally:
        hook.remove()


def _gives_same(model: PreTrainedModel, cut: Cut, trials: Sequence[Mapping[str, Tensor]]) -> bool:
    """Tell whether the model gives the same logits when it starts at the cut."""
    is_same = True
    for inputs in trials:
        expected = model(**inputs).logits
        given = dict(inputs)
        given[PREFIX] = cut.flatten(run_frozen(model, cut.names, inputs))
        del given[cut.input_name]
        handle = install_cut(model, cut)
        try:
            found = model(**given).logits
        finally:
            remove_cut(model, cut, handle)
        scale = max(1.0, float(expected.abs().max()))
        is_same &= bool((found - expected).abs().max() <= TOLERANCE * scale)
    return is_same
