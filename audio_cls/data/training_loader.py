"""Sampler and data loader of training, for decoded and for streamed clips."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from audio_cls.audio.augmentation.augmenter import Augmenter, make_augmenter
from audio_cls.audio.augmentation.spec_augment import Encode, FrameLayout, Inputs
from audio_cls.audio.waveform import Wave
from audio_cls.config import AudioConfig, AugmentConfig, Hertz
from audio_cls.data.clips.clips import Clips, Label
from audio_cls.data.loading.batch import Batch, make_batch
from audio_cls.data.loading.datasets import TrainingDataset
from audio_cls.data.loading.loaders import make_training_loader
from audio_cls.data.loading.noise_files import read_noise_files
from audio_cls.data.loading.sampler import DistributedBatchSampler, SamplingSpec, StepShape
from audio_cls.data.streaming.bad_clips import FOLDER, BadClipLog
from audio_cls.data.streaming.clips import StreamClips
from audio_cls.data.streaming.dataset import StreamDataset
from audio_cls.data.streaming.sampler import StreamBatchSampler


@dataclass(frozen=True)
class TrainLoader:
    """One process's micro-batches; the sampler sets the epoch and groups them by step."""

    sampler: DistributedBatchSampler
    loader: DataLoader[list[Batch]]


@dataclass(frozen=True)
class ProcessContext:
    """One process of the run."""

    shape: StepShape
    rank: int  # this process's number
    seed: int  # the run's
    num_workers: int  # loader processes
    run_folder: Path  # where unusable streamed clips are logged


@dataclass(frozen=True)
class DrawnExample:
    """One training example, and the model's input that is made of it."""

    wave: Wave  # (T,), after crop and augmentation
    label: Label  # shares (L,) if multi-label or mixed
    inputs: Inputs  # of a batch with this example alone


def load_augmenter(
    cfg: AugmentConfig, sampling_rate: Hertz, num_labels: int, layout: FrameLayout | None
) -> Augmenter | None:
    """Make the augmenter of the training crops, with the recordings of `--noise-dir` decoded.

    Args:
        cfg: Settings; the defaults give None.
        sampling_rate: Rate of the waveforms in Hz.
        num_labels: Number of classes.
        layout: Of the model's spectrogram features; None for a model that takes waveforms.

    Raises:
        SettingError: `--noise-dir` has no usable recording.
    """
    recordings = read_noise_files(cfg.noise_dir, sampling_rate) if cfg.noise_dir else None
    return make_augmenter(cfg, sampling_rate, num_labels, layout, recordings)


def make_train_loader(
    clips: Clips | StreamClips,
    processor: Encode,
    sampling: SamplingSpec,
    context: ProcessContext,
    cfg: AudioConfig,
    augmenter: Augmenter | None = None,
) -> TrainLoader:
    """Make sampler and loader of the training clips.

    Args:
        clips: The training clips, decoded or streamed.
        processor: Waveforms -> model inputs.
        sampling: How clips are drawn. Of streamed clips only `equal_lengths` is used: they are
            drawn once per epoch, with equal weights.
        context: This process.
        cfg: Length of the crops.
        augmenter: Augmentation of the crops.
    """
    shape, rank, seed = context.shape, context.rank, context.seed
    dataset: TrainingDataset
    sampler: DistributedBatchSampler
    if isinstance(clips, StreamClips):
        log = BadClipLog(context.run_folder / FOLDER, rank, clips.cfg)
        sampler = StreamBatchSampler(
            clips.shards,
            shape,
            rank=rank,
            seed=seed,
            buffer=clips.cfg.shuffle_buffer,
            bad_clip_log=log,
        )
        clips.reader.num_kept = sampler.num_row_groups(context.num_workers)
        dataset = StreamDataset(clips, cfg, seed, augmenter)  # type: ignore[arg-type]
    else:
        num_clips = len(clips if sampling.epoch_subset is None else sampling.epoch_subset)
        sampler = DistributedBatchSampler(num_clips, shape, rank=rank, seed=seed, spec=sampling)
        dataset = TrainingDataset(clips, cfg, seed, augmenter)
    loader = make_training_loader(
        dataset, sampler, processor, context.num_workers, equal_lengths=sampling.equal_lengths
    )
    return TrainLoader(sampler, loader)


def read_first_examples(
    loader: DataLoader[list[Batch]],
    sampler: DistributedBatchSampler,
    clips: Clips | StreamClips,
    processor: Encode,
    count: int,
) -> list[DrawnExample]:
    """Return the first usable examples that this process gets in epoch 0.

    They are functions of their keys and the seed: no random state changes, nor that of loader and
    sampler.

    Args:
        loader: The training loader; its dataset has the crops and the augmentation.
        sampler: Its sampler.
        clips: The clips as waveforms, where the loader may read cached features.
        processor: Waveforms -> model inputs.
        count: Most examples to return.
    """
    first_epoch, dataset = copy.copy(sampler), copy.copy(loader.dataset)
    first_epoch.set_epoch(0)
    assert isinstance(dataset, TrainingDataset)
    dataset.clips = clips
    masker = dataset.augmenter.masker if dataset.augmenter is not None else None
    drawn: list[DrawnExample] = []
    with torch.random.fork_rng(devices=[]):  # an extractor may draw noise
        for key in itertools.islice(itertools.chain.from_iterable(first_epoch), 4 * count):
            if len(drawn) == count:
                break
            example = dataset[key]
            if example.bad_clip is None:
                inputs = make_batch([example], processor, masker, dataset.seed).inputs
                drawn.append(DrawnExample(example.wave, example.label, inputs))
    return drawn
