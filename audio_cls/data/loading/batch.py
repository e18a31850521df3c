"""Collate function: examples -> the batches of one forward pass.

B clips or windows in a batch, T samples, L labels. Where padding would change a model's output,
only examples of exactly the same length share a batch: one pass then has several batches, whose
gradients are summed.
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


class BadClip(NamedTuple):
    """A streamed clip that cannot be used."""

    number: int
    id: str
    reason: str


class Example(NamedTuple):
    """One crop or window, as a dataset returns it."""

    wave: Wave  # (T,)
    label: Label
    number: int  # of the clip in training, of the window in evaluation
    weight: float  # of the clip in the step's loss
    epoch: int = 0  # or draw, see `sampler.Key`
    bad_clip: BadClip | None = None  # the clip cannot be used: `wave` is silence of weight 0


@dataclass(frozen=True)
class Batch:
    """The input of one forward pass, with labels and weights."""

    inputs: Inputs  # the model's arguments, first dimension B
    labels: torch.Tensor  # (B,) int64, or (B, L) float32 if multi-label or mixed
    numbers: torch.Tensor  # (B,) int64, of the clips or windows
    weights: torch.Tensor  # (B,) float32, of each clip in the step's loss
    bad_clips: tuple[BadClip, ...] = ()  # left out of this forward pass

    def to(self, device: torch.device) -> Batch:
        """Copy to a device; asynchronous from pinned memory."""
        return Batch(
            {name: value.to(device, non_blocking=True) for name, value in self.inputs.items()},
            self.labels.to(device, non_blocking=True),
            self.numbers,
            self.weights.to(device, non_blocking=True),
            self.bad_clips,
        )

    def pin_memory(self) -> Batch:
        """Copy to pinned memory; called by the loader if there is an accelerator."""
        return Batch(
            {name: value.pin_memory() for name, value in self.inputs.items()},
            self.labels.pin_memory(),
            self.numbers,
            self.weights.pin_memory(),
            self.bad_clips,
        )


def make_batch(
    examples: Sequence[Example],
    processor: Encode,
    masker: SpecAugment | None = None,
    seed: int = 0,
    bad_clips: tuple[BadClip, ...] = (),
) -> Batch:
    """Process the waveforms of a batch, apply SpecAugment, and stack labels and weights."""
    inputs = processor([example.wave for example in examples])
    if masker is not None:
        inputs = masker.mask(inputs, seed, [(e.epoch, e.number, len(e.wave)) for e in examples])
    return Batch(
        inputs=inputs,
        labels=torch.as_tensor(np.stack([example.label for example in examples])),
        numbers=torch.tensor([example.number for example in examples]),
        weights=torch.tensor([example.weight for example in examples]),
        bad_clips=bad_clips,
    )


def collate(
    examples: Sequence[Example],
    processor: Encode,
    masker: SpecAugment | None = None,
    seed: int = 0,
    *,
    equal_lengths: bool = False,
) -> list[Batch]:
    """Make the batches of one forward pass; the first one carries the clips that were left out.

    Args:
        examples: At least one. If none can be used, the batch is one silent example of weight 0.
        processor: Waveforms -> model inputs.
        masker: Masks spectrograms.
        seed: The run's seed.
        equal_lengths: Only examples of exactly the same length share a batch.

    Returns:
        One batch, or one per length; each usable example is in one, with its weight.
    """
    bad_clips = tuple(e.bad_clip for e in examples if e.bad_clip is not None)
    used = [example for example in examples if example.bad_clip is None] or [examples[0]]
    groups = [used]
    if equal_lengths:
        numbers = split_by_length([len(example.wave) for example in used])
        groups = [[used[number] for number in group] for group in numbers]
    return [
        make_batch(group, processor, masker, seed, () if place else bad_clips)
        for place, group in enumerate(groups)
    ]
