"""Iterative stratification: each label in its share, where a plain shuffle misses."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from audio_cls.config import DataConfig
from audio_cls.data.splits.clip_index import ClipIndex
from audio_cls.data.splits.iterative_stratification import stratify_multilabel
from audio_cls.data.splits.kfold import assign_folds
from audio_cls.data.splits.splits import make_splits
from audio_cls.data.splits.train_test_split import limit_rows, split_rows

SHARES = (0.3, 0.2, 0.1, 0.04, 0.02)  # of the clips that have each label: some are rare


def make_marks(num_clips: int = 500, seed: int = 0) -> NDArray[np.float32]:
    """Return marks (N, 5) with labels that come together, and clips without any."""
    rng = np.random.default_rng(seed)
    marks = (rng.random((num_clips, len(SHARES))) < SHARES).astype(np.float32)
    marks[:, 3] = np.maximum(marks[:, 3], marks[:, 4])
    return marks


def miss(marks: NDArray[np.float32], cut: NDArray[np.int64], share: float) -> float:
    """Return the largest gap, in clips, between a label's clips in the cut and its share."""
    wanted = marks.sum(axis=0) * share
    return float(np.abs(marks[cut].sum(axis=0) - wanted).max())


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_every_label_has_its_share_to_a_clip_where_a_shuffle_misses(share: float) -> None:
    marks, rows = make_marks(), np.arange(500)
    kept, cut = split_rows(rows, marks, None, share=share, method="stratified", seed=0)
    _, shuffled = split_rows(rows, marks, None, share=share, method="shuffled", seed=0)
    assert len(cut) == round(500 * share)
    assert sorted([*kept, *cut]) == list(rows)
    assert miss(marks, cut, share) <= 1.5 < miss(marks, shuffled, share)
    bare = ~marks.any(axis=1)
    assert bare[cut].mean() == pytest.approx(bare.mean(), abs=0.08)


def test_equal_seeds_give_equal_cuts_and_others_do_not() -> None:
    marks = make_marks()
    heaps = [stratify_multilabel(marks, [0.8, 0.2], None, seed) for seed in (1, 1, 2)]
    assert (heaps[0] == heaps[1]).all() and (heaps[0] != heaps[2]).any()


def test_a_rare_label_reaches_every_heap_that_it_can() -> None:
    marks = np.zeros((100, 2), dtype=np.float32)
    marks[:5, 0], marks[5:, 1] = 1, 1
    heaps = stratify_multilabel(marks, [0.2] * 5, None, seed=3)
    assert sorted(heaps[:5]) == [0, 1, 2, 3, 4]
    assert np.bincount(heaps).tolist() == [20] * 5


def test_groups_stay_whole_and_the_labels_near_their_share() -> None:
    marks, groups = make_marks(600), np.array([f"g{n // 6}" for n in range(600)])
    kept, cut = split_rows(np.arange(600), marks, groups, share=0.2, method="stratified", seed=0)
    assert not set(groups[kept]) & set(groups[cut])
    assert len(cut) == pytest.approx(120, abs=12)
    assert miss(marks, cut, 0.2) <= 4
    with pytest.raises(ValueError, match="1 group is left"):
        split_rows(np.arange(6), marks[:6], groups[:6], share=0.5, method="stratified", seed=0)


@pytest.mark.parametrize("groups", [None, np.array([f"g{n // 2}" for n in range(500)])])
def test_folds_share_every_label_and_clip(groups: NDArray[np.str_] | None) -> None:
    marks = make_marks()
    ids = np.where(marks.any(axis=1), marks.argmax(axis=1), 5)
    ids[0] = -1
    pool = ClipIndex(
        ids, ids.astype(np.str_), groups, None, {"train": np.arange(500)}, targets=marks
    )
    folds = assign_folds(pool, 5, seed=0)
    assert folds[0] == "" and sorted(set(folds[1:])) == ["1", "2", "3", "4", "5"]
    for fold in "12345":
        assert miss(marks, np.flatnonzero(folds == fold), 0.2) <= (1.5 if groups is None else 4)
    assert (folds == assign_folds(pool, 5, seed=0)).all()


def test_a_cap_is_exact_and_keeps_the_labels() -> None:
    marks = make_marks()
    kept = limit_rows(np.arange(500), marks, 100, seed=0)
    assert len(kept) == 100 and miss(marks, kept, 0.2) <= 1.5


def test_splits_of_a_multi_label_pool_hold_every_label() -> None:
    marks = make_marks()
    ids = np.where(marks.any(axis=1), marks.argmax(axis=1), 5)
    pool = ClipIndex(ids, ids.astype(np.str_), None, None, {"train": np.arange(500)}, targets=marks)
    splits = make_splits(pool, DataConfig(validation_size=0.2, test_size=0.2))
    for part in (splits.validation, splits.test):
        assert len(part) == 100 and miss(marks, part, 0.2) <= 2
