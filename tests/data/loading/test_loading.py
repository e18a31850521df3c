"""Tests of audio_cls.data.loading: sampler, datasets, collate function and loaders."""

from __future__ import annotations

import itertools
import pickle
import time
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, List, Value, concatenate_datasets

from audio_cls.config import AudioConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.loading.batch import BadClip, Batch, Example, collate, make_batch
from audio_cls.data.loading.datasets import TrainingDataset, WindowDataset
from audio_cls.data.loading.length_buckets import group_windows
from audio_cls.data.loading.loaders import make_evaluation_loader, make_training_loader
from audio_cls.data.loading.sampler import DistributedBatchSampler, StepShape
from audio_cls.errors import SettingError

RATE = 10
FEATURES = Features({"wave": List(Value("float32"))})


def make_clips(lengths: Sequence[int], rows: Sequence[int] | None = None) -> Clips:
    """Return clips whose samples are 1000 * row, 1000 * row + 1 and so on, in chunks of 3 rows."""
    waves = [1000.0 * row + np.arange(length) for row, length in enumerate(lengths)]
    chunks = [
        Dataset.from_dict({"wave": waves[start : start + 3]}, features=FEATURES)
        for start in range(0, len(waves), 3)
    ]
    chosen = np.array(range(len(lengths)) if rows is None else rows)
    return Clips(
        table=concatenate_datasets(chunks),
        rows=chosen,
        labels=chosen % 3,
        ids=np.array([f"clip-{row}" for row in chosen]),
        lengths=np.array(lengths)[chosen],
        sampling_rate=RATE,
    )


def pad_waves(waves: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
    """Stack waves as the simplest encoder does."""
    tensors = [torch.from_numpy(wave) for wave in waves]
    return {"input_values": torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True)}


def list_steps(
    num_clips: int,
    batch_size: int,
    accumulation: int,
    num_processes: int,
    *,
    epoch: int = 0,
    step: int = 0,
) -> list[list[tuple[int, float]]]:
    """Return the (clip, weight) pairs of each step of an epoch, over all processes and passes."""
    shape = StepShape(batch_size, accumulation, num_processes)
    steps: list[list[tuple[int, float]]] = []
    for rank in range(num_processes):
        order = DistributedBatchSampler(num_clips, shape, rank=rank, seed=7)
        order.load_state_dict({"epoch": epoch, "step": step})
        batches = list(order)
        assert all(1 <= len(keys) <= batch_size for keys in batches)
        for number in range(order.steps_per_epoch - step):
            own = [batches.pop(0) for _ in range(order.num_micro_batches(step + number))]
            steps += [[]] if number == len(steps) else []
            steps[number] += [(clip, weight) for keys in own for _, clip, weight in keys]
        assert not batches
    return steps


@pytest.mark.parametrize("num_clips", [1, 15, 16, 17, 24, 33, 48, 50])
def test_a_step_is_the_same_however_its_work_is_shared(num_clips: int) -> None:
    alone = list_steps(num_clips, 16, 1, 1)
    for shape in [(8, 1, 2), (8, 2, 1), (4, 2, 2), (4, 4, 1), (1, 4, 4), (16, 1, 1)]:
        shared = list_steps(num_clips, *shape)
        assert len(shared) == len(alone)
        for step, same_step in zip(alone, shared, strict=True):
            drawn = {clip: weight for clip, weight in same_step if weight > 0}
            assert drawn == dict(step)
            assert sum(weight for _, weight in same_step) == pytest.approx(1)


def test_an_epoch_has_every_clip_once_in_an_order_that_changes_with_the_epoch() -> None:
    first, second = (list_steps(50, 8, 1, 2, epoch=epoch) for epoch in (0, 1))
    for steps in (first, second):
        drawn = [clip for step in steps for clip, weight in step if weight > 0]
        assert sorted(drawn) == list(range(50))
    assert first != second


def test_a_resumed_epoch_has_the_remaining_steps() -> None:
    whole = list_steps(50, 4, 2, 2)
    for done in range(len(whole)):
        assert list_steps(50, 4, 2, 2, step=done) == whole[done:]


def test_all_processes_have_equally_many_micro_batches_and_fillers_have_weight_zero() -> None:
    shape = StepShape(2, 2, 4)
    orders = [DistributedBatchSampler(17, shape, rank=rank, seed=0) for rank in range(4)]
    lists = [list(order) for order in orders]
    assert {len(batches) for batches in lists} == {3}  # two full passes, one with a single clip
    last = [batches[-1] for batches in lists]
    assert len({keys[0][1] for keys in last}) == 1
    assert sorted(keys[0][2] for keys in last) == [0, 0, 0, 1]


def test_the_output_of_a_loader_is_grouped_by_step() -> None:
    order = DistributedBatchSampler(10, StepShape(2, 2, 1), rank=0, seed=0)
    loader = make_training_loader(
        TrainingDataset(make_clips([5] * 10), AudioConfig(), order.seed), order, pad_waves, 0
    )
    steps = list(order.group_steps(loader))
    assert [[len(batch.numbers) for batch in step] for step in steps] == [[2, 2], [2, 2], [2]]
    assert [float(sum(b.weights.sum() for b in step)) for step in steps] == pytest.approx([1] * 3)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_state_dict_taken_between_two_steps_gives_the_steps_that_are_left(workers: int) -> None:
    clips = make_clips([5] * 23)

    def list_numbers(order: DistributedBatchSampler, limit: int | None = None) -> list[list[int]]:
        loader = make_training_loader(
            TrainingDataset(clips, AudioConfig(), order.seed), order, pad_waves, workers
        )
        steps = itertools.islice(order.group_steps(loader), limit)
        return [[n for batch in step for n in batch.numbers.tolist()] for step in steps]

    first, second = (DistributedBatchSampler(23, StepShape(2, 2, 1), rank=0, seed=5) for _ in "ab")
    first.set_epoch(3)
    whole = list_numbers(first)
    assert first.state_dict() == {"epoch": 3, "step": 6}
    first.set_epoch(3)
    assert list_numbers(first, limit=2) == whole[:2]
    assert first.state_dict() == {"epoch": 3, "step": 2}
    second.load_state_dict(first.state_dict())
    assert list_numbers(second) == whole[2:]


@pytest.mark.parametrize("num_clips", [1, 15, 16, 17, 33])
@pytest.mark.parametrize("shape", [(16, 1, 1), (4, 2, 2), (1, 4, 4)])
def test_the_length_is_the_number_of_micro_batches(
    num_clips: int, shape: tuple[int, int, int]
) -> None:
    order = DistributedBatchSampler(num_clips, StepShape(*shape), rank=0, seed=0)
    assert isinstance(order, torch.utils.data.Sampler)
    assert len(order) == len(list(order))


def list_batches(num_workers: int, cfg: AudioConfig) -> list[Batch]:
    """Return the training batches of two epochs."""
    clips = make_clips([20 + number for number in range(11)])
    order = DistributedBatchSampler(len(clips), StepShape(4, 1, 1), rank=0, seed=3)
    loader = make_training_loader(
        TrainingDataset(clips, cfg, order.seed), order, pad_waves, num_workers
    )
    passes = list(loader)
    order.set_epoch(1)
    return [batch for one in passes + list(loader) for batch in one]


@pytest.mark.parametrize("min_seconds", [None, 0.3])
def test_crops_are_the_same_with_0_and_2_workers(min_seconds: float | None) -> None:
    cfg = AudioConfig(max_seconds=1.0, min_seconds=min_seconds)
    own, others = list_batches(0, cfg), list_batches(2, cfg)
    assert len(own) == len(others) == 6
    for one, other in zip(own, others, strict=True):
        assert torch.equal(one.inputs["input_values"], other.inputs["input_values"])
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.numbers, other.numbers)


def test_a_crop_depends_on_seed_epoch_and_clip_alone() -> None:
    clips = make_clips([1000] * 3)
    cfg = AudioConfig(max_seconds=1.0)
    pieces = TrainingDataset(clips, cfg, seed=1)
    again, other_seed = TrainingDataset(clips, cfg, seed=1), TrainingDataset(clips, cfg, seed=2)
    same = pieces[0, 1, 0.5]
    assert len(same.wave) == 10
    assert np.array_equal(again[0, 1, 0.1].wave, same.wave)
    for other in (pieces[1, 1, 0.5], other_seed[0, 1, 0.5]):
        assert other.wave[0] != same.wave[0]
    assert pieces[0, 2, 0.5].wave[0] - 2000 != same.wave[0] - 1000


@pytest.mark.parametrize("crop", ["random", "start"])
def test_min_seconds_gives_crops_of_every_length_up_to_the_longest(crop: str) -> None:
    clips = make_clips([25, 4])
    cfg = AudioConfig(max_seconds=1.0, min_seconds=0.5, crop=crop)
    pieces = TrainingDataset(clips, cfg, seed=0)
    waves = [pieces[epoch, 0, 1.0].wave for epoch in range(80)]
    assert {len(wave) for wave in waves} == {5, 6, 7, 8, 9, 10}
    assert all(
        wave.tolist() == list(range(int(wave[0]), int(wave[0]) + len(wave))) for wave in waves
    )
    starts = {int(wave[0]) for wave in waves}
    assert starts == {0} if crop == "start" else len(starts) > 15
    assert max(int(wave[-1]) for wave in waves) == (9 if crop == "start" else 24)
    assert {len(pieces[epoch, 1, 1.0].wave) for epoch in range(9)} == {4}, "short clips are whole"
    again = TrainingDataset(clips, cfg, seed=0)[3, 0, 0.2].wave
    assert np.array_equal(again, waves[3]), "a function of seed, epoch and clip alone"
    window = WindowDataset(clips, cfg)[0].wave
    assert len(window) == 10, "evaluation hears --max-seconds"


def test_min_seconds_above_max_seconds_is_refused() -> None:
    with pytest.raises(SettingError, match=r"--min-seconds 3 is longer than --max-seconds 2: give"):
        AudioConfig(max_seconds=2.0, min_seconds=3.0)


def test_training_crops_reach_the_last_sample() -> None:
    pieces = TrainingDataset(make_clips([13]), AudioConfig(max_seconds=1.0), seed=0)
    starts = {int(pieces[epoch, 0, 1.0].wave[0]) for epoch in range(60)}
    assert starts == {0, 1, 2, 3}


def test_crop_start_takes_the_beginning() -> None:
    cfg = AudioConfig(max_seconds=1.0, crop="start")
    piece = TrainingDataset(make_clips([13]), cfg, seed=0)[5, 0, 1.0]
    assert piece.wave.tolist() == list(range(10))


@pytest.mark.parametrize("crop", ["random", "start"])
def test_repeat_short_fills_training_crops_and_windows_equally(crop: str) -> None:
    clips = make_clips([4, 25])
    cfg = AudioConfig(max_seconds=1.0, repeat_short=True, crop=crop)
    expected = [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert TrainingDataset(clips, cfg, seed=0)[0, 0, 1.0].wave.tolist() == expected
    windows = WindowDataset(clips, cfg)
    assert windows[0].wave.tolist() == expected
    assert {stop - start for _, start, stop in windows.windows} == {10}
    without = AudioConfig(max_seconds=1.0)
    assert TrainingDataset(clips, without, seed=0)[0, 0, 1.0].wave.tolist() == [0, 1, 2, 3]
    assert WindowDataset(clips, without)[0].wave.tolist() == [0, 1, 2, 3]


def test_the_middle_window_of_a_clip_is_one_of_its_windows() -> None:
    clips = make_clips([25, 4, 20])
    cfg = AudioConfig(max_seconds=1.0)  # 10 samples
    assert WindowDataset(clips, cfg).windows == [
        *[(0, 0, 10), (0, 10, 20), (0, 15, 25)],
        (1, 0, 4),
        *[(2, 0, 10), (2, 10, 20)],
    ]
    middle = WindowDataset(clips, cfg, is_only_middle=True)
    assert middle.windows == [(0, 10, 20), (1, 0, 4), (2, 0, 10)]
    assert [middle[number].number for number in range(3)] == [0, 1, 2]


def test_clips_are_read_from_any_chunk_of_the_table() -> None:
    clips = make_clips([5, 0, 4, 3, 6, 2, 7], rows=[6, 2, 0, 4])
    for number, row in enumerate([6, 2, 0, 4]):
        length = int(clips.lengths[number])
        wave = clips.read_wave(number, 1, length)
        assert wave.tolist() == [1000 * row + sample for sample in range(1, length)]


def test_clips_are_read_through_a_selection_of_rows() -> None:
    clips = make_clips([5, 6, 7, 8])
    table = clips.table.select([3, 1])
    chosen = Clips(table, np.arange(2), clips.labels[:2], clips.ids[:2], np.array([8, 6]), RATE)
    assert chosen.read_wave(0, 0, 2).tolist() == [3000, 3001]
    assert chosen.read_wave(1, 4, 6).tolist() == [1004, 1005]


def test_a_wave_is_a_copy_that_may_be_changed() -> None:
    clips = make_clips([5])
    clips.read_wave(0, 0, 5)[:] = -1
    assert clips.read_wave(0, 0, 5).tolist() == [0, 1, 2, 3, 4]


def test_clips_are_sent_to_workers_without_their_samples(tmp_path: object) -> None:
    clips = make_clips([20_000])
    wave = clips.read_wave(0, 0, 10)
    before = len(pickle.dumps(clips.__getstate__()["table"]))
    data = pickle.dumps(clips)
    assert len(data) < before + 2_000
    assert np.array_equal(pickle.loads(data).read_wave(0, 0, 10), wave)


def test_a_crop_of_a_long_clip_is_read_in_less_than_a_tenth_of_a_millisecond() -> None:
    rng = np.random.default_rng(0)
    waves = [rng.standard_normal(480_000, dtype=np.float32) for _ in range(4)]
    table = Dataset.from_dict({"wave": waves}, features=FEATURES)
    rows = np.arange(4)
    clips = Clips(table, rows, rows, rows.astype(str), np.full(4, 480_000), 16_000)
    clips.read_wave(0, 0, 1)
    seconds = []
    for number in range(200):
        started = time.perf_counter()
        clips.read_wave(number % 4, 160_000, 176_000)
        seconds.append(time.perf_counter() - started)
    assert np.median(seconds) < 1e-4


def test_windows_group_by_length_longest_first_and_keep_every_window() -> None:
    lengths = [5, 9, 5, 7, 9, 5]
    assert group_windows(lengths, 2, equal_lengths=True) == [[1, 4], [3], [0, 2], [5]]
    assert group_windows(lengths, 4, equal_lengths=False) == [[1, 4, 3, 0], [2, 5]]
    assert group_windows([], 4, equal_lengths=True) == []
    rng = np.random.default_rng(0)
    many = rng.integers(1, 6, 101).tolist()
    for equal in (True, False):
        batches = group_windows(many, 8, equal_lengths=equal)
        assert sorted(number for batch in batches for number in batch) == list(range(101))
        assert max(map(len, batches)) <= 8
        if equal:
            assert all(len({many[number] for number in batch}) == 1 for batch in batches)


def test_evaluation_has_every_window_with_its_clips_label() -> None:
    clips = make_clips([25, 4, 10])
    windows = WindowDataset(clips, AudioConfig(max_seconds=1.0))
    assert windows.windows == [(0, 0, 10), (0, 10, 20), (0, 15, 25), (1, 0, 4), (2, 0, 10)]
    loader = make_evaluation_loader(windows, pad_waves, [[2, 4], [3]], num_workers=0)
    first, second = list(loader)
    assert first.inputs["input_values"][:, 0].tolist() == [15, 2000]
    assert (first.labels.tolist(), first.numbers.tolist()) == ([0, 2], [2, 4])
    assert second.inputs["input_values"].tolist() == [[1000, 1001, 1002, 1003]]
    assert second.weights.tolist() == [1]


def test_collate_leaves_bad_clips_out_and_reports_them_once() -> None:
    bad = [BadClip(number, f"c{number}", "empty") for number in (7, 8)]
    silent = [Example(np.zeros(9, np.float32), 0, b.number, 0.0, bad_clip=b) for b in bad]
    good = [Example(np.ones(n, np.float32), 1, n, 0.5) for n in (4, 6, 4)]
    first, second = collate([silent[0], *good, silent[1]], pad_waves, equal_lengths=True)
    assert (first.numbers.tolist(), second.numbers.tolist()) == ([6], [4, 4])
    assert first.bad_clips == tuple(bad) and second.bad_clips == ()
    assert first.to(torch.device("cpu")).bad_clips == tuple(bad)
    (padded,) = collate([silent[0], *good], pad_waves)
    assert padded.inputs["input_values"].shape == (3, 6)
    (empty,) = collate(silent, pad_waves)
    assert (empty.numbers.tolist(), empty.weights.tolist()) == ([7], [0])
    assert empty.bad_clips == tuple(bad)


def test_labels_are_ids_or_targets() -> None:
    wave = np.zeros(3, np.float32)
    ids = make_batch([Example(wave, 2, 0, 0.5), Example(wave, 0, 1, 0.5)], pad_waves)
    assert ids.labels.dtype == torch.int64
    assert ids.labels.tolist() == [2, 0]
    shares = [np.array(share, np.float32) for share in ([0.25, 0.75], [1, 0])]
    soft = make_batch([Example(wave, one, 0, 0.5) for one in shares], pad_waves)
    assert soft.labels.dtype == torch.float32
    assert soft.labels.tolist() == [[0.25, 0.75], [1, 0]]
