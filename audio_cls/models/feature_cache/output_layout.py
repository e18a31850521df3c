"""What a frozen part's output is made of, and how it becomes rows and comes back.

Letters: B clips, F frames (1 where the output has no axis of time), D values a frame.
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

Place = tuple[str, int]  # a field of the output, and the number in it where it is a tuple, else -1


@dataclass(frozen=True)
class FrozenOutputLayout:
    """Where a model starts after its frozen part, and what it needs there."""

    names: tuple[str, ...]  # the frozen modules, in the order they run
    input_name: str
    input_shape: tuple[int, ...]  # of one clip; a model may insist on it
    kind: type | None  # of the last one's output; None: a tensor
    places: tuple[Place, ...]  # the tensors of it that the rest of the model uses
    shapes: tuple[tuple[int, ...], ...]  # of these, for one clip; -1 is the axis of time
    orders: tuple[tuple[int, ...], ...]  # of their axes in memory: dropout draws in this order
    all_places: tuple[Place, ...]  # of all tensors that the output has
    is_mask_framed: bool  # the attention mask has a column a frame of the output, not of the input

    @property
    def has_time(self) -> bool:
        """Tell whether the frozen part's output is as long as the clip."""
        return -1 in self.shapes[0]

    def flatten(self, output: Any) -> Tensor:  # noqa: ANN401 (tensor or ModelOutput)
        """Turn the frozen part's output into rows, (B, F, D) float32."""
        found, parts = list_tensors(output), []
        for place, shape, order in zip(self.places, self.shapes, self.orders, strict=True):
            tensor = found[place].float()
            if -1 in shape:
                tensor = tensor.movedim(1 + shape.index(-1), 1).flatten(2)
            else:
                tensor = tensor.permute(0, *(1 + axis for axis in order)).flatten(1)[:, None]
            parts.append(tensor)
        return torch.cat(parts, dim=2) if len(parts) > 1 else parts[0]

    def restore(self, rows: Tensor) -> Any:  # noqa: ANN401
        """Turn rows (B, F, D) back into an output of which the used tensors are there.

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
    """Return the tensors of an output by their place; {} for an output of an unknown kind."""
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
    """Put tensors back to their places in an output.

    Those that are missing are empty there: a model may look for the others by number.
    """
    if kind is None:
        return found["", -1]
    nothing = next(iter(found.values())).new_empty(0)
    if kind is tuple:
        return tuple(found.get(place, nothing) for place in places)
    fields: dict[str, Any] = {}
    for name, group in itertools.groupby(places, key=lambda place: place[0]):
        own = list(group)
        values = tuple(found.get(place, nothing) for place in own)
        fields[name] = values[0] if own[0][1] == -1 else values
    return kind(**fields)
