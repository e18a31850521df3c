"""Tests of audio_cls.data.keyword_spotting.sampling."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest

from audio_cls.config import DataConfig
from audio_cls.data.keyword_spotting.sampling import (
    cap_training,
    make_epoch_subset,
    read_keyword_mix,
    subsample_non_keywords,
    take_epoch,
)
from audio_cls.data.loading.sampler import DistributedBatchSampler, SamplingSpec, StepShape
from audio_cls.data.splits.keyword_splits import assign_silence_to_splits

NAMES = ("yes", "no", "_silence_", "_unknown_")
LABELS = np.repeat([0, 1, 2, 3], [40, 60, 30, 500])
CFG = DataConfig(unknown_share=0.1, silence_from="_silence_", silence_share=0.2)


def test_an_official_test_set_keeps_all_its_clips() -> None:
    """Speech Commands v0.02: 4,074 keyword clips, 408 of silence, 408 unknown."""
    labels = np.repeat([0, 2, 3], [4074, 408, 408])
    cfg = DataConfig(unknown_share=0.1, silence_from="_silence_")
    rows = subsample_non_keywords(np.arange(4890), labels, read_keyword_mix(NAMES, cfg), seed=1)
    assert len(rows) == 4890


def test_validation_and_test_keep_one_fixed_share() -> None:
    mix, rows = read_keyword_mix(NAMES, CFG), np.arange(len(LABELS))
    kept = subsample_non_keywords(rows, LABELS, mix, seed=1)
    assert np.bincount(LABELS[kept]).tolist() == [40, 60, 20, 10]
    assert kept.tolist() == subsample_non_keywords(rows, LABELS, mix, seed=1).tolist()
    assert kept.tolist() != subsample_non_keywords(rows, LABELS, mix, seed=2).tolist()


def test_an_epoch_has_every_keyword_and_another_draw_of_unknown_words() -> None:
    plan = make_epoch_subset(LABELS, NAMES, CFG)
    assert plan is not None and len(plan) == 130
    epochs = [plan.draw(7, epoch) for epoch in range(3)]
    for drawn in epochs:
        assert np.bincount(LABELS[drawn]).tolist() == [40, 60, 20, 10]
        assert len(set(drawn.tolist())) == 130
    unknown = [set(drawn[LABELS[drawn] == 3].tolist()) for drawn in epochs]
    assert unknown[0] != unknown[1] != unknown[2]
    assert plan.draw(7, 1).tolist() == epochs[1].tolist(), "a function of seed and epoch"
    assert plan.draw(8, 1).tolist() != epochs[1].tolist()


def test_without_shares_every_epoch_has_all_clips() -> None:
    assert make_epoch_subset(LABELS, NAMES, DataConfig()) is None
    assert make_epoch_subset(LABELS, ("a", "b", "c", "d"), CFG) is None


def list_clips(order: DistributedBatchSampler) -> list[list[int]]:
    """Return the clips of each batch of an epoch that count."""
    return [[number for _, number, weight in batch if weight > 0] for batch in order]


def test_the_draw_is_the_same_for_two_processes_and_after_a_resume() -> None:
    plan = make_epoch_subset(LABELS, NAMES, CFG)
    assert plan is not None

    def make_sampler(shape: StepShape, rank: int = 0) -> DistributedBatchSampler:
        spec = SamplingSpec(epoch_subset=plan)
        return DistributedBatchSampler(len(plan), shape, rank=rank, seed=5, spec=spec)

    one = make_sampler(StepShape(8, 1, 1))
    two = [make_sampler(StepShape(4, 1, 2), rank) for rank in (0, 1)]
    for order in (one, *two):
        order.set_epoch(2)
    assert one.steps_per_epoch == two[0].steps_per_epoch == 17
    alone = list_clips(one)
    assert alone == [a + b for a, b in zip(*map(list_clips, two), strict=True)]
    resumed = make_sampler(StepShape(8, 1, 1))
    resumed.load_state_dict({"epoch": 2, "step": 6})
    assert list_clips(resumed) == alone[6:]


RECORDINGS = np.array([""] * 100 + [f"hum{n}" for n in range(6) for _ in range(10)])
SOUNDS = np.array([0] * 80 + [1] * 20 + [2] * 60)
PARTS = {"train": np.arange(80), "validation": np.arange(80, 90), "test": np.arange(90, 100)}


def test_recordings_are_dealt_whole_and_every_split_gets_one() -> None:
    parts = assign_silence_to_splits(
        PARTS, RECORDINGS, SOUNDS, read_keyword_mix(NAMES, CFG), seed=3
    )
    heard = {role: set(RECORDINGS[rows].tolist()) - {""} for role, rows in parts.items()}
    assert {role: len(own) for role, own in heard.items()} == {
        "train": 4, "validation": 1, "test": 1,
    }  # fmt: skip
    assert set.union(*heard.values()) == {f"hum{n}" for n in range(6)}
    assert all(
        len(rows) == len(PARTS[role]) + 10 * len(heard[role]) for role, rows in parts.items()
    )


def test_a_split_with_silence_of_its_own_gets_none() -> None:
    sounds = SOUNDS.copy()
    sounds[95] = 2
    parts = assign_silence_to_splits(
        PARTS, RECORDINGS, sounds, read_keyword_mix(NAMES, CFG), seed=3
    )
    assert len(parts["test"]) == 10 and len(parts["validation"]) == 20


def test_too_few_recordings_leave_validation_without(caplog: pytest.LogCaptureFixture) -> None:
    few = np.where(np.isin(RECORDINGS, ["", "hum0", "hum1"]), RECORDINGS, "")
    with caplog.at_level(logging.WARNING):
        parts = assign_silence_to_splits(PARTS, few, SOUNDS, read_keyword_mix(NAMES, CFG), seed=3)
    assert {role: len(rows) for role, rows in parts.items()} == {
        "train": 90, "validation": 10, "test": 20,
    }  # fmt: skip
    assert "none for validation." in caplog.text


def test_a_cap_counts_the_clips_of_an_epoch() -> None:
    """Half of the 130 clips of an epoch, each class with half of its own: 20, 30, 10 and 5."""
    mix, rows = read_keyword_mix(NAMES, CFG), np.arange(len(LABELS))
    kept = cap_training(rows, LABELS, mix, dataclasses.replace(CFG, max_train_samples=65))
    assert np.bincount(LABELS[kept]).tolist() == [20, 30, 10, 5]
    plan = make_epoch_subset(LABELS[kept], NAMES, CFG)
    assert plan is not None and len(plan) == 65, "an epoch uses them all"
    whole = cap_training(rows, LABELS, mix, dataclasses.replace(CFG, max_train_samples=130))
    assert whole is rows, "an epoch is no longer than that: it draws from all clips"
    none = read_keyword_mix((), DataConfig())
    plain = cap_training(rows, LABELS, none, DataConfig(max_train_samples=63))
    assert np.bincount(LABELS[plain]).tolist() == [4, 6, 3, 50]


def test_one_epoch_has_the_labels_of_every_epoch() -> None:
    plan = make_epoch_subset(LABELS, NAMES, CFG)
    assert plan is not None
    counts = np.bincount(take_epoch(LABELS, NAMES, CFG)).tolist()
    assert counts == np.bincount(LABELS[plan.draw(3, 17)]).tolist() == [40, 60, 20, 10]
    assert take_epoch(LABELS, NAMES, DataConfig()) is LABELS
