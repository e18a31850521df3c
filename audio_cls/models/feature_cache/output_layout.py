"""FrozenOutputLayout: the output of frozen modules <-> rows on disk.

Letters: B clips, F frames (1 where the output has no time axis), D values per frame.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.utils.generic import ModelOutput

Place = tuple[str, int]  # field of the output; index in the field if that is a tuple, else -1


@dataclass(frozen=True)
class FrozenOutputLayout:
    """The frozen modules of a model, and the tensors of their output that the rest uses."""

    names: tuple[str, ...]  # the frozen modules, in the order they run
    input_name: str  # of the model
    input_shape: tuple[int, ...]  # of one clip; a model may check it
    kind: type | None  # of the last module's output; None: a tensor
    places: tuple[Place, ...]  # the tensors of it that the rest of the model uses
    shapes: tuple[tuple[int, ...], ...]  # of these, for one clip; -1 is the time axis
    orders: tuple[tuple[int, ...], ...]  # of their axes in memory: dropout is drawn in this order
    all_places: tuple[Place, ...]  # of all tensors of the output
    is_mask_framed: bool  # the attention mask has one column per frame of the output

    @property
    def has_time(self) -> bool:
        """Return True if the output has a time axis."""
        return -1 in self.shapes[0]

    def flatten(self, output: Any) -> Tensor:  # noqa: ANN401 (tensor or ModelOutput)
        """Turn an output of the frozen modules into rows, (B, F, D) float32."""
        found, parts = list_tensors(output), []
        for place, shape, order in zip(self.places, self.shapes, self.orders, strict=True):
            tensor = found[place].float()
            if -1 in shape:
                tensor = tensor.movedim(1 + shape.index(-1), 1)
                tensor = tensor.reshape(*tensor.shape[:2], -1)
            else:
                tensor = tensor.permute(0, *(1 + axis for axis in order)).flatten(1)[:, None]
            parts.append(tensor)
        return torch.cat(parts, dim=2) if len(parts) > 1 else parts[0]

    def restore(self, rows: Tensor) -> Any:  # noqa: ANN401
        """Turn rows (B, F, D) back into an output with the tensors that are used.

        They are copies: a model may change them in place (wav2vec2-BERT sets padding to zero).
        """
        widths = [int(-np.prod(s) if -1 in s else np.prod(s)) for s in self.shapes]
        parts = [part.clone() for part in torch.split(rows, widths, dim=2)]
        found: dict[Place, Tensor] = {}
        for place, shape, order, part in zip(
            self.places, self.shapes, self.orders, parts, strict=True
        ):
            rest = [size for size in shape if size != -1]
            if -1 in shape:
                framed = part.reshape(*part.shape[:2], *rest)
                found[place] = framed.movedim(1, 1 + shape.index(-1))
            else:
                whole = part.reshape(len(rows), *(shape[axis] for axis in order))
                found[place] = whole.permute(0, *(1 + order.index(n) for n in range(len(order))))
        return build_output(self.kind, found, self.all_places)


def list_tensors(output: Any) -> dict[Place, Tensor]:  # noqa: ANN401
    """Return the tensors of an output by their place; {} for an output of another type."""
    if isinstance(output, Tensor):
        return {("", -1): output}
    if not isinstance(output, ModelOutput | tuple):
        return {}
    found: dict[Place, Tensor] = {}
    fields = [("", output)] if isinstance(output, tuple) else output.items()
    for name, value in fields:
        if isinstance(value, Tensor):
            found[name, -1] = value
        elif isinstance(value, tuple) and all(isinstance(one, Tensor) for one in value):
            found.update(((name, number), one) for number, one in enumerate(value))
    return found


def build_output(kind: type | None, found: Mapping[Place, Tensor], places: Sequence[Place]) -> Any:  # noqa: ANN401
    """Build an output from some of its tensors.

    The others are empty tensors, since a model may read a field of the output by its index.
    """
    if kind is None:
        return found["", -1]
    empty = next(iter(found.values())).new_empty(0)
    if kind is tuple:
        return tuple(found.get(place, empty) for place in places)
    fields: dict[str, Any] = {}
    for name, group in itertools.groupby(places, key=lambda place: place[0]):
        group_places = list(group)
        values = tuple(found.get(place, empty) for place in group_places)
        fields[name] = values[0] if group_places[0][1] == -1 else values
    return kind(**fields)
