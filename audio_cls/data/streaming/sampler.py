"""The order in which streamed clips are heard, as a function of (seed, epoch) and of nothing read.

The row groups of all shards are laid in a line in the epoch's random order, and the line is cut
into equal parts, one a stream: STREAMS for each process. So every stream has its share of the clips
to within one, whatever the number of shards, and no clip is in two. Inside a stream, each buffer
of clips is shuffled. A process takes its batches from its streams in turn; loader workers that
divide STREAMS keep to their own streams, so that a row group is fetched once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from audio_cls.data.loading.batch import Batch
from audio_cls.data.loading.sampler import DistributedBatchSampler, Key, StepShape
from audio_cls.data.sources.parquet.shards import Shards
from audio_cls.data.streaming.bad_clips import BadClipLog

STREAMS = 4  # of each process; loader workers share them
GROUP_STREAM = 5  # keeps the random numbers of the row groups apart from the others'
BUFFER_STREAM = 6  # and those of the buffers


class StreamBatchSampler(DistributedBatchSampler):
    """The batches of every step over streamed clips; see the module for the order.

    A step is `shape.accumulation` batches of each process. Each clip weighs 1 / (clips of its
    step); a process whose streams have nothing left repeats a clip with weight 0. The order depends
    on the number of processes, not on that of loader workers.
    """

    def __init__(
        self,
        shards: Shards,
        shape: StepShape,
        *,
        rank: int,
        seed: int,
        buffer: int,
        spool: BadClipLog | None = None,
    ) -> None:
        super().__init__(len(shards), shape, rank=rank, seed=seed)
        self.shards = shards
        self.buffer = max(1, buffer // STREAMS)
        self.spool = spool  # where faults are noted as they are met
        whole, more = divmod(self.num_clips, STREAMS * shape.num_processes)
        numbers = np.arange(STREAMS * shape.num_processes)
        self.sizes = (whole + (numbers < more)).reshape(STREAMS, shape.num_processes)

    @property
    def num_batches(self) -> int:
        """Count the batches of each process in an epoch: until no stream of any has a clip left."""
        rounds = -(-int(self.sizes.max()) // self.shape.batch_size)
        in_last = (self.sizes.max(axis=1) > (rounds - 1) * self.shape.batch_size).sum()
        return (rounds - 1) * STREAMS + int(in_last)

    @property
    def steps_per_epoch(self) -> int:
        """Count the optimizer steps of an epoch; the last may be short."""
        return -(-self.num_batches // self.shape.accumulation)

    def passes_of(self, step: int) -> int:
        """Count the forward passes of one step of the epoch."""
        start = step * self.shape.accumulation
        return min(self.shape.accumulation, self.num_batches - start)

    def count_clips(self, batch: int) -> NDArray[np.int64]:
        """Count the clips of a batch on each process, (P,)."""
        number, stream = divmod(batch, STREAMS)
        left = self.sizes[stream] - number * self.shape.batch_size
        return np.asarray(np.clip(left, 0, self.shape.batch_size))

    def order_stream(self, epoch: int, stream: int) -> NDArray[np.int64]:
        """Return the clips of one of this process's streams, in the order they are heard."""
        rng = np.random.default_rng((self.seed, GROUP_STREAM, epoch))
        groups = rng.permutation(len(self.shards.groups))
        begins, lengths = self.shards.begins[:-1], np.diff(self.shards.begins)
        ends = np.cumsum(lengths[groups])
        place = stream * self.shape.num_processes + self.rank
        start = int(self.sizes.ravel()[:place].sum())
        stop = start + int(self.sizes[stream, self.rank])
        first = int(np.searchsorted(ends, start, side="right"))
        last = int(np.searchsorted(ends, stop, side="left"))
        line = [begins[group] + np.arange(lengths[group]) for group in groups[first : last + 1]]
        skipped = start - int(ends[first] - lengths[groups[first]]) if line else 0
        own = np.concatenate(line)[skipped : skipped + stop - start] if line else np.zeros(0, int)
        shuffler = np.random.default_rng((self.seed, BUFFER_STREAM, epoch, place))
        blocks = [
            shuffler.permutation(own[begin : begin + self.buffer])
            for begin in range(0, len(own), self.buffer)
        ]
        return np.concatenate(blocks) if blocks else own

    def __iter__(self) -> Iterator[list[Key]]:
        """Yield this process's batches of `epoch`, from step `first_step` on."""
        size, accumulation = self.shape.batch_size, self.shape.accumulation
        streams = [self.order_stream(self.epoch, stream) for stream in range(STREAMS)]
        for step in range(self.first_step, self.steps_per_epoch):
            batches = range(step * accumulation, step * accumulation + self.passes_of(step))
            total = sum(int(self.count_clips(batch).sum()) for batch in batches)
            for batch in batches:
                number, stream = divmod(batch, STREAMS)
                own = streams[stream][number * size : (number + 1) * size]
                weight = 1 / total if len(own) else 0.0
                clips = own if len(own) else self._find_filler(streams)
                yield [(self.epoch, int(clip), weight) for clip in clips]

    def _find_filler(self, streams: list[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Return a clip to repeat with weight 0: of this process, else the first of all."""
        every = next((stream for stream in streams if len(stream)), np.zeros(1, np.int64))
        return every[-1:]

    def group_steps(self, passes: Iterable[Sequence[Batch]]) -> Iterator[list[Batch]]:
        """Put the batches of a loader over this order together; note the clips set aside."""
        for step in super().group_steps(passes):
            if self.spool is not None:
                self.spool.note(step)
            yield step
