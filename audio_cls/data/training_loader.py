"""What the training loop is fed: the order of the clips, and the loader over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch.utils.data import DataLoader

from audio_cls.audio.augmentation.augmenter import make_augmenter
from audio_cls.audio.augmentation.spec_augment import Encode
from audio_cls.config import RunConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.keyword_spotting.sampling import make_epoch_subset
from audio_cls.data.loading.batch import Batch
from audio_cls.data.loading.loaders import make_training_loader
from audio_cls.data.loading.noise_files import read_noise_files
from audio_cls.data.loading.sampler import DistributedBatchSampler, SamplingSpec, StepShape
from audio_cls.data.streaming.bad_clips import FOLDER, BadClipLog
from audio_cls.data.streaming.clips import StreamClips
from audio_cls.data.streaming.loader import make_stream_loader
from audio_cls.data.streaming.sampler import StreamBatchSampler


@dataclass(frozen=True)
class TrainLoader:
    """One process's batches, epoch by epoch."""

    order: DistributedBatchSampler
    loader: DataLoader[list[Batch]]


@dataclass(frozen=True)
class ProcessContext:
    """Where a process sits among the others, and what it may use."""

    shape: StepShape  # how many clips make a step
    rank: int  # this process's number
    num_workers: int  # its loader processes
    folder: Path  # of the run, where faults of streamed clips are noted


def make_train_loader(
    clips: Clips | StreamClips,
    encode: Encode,
    cfg: RunConfig,
    seat: ProcessContext,
    labels: Sequence[str],
    dealing: SamplingSpec,
) -> TrainLoader:
    """Make order and loader for clips on this disk, or for streamed ones.

    Args:
        clips: The training clips.
        encode: What makes model inputs of waves.
        cfg: Settings of sound, variation, seed and buffer.
        seat: Which process asks.
        labels: Names of the L labels.
        dealing: Of clips on this disk; of streamed ones, which come up once an epoch and weigh the
            same, only whether pieces of unequal length share a pass.
    """
    rate, noise_dir = clips.sampling_rate, cfg.augment.noise_dir
    recordings = read_noise_files(noise_dir, rate) if noise_dir else None
    augmenter = make_augmenter(cfg.augment, rate, len(labels), encode, recordings)
    seed, workers = cfg.train.seed, seat.num_workers
    if isinstance(clips, Clips):
        order = DistributedBatchSampler(
            make_epoch_subset(clips.labels, labels, cfg.data) or len(clips),
            seat.shape,
            rank=seat.rank,
            seed=seed,
            spec=dealing,
        )
        loader = make_training_loader(clips, encode, cfg.audio, order, workers, augmenter)
        return TrainLoader(order, loader)
    flow = StreamBatchSampler(
        clips.shards,
        seat.shape,
        rank=seat.rank,
        seed=seed,
        buffer=cfg.data.shuffle_buffer,
        bad_clip_log=BadClipLog(seat.folder / FOLDER, seat.rank, clips.cfg),
    )
    flow.spec = SamplingSpec(equal_lengths=dealing.equal_lengths)
    return TrainLoader(flow, make_stream_loader(clips, encode, cfg.audio, flow, workers, augmenter))
