"""IterableDataset, collate function and data loader for streamed clips."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from torch.utils.data import DataLoader

from audio_cls.audio.augmentation.augmenter import Augmenter
from audio_cls.audio.augmentation.spec_augment import Encode, SpecAugment
from audio_cls.config import AudioConfig
from audio_cls.data.clips.clips import Label
from audio_cls.data.loading.batch import Batch, Example, collate_parts
from audio_cls.data.loading.datasets import TrainingDataset
from audio_cls.data.loading.loaders import load_pieces
from audio_cls.data.loading.sampler import Key
from audio_cls.data.streaming.bad_clips import BadClip, StreamBatch
from audio_cls.data.streaming.clips import StreamClips, UnlabelledError
from audio_cls.data.streaming.sampler import NUM_STREAMS, StreamBatchSampler
from audio_cls.errors import AudioError


class StreamDataset(TrainingDataset):
    """One piece of a streamed clip for each (epoch, number), or the reason why there is none."""

    clips: StreamClips  # type: ignore[assignment]

    def __getitem__(self, key: Key) -> Example | tuple[BadClip, Example]:  # type: ignore[override]
        """Return the piece; of a clip that cannot be used, its fault and silence of weight 0."""
        epoch, number, _ = key
        try:
            return super().__getitem__(key)
        except (AudioError, UnlabelledError) as error:
            shares = self.augmenter is not None and self.augmenter.is_mixing
            several = shares or self.clips.task.is_multilabel
            label: Label = np.zeros(len(self.clips.task.names), np.float32) if several else 0
            silence = Example(np.zeros(self.longest, np.float32), label, number, 0.0, epoch)
            return self.clips.describe_fault(number, error), silence


def make_stream_loader(
    clips: StreamClips,
    encode: Encode,
    cfg: AudioConfig,
    order: StreamBatchSampler,
    num_workers: int,
    augmenter: Augmenter | None = None,
) -> DataLoader[list[Batch]]:
    """Make the loader of training batches over streamed clips."""
    streams = NUM_STREAMS // math.gcd(NUM_STREAMS, num_workers) if num_workers else NUM_STREAMS
    per_group = len(clips) / len(clips.shards.groups)
    clips.reader.num_kept = streams * (math.ceil(order.buffer / per_group) + 2)
    pieces = StreamDataset(clips, cfg, order.seed, augmenter)  # type: ignore[arg-type]
    masker = augmenter.masker if augmenter is not None else None
    collate = functools.partial(
        collate_stream,
        encode=encode,
        masker=masker,
        seed=order.seed,
        equal_lengths=order.spec.equal_lengths,
    )
    return load_pieces(pieces, order, collate, num_workers)


def collate_stream(
    pieces: Sequence[Example | tuple[BadClip, Example]],
    encode: Encode,
    masker: SpecAugment | None = None,
    seed: int = 0,
    *,
    equal_lengths: bool = False,
) -> list[Batch]:
    """Make the batches of a pass of the pieces that can be used; of silence where none can.

    The silence weighs nothing. The first batch carries the faults of the pass.
    """
    good = [piece for piece in pieces if isinstance(piece, Example)]
    bad = [piece for piece in pieces if not isinstance(piece, Example)]
    faults = tuple((silence.number, fault) for fault, silence in bad)
    used = good or [bad[0][1]]
    batch, *rest = collate_parts(used, encode, masker, seed, equal_lengths=equal_lengths)
    return [StreamBatch(batch.inputs, batch.labels, batch.numbers, batch.weights, faults), *rest]
