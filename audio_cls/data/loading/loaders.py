"""Data loaders for training and evaluation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import DataLoader

from audio_cls.audio.augmentation.augmenter import Augmenter
from audio_cls.audio.augmentation.spec_augment import Encode
from audio_cls.config import AudioConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.loading.batch import Batch, collate_examples, collate_parts
from audio_cls.data.loading.datasets import TrainingDataset, WindowDataset
from audio_cls.data.loading.sampler import DistributedBatchSampler


def make_training_loader(
    clips: Clips,
    encode: Encode,
    cfg: AudioConfig,
    order: DistributedBatchSampler,
    num_workers: int,
    augmenter: Augmenter | None = None,
) -> DataLoader[list[Batch]]:
    """Make the loader of training batches: a list of them for each pass of the order."""
    pieces = TrainingDataset(clips, cfg, order.seed, augmenter)
    masker = augmenter.masker if augmenter is not None else None
    collate = functools.partial(
        collate_parts,
        encode=encode,
        masker=masker,
        seed=order.seed,
        equal_lengths=order.spec.equal_lengths,
    )
    return load_pieces(pieces, order, collate, num_workers)


def load_pieces(
    pieces: torch.utils.data.Dataset[Any],
    order: DistributedBatchSampler,
    collate: Callable[..., list[Batch]],
    num_workers: int,
) -> DataLoader[list[Batch]]:
    """Load the pieces of every pass of an order, collated."""
    return DataLoader(
        pieces,
        batch_sampler=order,
        collate_fn=collate,
        num_workers=num_workers,
        pin_memory=torch.accelerator.is_available(),
        persistent_workers=num_workers > 0,
        generator=torch.Generator(),  # so that starting an epoch draws nothing from torch's own
    )


def make_evaluation_loader(
    windows: WindowDataset, encode: Encode, batches: list[list[int]], num_workers: int
) -> DataLoader[Batch]:
    """Make the loader of the given batches of windows."""
    return DataLoader(
        windows,  # type: ignore[arg-type]
        batch_sampler=batches,
        collate_fn=functools.partial(collate_examples, encode=encode),
        num_workers=num_workers,
        pin_memory=torch.accelerator.is_available(),
        generator=torch.Generator(),
    )
