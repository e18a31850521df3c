"""Cuts and caps, on numbers small enough to check by eye."""

from __future__ import annotations

import numpy as np
import pytest

from audio_cls.data.cuts import cap_rows, cut_rows


@pytest.mark.parametrize("limit", [1, 2, 5, 9, 10, 50])
def test_a_cap_keeps_that_many_rows_of_those_there_are(limit: int) -> None:
    rows, labels = np.arange(100, 110), np.arange(200) % 3
    kept = cap_rows(rows, labels, limit, seed=0)
    assert len(kept) == min(limit, 10) and set(kept) <= set(rows) and len(set(kept)) == len(kept)


def test_a_cap_keeps_the_classes_shares() -> None:
    labels = np.array([0] * 80 + [1] * 20)
    kept = cap_rows(np.arange(100), labels, 10, seed=3)
    assert np.bincount(labels[kept]).tolist() == [8, 2]


def test_no_cap_keeps_all() -> None:
    rows = np.array([5, 3])
    assert cap_rows(rows, np.zeros(9, dtype=np.int64), None, seed=0) is rows


def test_a_cut_is_in_ascending_order() -> None:
    rows = np.arange(40)[::-1]
    kept, cut = cut_rows(rows, rows % 2, None, share=0.25, method="stratified", seed=0)
    assert len(cut) == 10 and kept.tolist() == sorted(kept) and cut.tolist() == sorted(cut)


def test_groups_of_one_class_each_are_still_cut_whole() -> None:
    labels = np.repeat([0, 1, 2, 3], 10)
    groups = np.repeat([f"speaker {n}" for n in range(8)], 5)
    kept, cut = cut_rows(np.arange(40), labels, groups, share=0.5, method="stratified", seed=1)
    assert not set(groups[kept]) & set(groups[cut]) and len(cut) == 20
    assert np.bincount(labels[cut]).tolist() == [5, 5, 5, 5]


def test_a_giant_group_is_never_parted() -> None:
    groups = np.array(["giant"] * 90 + [f"small {n}" for n in range(10)])
    labels = np.arange(100) % 2
    kept, cut = cut_rows(np.arange(100), labels, groups, share=0.1, method="stratified", seed=0)
    assert not set(groups[kept]) & set(groups[cut]) and 1 <= len(cut) <= 10
