"""Data loaders for training and evaluation."""

from __future__ import annotations

import functools

import torch
from torch.utils.data import DataLoader

from audio_cls.audio.augmentation.spec_augment import Encode
from audio_cls.data.loading.batch import Batch, collate, make_batch
from audio_cls.data.loading.datasets import TrainingDataset, WindowDataset
from audio_cls.data.loading.sampler import DistributedBatchSampler


def make_training_loader(
    dataset: TrainingDataset,
    sampler: DistributedBatchSampler,
    processor: Encode,
    num_workers: int,
    *,
    equal_lengths: bool = False,
) -> DataLoader[list[Batch]]:
    """Make the loader of the sampler's epoch: for each micro-batch the list of its batches.

    Args:
        dataset: The training clips.
        sampler: Micro-batches of this process.
        processor: Waveforms -> model inputs.
        num_workers: Loader processes; they are kept from epoch to epoch.
        equal_lengths: Only crops of exactly the same length share a batch.
    """
    return DataLoader(
        dataset,  # type: ignore[arg-type]
        batch_sampler=sampler,
        collate_fn=functools.partial(
            collate,
            processor=processor,
            masker=dataset.augmenter.masker if dataset.augmenter is not None else None,
            seed=dataset.seed,
            equal_lengths=equal_lengths,
        ),
        num_workers=num_workers,
        pin_memory=torch.accelerator.is_available(),
        persistent_workers=num_workers > 0,
        generator=torch.Generator(),  # else each epoch would draw a seed from the global generator
    )


def make_evaluation_loader(
    windows: WindowDataset, processor: Encode, batches: list[list[int]], num_workers: int
) -> DataLoader[Batch]:
    """Make the loader of the given batches of window numbers."""
    return DataLoader(
        windows,  # type: ignore[arg-type]
        batch_sampler=batches,
        collate_fn=functools.partial(make_batch, processor=processor),
        num_workers=num_workers,
        pin_memory=torch.accelerator.is_available(),
        generator=torch.Generator(),
    )
