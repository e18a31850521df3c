"""Batch sampler for streamed clips: the order is known before anything is read.

The row groups of all files are put in one line, in the epoch's random order, and the line is cut
into equal parts: NUM_STREAMS streams for each process. So all streams have the same number of clips
to within one, for any number of files, and no clip is in two. In each stream, consecutive buffers
of clips are shuffled. A process takes its micro-batches from its streams in turn. Loader workers,
whose number divides NUM_STREAMS, each read the same streams all the time, so that a row group is
fetched once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from audio_cls.data.loading.batch import Batch
from audio_cls.data.loading.sampler import DistributedBatchSampler, Key, StepShape
from audio_cls.data.sources.parquet.shards import Shards
from audio_cls.data.streaming.bad_clips import BadClipLog

NUM_STREAMS = 4  # per process; loader workers share them
GROUP_STREAM = 5  # first word of the seed of the row groups' order, apart from other random numbers
BUFFER_STREAM = 6  # and of the buffers' order


class StreamBatchSampler(DistributedBatchSampler):
    """Micro-batches of one process over streamed clips; the order is described in the module.

    A step is `shape.accumulation` micro-batches of each process. Each clip has the weight
    1 / (clips of its step); a process whose streams have no clip left repeats one with weight 0.
    The order depends on the number of processes, not on that of loader workers.

    >>> groups, begins = np.array([[0, 0], [0, 1]]), np.array([0, 3, 6])
    >>> shards = Shards(("a.parquet",), groups, begins, {}, "train")
    >>> shape = StepShape(batch_size=2, accumulation=1, num_processes=1)
    >>> sampler = StreamBatchSampler(shards, shape, rank=0, seed=0, buffer=8)
    >>> [[clip for _, clip, _ in batch] for batch in sampler]
    [[4, 3], [5, 0], [1], [2]]
    >>> sampler.load_state_dict({"epoch": 0, "step": 3})
    >>> list(sampler)
    [[(0, 2, 1.0)]]
    """

    def __init__(
        self,
        shards: Shards,
        shape: StepShape,
        *,
        rank: int,
        seed: int,
        buffer: int,
        bad_clip_log: BadClipLog | None = None,
    ) -> None:
        """Start at epoch 0.

        Args:
            shards: Row groups of the split.
            shape: Clips of a step.
            rank: This process's number.
            seed: The run's seed.
            buffer: Clips of this process that are shuffled together.
            bad_clip_log: File for the unusable clips of the batches.
        """
        super().__init__(len(shards), shape, rank=rank, seed=seed)
        self.shards = shards
        self.buffer = max(1, buffer // NUM_STREAMS)  # clips of one stream
        self.bad_clip_log = bad_clip_log
        smallest, larger = divmod(self.num_clips, NUM_STREAMS * shape.num_processes)
        numbers = np.arange(NUM_STREAMS * shape.num_processes)
        # Clips of each stream of each process, (NUM_STREAMS, num_processes).
        self.sizes = (smallest + (numbers < larger)).reshape(NUM_STREAMS, shape.num_processes)

    def __len__(self) -> int:
        """Return the number of micro-batches per epoch and process, until all streams are empty."""
        rounds = -(-int(self.sizes.max()) // self.shape.batch_size)
        in_last = (self.sizes.max(axis=1) > (rounds - 1) * self.shape.batch_size).sum()
        return (rounds - 1) * NUM_STREAMS + int(in_last)

    @property
    def steps_per_epoch(self) -> int:
        """Return the number of optimizer steps per epoch; the last may be short."""
        return -(-len(self) // self.shape.accumulation)

    def num_micro_batches(self, step: int) -> int:
        """Return the number of forward passes of one step of the epoch, per process."""
        return min(self.shape.accumulation, len(self) - step * self.shape.accumulation)

    def count_clips(self, batch: int) -> NDArray[np.int64]:
        """Return the clips of each process in one micro-batch of the epoch, (num_processes,)."""
        number, stream = divmod(batch, NUM_STREAMS)
        left = self.sizes[stream] - number * self.shape.batch_size
        return np.asarray(np.clip(left, 0, self.shape.batch_size))

    def order_stream(self, epoch: int, stream: int) -> NDArray[np.int64]:
        """Return the clips of one of this process's streams in their order."""
        rng = np.random.default_rng((self.seed, GROUP_STREAM, epoch))
        groups = rng.permutation(len(self.shards.groups))
        begins, lengths = self.shards.begins[:-1], np.diff(self.shards.begins)
        ends = np.cumsum(lengths[groups])
        place = stream * self.shape.num_processes + self.rank
        start = int(self.sizes.ravel()[:place].sum())
        stop = start + int(self.sizes[stream, self.rank])
        if start == stop:
            return np.zeros(0, np.int64)
        first = int(np.searchsorted(ends, start, side="right"))
        last = int(np.searchsorted(ends, stop, side="left"))
        line = [begins[group] + np.arange(lengths[group]) for group in groups[first : last + 1]]
        skipped = start - int(ends[first] - lengths[groups[first]])
        clips = np.concatenate(line)[skipped : skipped + stop - start]
        shuffler = np.random.default_rng((self.seed, BUFFER_STREAM, epoch, place))
        buffers = np.split(clips, range(self.buffer, len(clips), self.buffer))
        return np.concatenate([shuffler.permutation(clips) for clips in buffers])

    def __iter__(self) -> Iterator[list[Key]]:
        """Yield this process's micro-batches of the epoch, from the current step on."""
        size, accumulation = self.shape.batch_size, self.shape.accumulation
        streams = [self.order_stream(self.epoch, stream) for stream in range(NUM_STREAMS)]
        for step in range(self._step, self.steps_per_epoch):
            first = step * accumulation
            batches = range(first, first + self.num_micro_batches(step))
            total = sum(int(self.count_clips(batch).sum()) for batch in batches)
            for batch in batches:
                number, stream = divmod(batch, NUM_STREAMS)
                clips = streams[stream][number * size : (number + 1) * size]
                weight = 1 / total if len(clips) else 0.0
                used = clips if len(clips) else self._find_filler(streams)
                yield [(self.epoch, int(clip), weight) for clip in used]

    def num_row_groups(self, num_workers: int) -> int:
        """Return the number of row groups that a loader worker reads from at a time."""
        streams = NUM_STREAMS // math.gcd(NUM_STREAMS, max(1, num_workers))
        clips_per_group = len(self.shards) / len(self.shards.groups)
        return streams * (math.ceil(self.buffer / clips_per_group) + 2)

    def _find_filler(self, streams: list[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Return one clip to repeat with weight 0: of this process, or the first of all."""
        filled = next((stream for stream in streams if len(stream)), np.zeros(1, np.int64))
        return filled[-1:]

    def group_steps(self, micro_batches: Iterable[Sequence[Batch]]) -> Iterator[list[Batch]]:
        """Group the output of a loader over this sampler by step, and log unusable clips."""
        for batches in super().group_steps(micro_batches):
            if self.bad_clip_log is not None:
                self.bad_clip_log.note(batches)
            yield batches
