"""Pieces of clips become the batches of one forward pass.

Letters: B clips or windows in a batch, T samples, L labels. Where padding would change what a model
makes of a clip, only pieces of exactly one length share a batch: a pass then has several batches,
and its gradient is the sum of theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from audio_cls.audio.augmentation.spec_augment import Encode, Inputs, SpecAugment
from audio_cls.audio.waveform import Wave
from audio_cls.data.clips.clips import Label
from audio_cls.data.loading.length_buckets import split_by_length


class Example(NamedTuple):
    """A piece of a clip on its way into a batch."""

    wave: Wave  # (T,)
    label: Label
    number: int  # of the clip in training, of the window in evaluation
    weight: float  # share in the step's loss
    epoch: int = 0


@dataclass(frozen=True)
class Batch:
    """What one forward pass needs and what goes with it."""

    inputs: Inputs  # the model's arguments, first dimension B
    labels: torch.Tensor  # (B,) int64, or (B, L) float32 where clips are mixed
    numbers: torch.Tensor  # (B,) int64, the clips' or windows' numbers
    weights: torch.Tensor  # (B,) float32, share of each clip in the step's loss

    def to(self, device: torch.device) -> Batch:
        """Copy to a device; a pinned batch without waiting."""
        return Batch(
            {name: value.to(device, non_blocking=True) for name, value in self.inputs.items()},
            self.labels.to(device, non_blocking=True),
            self.numbers,
            self.weights.to(device, non_blocking=True),
        )

    def pin_memory(self) -> Batch:
        """Pin the tensors, called by the loader where there is an accelerator."""
        return Batch(
            {name: value.pin_memory() for name, value in self.inputs.items()},
            self.labels.pin_memory(),
            self.numbers,
            self.weights.pin_memory(),
        )


def collate_examples(
    pieces: Sequence[Example], encode: Encode, masker: SpecAugment | None = None, seed: int = 0
) -> Batch:
    """Encode the waves of a batch, blank what SpecAugment blanks, and stack what goes with them."""
    inputs = encode([piece.wave for piece in pieces])
    if masker is not None:
        inputs = masker.mask(inputs, seed, [(p.epoch, p.number, len(p.wave)) for p in pieces])
    return Batch(
        inputs=inputs,
        labels=torch.as_tensor(np.stack([piece.label for piece in pieces])),
        numbers=torch.tensor([piece.number for piece in pieces]),
        weights=torch.tensor([piece.weight for piece in pieces]),
    )


def collate_parts(
    pieces: Sequence[Example],
    encode: Encode,
    masker: SpecAugment | None = None,
    seed: int = 0,
    *,
    equal_lengths: bool = False,
) -> list[Batch]:
    """Make the batches of one pass: one, or one for each length where padding would do harm.

    Args:
        pieces: At least one.
        encode: Makes model inputs of waves.
        masker: Blanks what SpecAugment blanks.
        seed: The run's seed.
        equal_lengths: Only pieces of exactly one length share a batch.

    Returns:
        The batches; each piece is in one, with its own weight.
    """
    parts = [list(pieces)]
    if equal_lengths:
        numbers = split_by_length([len(piece.wave) for piece in pieces])
        parts = [[pieces[number] for number in part] for part in numbers]
    return [collate_examples(part, encode, masker, seed) for part in parts]
