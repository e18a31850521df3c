"""Tests of audio_cls.data.streaming.sampler and bad_clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Features, Value

from audio_cls.config import DataConfig
from audio_cls.data.loading.batch import BadClip, Batch
from audio_cls.data.loading.sampler import Key, StepShape
from audio_cls.data.sources.parquet.shards import Shards
from audio_cls.data.streaming.bad_clips import BadClipLog, read_bad_clips
from audio_cls.data.streaming.sampler import NUM_STREAMS, StreamBatchSampler


def make_shards(sizes: Sequence[int]) -> Shards:
    """Make an index of row groups of these sizes, a file each."""
    groups = np.array([(place, 0) for place in range(len(sizes))])
    begins = np.concatenate([[0], np.cumsum(sizes)])
    files = tuple(f"{n}.parquet" for n in range(len(sizes)))
    return Shards(files, groups, begins, Features({"a": Value("int64")}), "train")


def list_batches(
    sizes: Sequence[int], processes: int, *, batch_size: int = 4, passes: int = 1, epoch: int = 0
) -> list[list[list[Key]]]:
    """Return the batches of each process in one epoch."""
    shape, lists = StepShape(batch_size, passes, processes), []
    for rank in range(processes):
        order = StreamBatchSampler(make_shards(sizes), shape, rank=rank, seed=3, buffer=64)
        order.set_epoch(epoch)
        lists.append(list(order))
    return lists


SHAPES = [
    ([100, 100, 100], 2, 1),
    ([7, 1, 30], 2, 1),
    ([5], 2, 1),
    ([3], 2, 2),
    ([1] * 50, 3, 2),
    ([1000, 3, 3], 4, 3),
    ([33], 1, 1),
]


@pytest.mark.parametrize(("sizes", "processes", "passes"), SHAPES)
def test_every_clip_is_drawn_once_per_epoch(sizes: list[int], processes: int, passes: int) -> None:
    lists = list_batches(sizes, processes, passes=passes)
    drawn = [key[1] for own in lists for batch in own for key in batch if key[2] > 0]
    assert sorted(drawn) == list(range(sum(sizes)))


@pytest.mark.parametrize(("sizes", "processes", "passes"), SHAPES)
def test_all_processes_have_equally_many_micro_batches_and_a_step_is_a_plain_mean(
    sizes: list[int], processes: int, passes: int
) -> None:
    lists = list_batches(sizes, processes, passes=passes)
    order = StreamBatchSampler(
        make_shards(sizes), StepShape(4, passes, processes), rank=0, seed=3, buffer=64
    )
    assert {len(own) for own in lists} == {len(order)}
    assert sum(order.num_micro_batches(step) for step in range(order.steps_per_epoch)) == len(order)
    for step in range(order.steps_per_epoch):
        batches = range(step * passes, step * passes + order.num_micro_batches(step))
        keys = [key for own in lists for batch in batches for key in own[batch]]
        assert sum(key[2] for key in keys) == pytest.approx(1)
        assert all(own[batch] for own in lists for batch in batches)


def test_three_shards_are_enough_for_two_processes_with_two_workers() -> None:
    for own in list_batches([120, 120, 120], 2):
        for worker in range(2):  # a loader gives batches to its workers in turn
            clips = [key[1] for batch in own[worker::2] for key in batch]
            assert len(clips) == 90


def test_a_worker_keeps_to_its_own_row_groups() -> None:
    (own,) = list_batches([10] * 40, 1)
    groups = [{key[1] // 10 for batch in own[w::2] for key in batch} for w in range(2)]
    assert len(groups[0] & groups[1]) <= NUM_STREAMS - 1


def test_the_order_changes_with_the_epoch_and_is_equal_for_equal_seeds() -> None:
    first, again, other = (list_batches([50, 50, 50, 50], 1, epoch=epoch)[0] for epoch in (0, 0, 1))
    numbers = [key[1] for batch in first for key in batch]
    assert first == again
    assert numbers != sorted(numbers) and numbers != [k[1] for batch in other for k in batch]
    assert {batch[0][0] for batch in other} == {1}


def test_clips_are_shuffled_within_a_buffer_only() -> None:
    order = StreamBatchSampler(
        make_shards([100] * 8), StepShape(4, 1, 1), rank=0, seed=0, buffer=40
    )  # 10 clips for each of 4 streams
    own = order.order_stream(0, 1)
    groups = [set((own[start : start + 10] // 100).tolist()) for start in range(0, 200, 10)]
    assert all(len(found) == 1 for found in groups)
    assert own.tolist() != sorted(own.tolist())


def test_an_epoch_resumes_where_it_stopped() -> None:
    shards, shape = make_shards([31, 17, 60]), StepShape(4, 3, 1)
    whole = list(StreamBatchSampler(shards, shape, rank=0, seed=1, buffer=32))
    rest = StreamBatchSampler(shards, shape, rank=0, seed=1, buffer=32)
    rest.load_state_dict({"epoch": 0, "step": 4})
    assert list(rest) == whole[12:]


def make_batch(number: int, *bad_clips: BadClip) -> Batch:
    """Make a batch of one clip."""
    one = torch.tensor([number])
    return Batch({}, one, one, one.float(), bad_clips)


def test_bad_clips_are_logged_at_once_and_read_back_once_each(tmp_path: Path) -> None:
    shards, shape = make_shards([8]), StepShape(1, 1, 1)
    for epoch in range(2):
        log = BadClipLog(tmp_path / "s", 0, DataConfig(max_bad_audio_ratio=0.5))
        order = StreamBatchSampler(shards, shape, rank=0, seed=0, buffer=4, bad_clip_log=log)
        order.set_epoch(epoch)
        batches = [make_batch(n, BadClip(n, f"c{n}", "empty")) for n in (5, 2)]
        steps = order.group_steps([[batch] for batch in batches + [make_batch(0)] * 6])
        assert len(list(steps)) == 8
    assert read_bad_clips(tmp_path / "s") == {"c2": "empty", "c5": "empty"}
    assert read_bad_clips(tmp_path / "none") == {}
