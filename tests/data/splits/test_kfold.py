"""K folds: every clip is tested exactly once, and never where it or its group was trained on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from audio_cls.config import DataConfig
from audio_cls.data.labels.labels import UNUSABLE
from audio_cls.data.splits.clip_index import ClipIndex, restrict_index
from audio_cls.data.splits.kfold import assign_folds, with_folds
from audio_cls.data.splits.splits import Splits, make_splits
from audio_cls.errors import DatasetError

LABELS = np.arange(120) % 4


def make_pool(groups: list[str] | None = None, folds: list[str] | None = None) -> ClipIndex:
    """Make a pool of 120 clips, two of them without a label."""
    labels = LABELS.copy()
    labels[:2] = UNUSABLE
    texts = [None if one is None else np.array(one) for one in (groups, folds)]
    ids = np.array([str(number) for number in range(120)])
    return ClipIndex(labels, ids, texts[0], texts[1], {"train": np.arange(120)})


def list_folds(pool: ClipIndex, num_folds: int, **changes: str) -> list[Splits]:
    """Make the splits of each run of a cross-validation."""
    cfgs = [
        DataConfig(folds=num_folds, fold=str(number + 1), **changes)  # type: ignore[arg-type]
        for number in range(num_folds)
    ]
    return [make_splits(with_folds(pool, cfg), cfg) for cfg in cfgs]


@pytest.mark.parametrize("num_folds", [3, 5, 10])
@pytest.mark.parametrize("is_grouped", [False, True])
def test_every_clip_is_tested_once(num_folds: int, *, is_grouped: bool) -> None:
    groups = [f"speaker {number % 20}" for number in range(120)] if is_grouped else None
    runs = list_folds(make_pool(groups), num_folds)
    assert sorted(np.concatenate([run.test for run in runs]).tolist()) == list(range(2, 120))
    for run in runs:
        parts = [set(rows.tolist()) for _, rows in run.items()]
        assert sum(map(len, parts)) == len(set().union(*parts)) == 118
        if groups is not None:
            heard = [{groups[row] for row in part} for part in parts]
            assert not heard[0] & heard[2] and not heard[1] & heard[2]


def test_dealt_folds_have_like_classes_and_follow_the_seed() -> None:
    folds = assign_folds(make_pool(), 5, 0)
    for fold in "12345":
        counts = np.bincount(LABELS[folds == fold], minlength=4)
        assert counts.max() - counts.min() <= 2
    assert assign_folds(make_pool(), 5, 0).tolist() == folds.tolist()
    assert assign_folds(make_pool(), 5, 1).tolist() != folds.tolist()


def test_folds_of_a_column_are_taken_as_they_are() -> None:
    pool = make_pool(folds=[str(number // 40 + 1) for number in range(120)])
    runs = list_folds(pool, 3, fold_column="fold")
    assert runs[2].test.tolist() == list(range(80, 120))
    assert runs[2].origins["test"] == "fold 3 of column 'fold'"
    with pytest.raises(DatasetError, match="has 3 folds, not 5"):
        list_folds(pool, 5, fold_column="fold")


def test_more_folds_than_clips_or_groups_are_refused() -> None:
    with pytest.raises(DatasetError, match="40 folds need at least 40 clips"):
        assign_folds(make_pool(), 40, 0)
    with pytest.raises(DatasetError, match="5 folds need at least 5 groups, and there are 3"):
        assign_folds(make_pool([f"{number % 3}" for number in range(120)]), 5, 0)


def test_no_fold_is_empty_where_there_are_as_many_groups() -> None:
    labels, groups = np.array([2, 2, 2, 2, 1, 2]), np.array(["a", "c", "c", "e", "b", "e"])
    ids, targets = np.array(list("uvwxyz")), np.eye(3, dtype=np.float32)[labels]
    pool = ClipIndex(labels, ids, groups, None, {"train": np.arange(6)}, targets=targets)
    folds = assign_folds(pool, 4, seed=0)
    assert sorted(set(folds.tolist())) == ["1", "2", "3", "4"]
    assert all(len(set(folds[groups == name].tolist())) == 1 for name in "abce")


def test_a_fold_keeps_its_number_when_another_one_has_no_usable_clip() -> None:
    folds = np.array(list("abcd") * 5)
    ids = np.array([str(number) for number in range(20)])
    pool = ClipIndex(np.arange(20) % 2, ids, None, folds, {"train": np.arange(20)})
    cfg = DataConfig(fold_column="fold", folds=4, fold="3", fold_validation="cut")
    pool = restrict_index(with_folds(pool, cfg), folds != "b")
    splits = make_splits(pool, cfg)
    assert set(folds[splits.test].tolist()) == {"c"}


def test_new_folds_of_given_splits_are_warned_of() -> None:
    for groups, is_mixed in ((None, True), ([f"g{number // 6}" for number in range(120)], False)):
        pool = make_pool(groups)
        given = {"train": np.arange(80), "validation": np.arange(80, 100)}
        given["test"] = np.arange(100, 120)
        assert list_folds(pool, 3)[0].remarks == ()  # one split
        (remark,) = list_folds(dataclasses.replace(pool, split_rows=given), 3)[0].remarks
        assert remark.startswith(
            "--folds 3 does not use the splits of the data set (train, validation, test):"
        )
        assert ("Clips of one speaker" in remark) == is_mixed
