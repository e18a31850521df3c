"""Cuts and caps, on numbers small enough to check by eye."""

from __future__ import annotations

import numpy as np
import pytest

from audio_cls.data.splits.train_test_split import limit_rows, split_rows


@pytest.mark.parametrize("limit", [1, 2, 5, 9, 10, 50])
def test_a_cap_keeps_that_many_rows_of_those_there_are(limit: int) -> None:
    rows, labels = np.arange(100, 110), np.arange(200) % 3
    kept = limit_rows(rows, labels, limit, seed=0)
    assert len(kept) == min(limit, 10) and set(kept) <= set(rows) and len(set(kept)) == len(kept)


def test_a_cap_keeps_the_classes_shares() -> None:
    labels = np.array([0] * 80 + [1] * 20)
    kept = limit_rows(np.arange(100), labels, 10, seed=3)
    assert np.bincount(labels[kept]).tolist() == [8, 2]


def test_no_cap_keeps_all() -> None:
    rows = np.array([5, 3])
    assert limit_rows(rows, np.zeros(9, dtype=np.int64), None, seed=0) is rows


def test_a_cut_is_in_ascending_order() -> None:
    rows = np.arange(40)[::-1]
    kept, cut = split_rows(rows, rows % 2, None, share=0.25, method="stratified", seed=0)
    assert len(cut) == 10 and kept.tolist() == sorted(kept) and cut.tolist() == sorted(cut)


def test_groups_of_one_class_each_are_still_cut_whole() -> None:
    labels = np.repeat([0, 1, 2, 3], 10)
    groups = np.repeat([f"speaker {n}" for n in range(8)], 5)
    kept, cut = split_rows(np.arange(40), labels, groups, share=0.5, method="stratified", seed=1)
    assert not set(groups[kept]) & set(groups[cut]) and len(cut) == 20
    assert np.bincount(labels[cut]).tolist() == [5, 5, 5, 5]


def test_a_giant_group_is_never_parted() -> None:
    groups = np.array(["giant"] * 90 + [f"small {n}" for n in range(10)])
    labels = np.arange(100) % 2
    kept, cut = split_rows(np.arange(100), labels, groups, share=0.1, method="stratified", seed=0)
    assert not set(groups[kept]) & set(groups[cut]) and 1 <= len(cut) <= 10


@pytest.mark.parametrize("seed", range(20))
def test_no_class_loses_its_last_clip_to_a_cut(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 5, 40)
    labels = rng.permutation(np.repeat(np.arange(40), counts))
    rows = np.arange(len(labels)) + 1000
    for share in (0.02, 0.1, 0.3):
        kept, cut = split_rows(rows, labels, None, share=share, method="stratified", seed=seed)
        assert sorted([*kept, *cut]) == rows.tolist()
        assert set(labels[kept - 1000].tolist()) == set(range(40))


def test_only_classes_of_one_clip_are_cut_all_the_same() -> None:
    kept, cut = split_rows(np.arange(5), np.arange(5), None, share=0.2, method="stratified", seed=0)
    assert len(kept) == 4 and len(cut) == 1


def test_groups_without_two_clips_of_a_class_are_cut() -> None:
    groups = np.array(["a", "b", "c"])
    kept, cut = split_rows(
        np.arange(3), np.arange(3), groups, share=0.3, method="stratified", seed=0
    )
    assert len(kept) == 2 and len(cut) == 1


@pytest.mark.parametrize(("share", "num_cut"), [(0.3, 12), (0.01, 4), (0.99, 36)])
def test_a_share_of_the_groups_is_cut_where_each_class_has_one_clip(
    share: float, num_cut: int
) -> None:
    rows, groups = np.arange(40), np.repeat([f"speaker {n}" for n in range(10)], 4)
    kept, cut = split_rows(rows, rows, groups, share=share, method="stratified", seed=0)
    assert len(cut) == num_cut and not set(groups[kept]) & set(groups[cut])
