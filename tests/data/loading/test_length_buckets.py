"""Tests of audio_cls.data.loading.length_buckets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_models import write_tiny_checkpoint
from tiny_runs import make_config, set_up

from audio_cls.data.loading.length_buckets import Buckets
from audio_cls.data.loading.sampler import DistributedBatchSampler, SamplingSpec, StepShape

LENGTHS = np.random.default_rng(0).integers(8_000, 192_000, 1003)  # 0.5 to 12 s at 16 kHz


def list_steps(shape: StepShape, buckets: Buckets | None, first_step: int = 0) -> list[list[int]]:
    """Return the clips of each step of epoch 3, over all processes and passes, in rank order."""
    steps: dict[int, list[int]] = {}
    for rank in range(shape.num_processes):
        order = DistributedBatchSampler(
            len(LENGTHS), shape, rank=rank, seed=1, spec=SamplingSpec(buckets=buckets)
        )
        order.load_state_dict({"epoch": 3, "step": first_step})
        batches = iter(list(order))
        for step in range(first_step, order.steps_per_epoch):
            for _ in range(order.num_micro_batches(step)):
                steps.setdefault(step, []).extend(n for _, n, weight in next(batches) if weight)
    return [steps[step] for step in sorted(steps)]


def measure_waste(steps: list[list[int]], batch_size: int) -> float:
    """Return the share of the samples that is padding."""
    batches = [step[i : i + batch_size] for step in steps for i in range(0, len(step), batch_size)]
    padded = sum(int(LENGTHS[batch].max()) * len(batch) for batch in batches)
    return 1 - float(LENGTHS.sum()) / padded


def test_less_than_a_twentieth_is_padding() -> None:
    shape = StepShape(8, 1, 1)
    assert measure_waste(list_steps(shape, None), 8) > 0.35
    assert measure_waste(list_steps(shape, Buckets(LENGTHS, 32)), 8) < 0.05


def test_every_clip_is_drawn_once_and_steps_are_in_random_order() -> None:
    steps = list_steps(StepShape(8, 1, 1), Buckets(LENGTHS, 32))
    assert sorted(clip for step in steps for clip in step) == list(range(len(LENGTHS)))
    means = [float(LENGTHS[step].mean()) for step in steps[:32]]
    assert abs(float(np.corrcoef(means, np.arange(32))[0, 1])) < 0.5
    assert means != [float(LENGTHS[s].mean()) for s in list_steps(StepShape(8, 1, 1), None)[:32]]


@pytest.mark.parametrize("shape", [(8, 1, 2), (4, 2, 2), (16, 1, 1), (4, 4, 1)])
def test_a_step_is_the_same_however_it_is_shared_and_after_a_resume(
    shape: tuple[int, int, int],
) -> None:
    buckets = Buckets(LENGTHS, 10)
    alone = [set(step) for step in list_steps(StepShape(16, 1, 1), buckets)]
    assert [set(step) for step in list_steps(StepShape(*shape), buckets)] == alone
    assert [set(step) for step in list_steps(StepShape(*shape), buckets, 40)] == alone[40:]


def test_the_setting_reaches_the_order(tone_folder: Path, tmp_path: Path) -> None:
    write_tiny_checkpoint("hubert", tmp_path / "model")
    plain = make_config(tone_folder, tmp_path / "model", tmp_path / "plain", max_seconds=1)
    bucketed = make_config(
        tone_folder, tmp_path / "model", tmp_path / "sorted", max_seconds=1, length_buckets=32
    )
    sizes = []
    for cfg in (plain, bucketed):
        loader = set_up(cfg).loader
        sizes.append(sum(one.inputs["input_values"].numel() for part in loader for one in part))
    assert sizes[1] < 0.95 * sizes[0]
