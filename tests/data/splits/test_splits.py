"""Train, validation and test: disjoint, whole, labelled, and no group on two sides."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from numpy.typing import NDArray

from audio_cls.config import DataConfig, RunConfig
from audio_cls.data.labels.labels import UNUSABLE
from audio_cls.data.sources.split_names import resolve_roles
from audio_cls.data.splits.clip_index import ClipIndex
from audio_cls.data.splits.given_splits import NO_VALIDATION
from audio_cls.data.splits.split_warnings import warn_of_classes
from audio_cls.data.splits.splits import Splits, announce_splits, make_splits
from audio_cls.errors import DatasetError, SettingError


def make_pool(
    labels: NDArray[np.int64],
    *,
    groups: NDArray[Any] | None = None,
    folds: NDArray[Any] | None = None,
    sizes: dict[str, int] | None = None,
) -> ClipIndex:
    """Make a pool of given splits of these sizes, one after the other."""
    given, start = {}, 0
    for name, size in (sizes or {"train": len(labels)}).items():
        given[name] = np.arange(start, start + size)
        start += size
    ids = np.array([f"clip-{number}.wav" for number in range(len(labels))])
    texts = [None if one is None else one.astype(str) for one in (groups, folds)]
    return ClipIndex(labels, ids, texts[0], texts[1], given)


def classes(count: int, num_labels: int, seed: int = 0) -> NDArray[np.int64]:
    """Draw classes of unequal size."""
    weights = np.arange(1, num_labels + 1) / sum(range(1, num_labels + 1))
    return np.random.default_rng(seed).choice(num_labels, count, p=weights)


def check_disjoint(splits: Splits, expected: set[int]) -> None:
    """Every expected row is in exactly one split, and no other is."""
    rows = np.concatenate([own for _, own in splits.items()])
    assert len(rows) == len(set(rows.tolist())) and set(rows.tolist()) == expected


def test_the_course_recipe_gives_exactly_its_rows(caplog: pytest.LogCaptureFixture) -> None:
    labels = np.arange(999) % 10
    cfg = DataConfig(
        split_method="shuffled", split_seed=42, validation_size=0.1, test_split="validation"
    )
    splits = make_splits(make_pool(labels), cfg)
    course = Dataset.from_dict({"row": range(999)}).train_test_split(
        seed=42, shuffle=True, test_size=0.1
    )
    assert splits.train.tolist() == course["train"]["row"][:] and len(splits.train) == 899
    assert splits.test.tolist() == course["test"]["row"][:] and len(splits.test) == 100
    assert splits.validation is splits.test and splits.test_is_validation
    assert splits.origins["test"] == "the validation clips again"
    announce_splits(splits)
    assert "Validation and test are the same clips, as --test-split validation asks" in caplog.text
    assert "--method fine-tune and auto choose the model on the test clips" in caplog.text
    assert "--method probe chooses the layer inside training" in caplog.text


def test_missing_splits_are_cut_stratified() -> None:
    labels = classes(1000, 7)
    splits = make_splits(make_pool(labels), DataConfig(validation_size=0.1, test_size=0.2))
    check_disjoint(splits, set(range(1000)))
    assert [len(rows) for _, rows in splits.items()] == [700, 100, 200]
    for share, rows in ((0.1, splits.validation), (0.2, splits.test)):
        wanted = np.bincount(labels) * share
        assert np.abs(np.bincount(labels[rows], minlength=7) - wanted).max() <= 1.5


def test_a_cut_depends_on_its_own_seed_alone() -> None:
    pool = make_pool(classes(200, 3))
    cuts = [make_splits(pool, DataConfig(split_seed=seed)).test.tolist() for seed in (1, 1, 2)]
    assert cuts[0] == cuts[1] != cuts[2]


def test_a_class_of_one_clip_is_trained_on() -> None:
    labels = np.array([0] * 20 + [1] * 20 + [2])
    assert 40 in make_splits(make_pool(labels), DataConfig()).train


def test_clips_without_a_label_are_in_no_split() -> None:
    labels = classes(100, 3)
    labels[::10] = UNUSABLE
    splits = make_splits(make_pool(labels), DataConfig())
    check_disjoint(splits, set(np.flatnonzero(labels >= 0).tolist()))


def test_given_splits_are_taken_whole_and_other_splits_are_left() -> None:
    sizes = {"train": 50, "dev": 20, "test": 20, "unlabelled": 10}
    splits = make_splits(make_pool(classes(100, 3), sizes=sizes), DataConfig())
    assert splits.validation.tolist() == list(range(50, 70))
    assert splits.test.tolist() == list(range(70, 90))
    assert splits.origins == {r: f"split '{n}'" for r, n in splits.names.items()}
    assert splits.names == {"train": "train", "validation": "dev", "test": "test"}


def test_a_split_that_is_not_given_is_cut_from_train() -> None:
    pool = make_pool(classes(100, 3), sizes={"train": 80, "test": 20})
    splits = make_splits(pool, DataConfig())
    check_disjoint(splits, set(range(100)))
    assert splits.test.tolist() == list(range(80, 100)) and len(splits.validation) == 8
    assert "cut from 'train' (stratified, 0.1, seed 42)" in splits.origins["validation"]


def test_the_only_split_is_trained_on_whatever_its_name() -> None:
    splits = make_splits(make_pool(classes(60, 3), sizes={"test": 60}), DataConfig())
    check_disjoint(splits, set(range(60)))
    assert set(splits.names.values()) == {"test"}


@pytest.mark.parametrize("role", ["train", "validation", "test"])
def test_a_split_that_is_not_there_is_met_with_those_that_are(role: str) -> None:
    cfg = DataConfig(**{f"{role}_split": "nope"})  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match=rf"no split 'nope'.*train, test.*--{role}-split"):
        resolve_roles(["train", "test"], cfg)


def test_a_test_split_without_labels_is_left_out_and_one_is_cut() -> None:
    labels = np.array([0, 1] * 10 + [UNUSABLE] * 5)
    pool = make_pool(labels, sizes={"train": 20, "test": 5})
    splits = make_splits(pool, DataConfig())
    check_disjoint(splits, set(range(20)))
    assert splits.origins["test"].startswith("cut from 'train'")
    assert "test" not in splits.official and splits.methods["test"] == "stratified cut"
    (remark,) = splits.remarks
    assert remark.startswith("The split 'test' has no clip with a usable label and is left out")
    with pytest.raises(DatasetError, match=r"The split 'test' has no clip.*Leave --test-split out"):
        make_splits(pool, DataConfig(test_split="test"))


def test_a_training_split_without_labels_is_refused() -> None:
    pool = make_pool(np.array([UNUSABLE] * 5 + [0, 1]), sizes={"train": 5, "test": 2})
    with pytest.raises(DatasetError, match="0 clips with a usable label: too few"):
        make_splits(pool, DataConfig())


def test_one_clip_cannot_be_cut() -> None:
    with pytest.raises(DatasetError, match="1 clip with a usable label: too few"):
        make_splits(make_pool(np.array([0, UNUSABLE, UNUSABLE])), DataConfig())


def test_a_class_without_a_training_clip_is_named() -> None:
    pool = make_pool(np.array([0, 1] * 10 + [0, 2]), sizes={"train": 20, "test": 2})
    pool = dataclasses.replace(pool, names=("a", "b", "c", "d"))
    splits = make_splits(pool, DataConfig())
    assert warn_of_classes(dict(splits.items()), splits.methods, pool) == [
        "2 of 4 classes have no usable training clip and cannot be recognised (c, d). Add"
        " training clips; --min-clips-per-label and --drop-labels leave classes out."
    ]


def test_shares_of_splits_that_are_given_have_no_effect_and_this_is_said() -> None:
    pool = make_pool(np.array([0, 1] * 20), sizes={"train": 30, "test": 10})
    cfg = DataConfig(test_size=0.4, validation_size=0.2, split_method="shuffled")
    assert make_splits(pool, cfg).remarks == (
        "--test-size has no effect: the test clips are a split of the data set.",
    )
    pool = make_pool(np.array([0, 1] * 20), sizes={"train": 20, "validation": 10, "test": 10})
    assert "--split-method shuffled has no effect" in make_splits(pool, cfg).remarks[-1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.1, 0.25, 0.4])
def test_no_group_is_on_two_sides(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    labels, speakers = classes(600, 4, seed), rng.integers(0, 40, 600)
    pool = make_pool(labels, groups=speakers)
    cfg = DataConfig(group_column="speaker", validation_size=0.1, test_size=share, split_seed=seed)
    splits = make_splits(pool, cfg)
    check_disjoint(splits, set(range(600)))
    heard = [set(speakers[rows].tolist()) for _, rows in splits.items()]
    assert not heard[0] & heard[1] and not heard[0] & heard[2] and not heard[1] & heard[2]
    assert abs(len(splits.test) / 600 - share) < 0.06
    shares = np.bincount(labels[splits.test], minlength=4) / len(splits.test)
    assert np.abs(shares - np.bincount(labels) / 600).max() < 0.1
    assert "by group" in splits.origins["test"]


def test_given_splits_that_share_a_group_are_cut_anew(caplog: pytest.LogCaptureFixture) -> None:
    groups = np.arange(120) % 12
    pool = make_pool(classes(120, 3), groups=groups, sizes={"train": 100, "test": 20})
    splits = make_splits(pool, DataConfig(group_column="speaker"))
    check_disjoint(splits, set(range(120)))
    assert not set(groups[splits.train].tolist()) & set(groups[splits.test].tolist())
    assert "share 12 groups" in caplog.text and splits.names["test"] == "train+test"


def test_given_splits_without_a_common_group_stay() -> None:
    groups = np.array([0] * 40 + [1] * 40 + [2] * 20)
    pool = make_pool(classes(100, 3), groups=groups, sizes={"train": 80, "test": 20})
    splits = make_splits(pool, DataConfig(group_column="speaker"))
    assert splits.test.tolist() == list(range(80, 100))


def test_one_group_cannot_be_cut() -> None:
    pool = make_pool(classes(50, 2), groups=np.zeros(50))
    with pytest.raises(DatasetError, match="1 group is left to split"):
        make_splits(pool, DataConfig(group_column="speaker"))


def test_as_many_groups_as_splits_are_enough() -> None:
    labels = np.arange(30) % 2
    splits = make_splits(make_pool(labels, groups=np.arange(30) // 10), DataConfig())
    assert [len(rows) for _, rows in splits.items()] == [10, 10, 10]


def take_fold(fold: str, **settings: Any) -> tuple[Splits, NDArray[np.int64]]:  # noqa: ANN401
    """Split 100 clips by their five folds."""
    folds = np.arange(100) % 5 + 1
    pool = make_pool(np.arange(100) // 5 % 4, folds=folds)
    return make_splits(pool, DataConfig(fold_column="fold", fold=fold, **settings)), folds


@pytest.mark.parametrize(("fold", "after"), [("1", 2), ("3", 4), ("5", 1)])
def test_a_fold_is_tested_and_the_next_validated(fold: str, after: int) -> None:
    splits, folds = take_fold(fold)
    check_disjoint(splits, set(range(100)))
    assert set(folds[splits.test]) == {int(fold)} and set(folds[splits.validation]) == {after}
    assert splits.origins["test"] == f"fold {fold} of column 'fold'"


def test_validation_can_be_cut_from_the_training_folds() -> None:
    splits, folds = take_fold("3", fold_validation="cut")
    check_disjoint(splits, set(range(100)))
    assert set(folds[splits.test]) == {3} and len(splits.validation) == 8
    assert set(folds[splits.train]) == {1, 2, 4, 5}


def test_all_other_folds_are_trained_on_without_validation() -> None:
    splits, folds = take_fold("3", fold_validation="none")
    assert set(folds[splits.test]) == {3} and len(splits.test) == 20
    assert set(folds[splits.train]) == {1, 2, 4, 5} and len(splits.train) == 80
    assert len(splits.validation) == 0 and not splits.has_validation
    assert splits.remarks == (NO_VALIDATION,)
    pool = make_pool(np.arange(40) % 2, folds=np.arange(40) // 20)
    two = make_splits(pool, DataConfig(fold_column="fold", fold="1", fold_validation="none"))
    assert (len(two.train), len(two.test)) == (20, 20)


def test_a_test_split_of_other_groups_is_kept_and_validation_is_cut_by_group() -> None:
    groups = np.array([f"s{n % 10}" for n in range(80)] + [f"t{n % 4}" for n in range(20)])
    rows = np.split(np.arange(100), [60, 80])
    given = dict(zip(("train", "validation", "test"), rows, strict=True))
    pool = dataclasses.replace(make_pool(np.arange(100) // 10 % 2, groups=groups), split_rows=given)
    splits = make_splits(pool, DataConfig(group_column="g"))
    assert splits.test.tolist() == given["test"].tolist() and "test" in splits.official
    assert splits.methods["validation"] == "grouped cut"
    assert splits.origins["train"] == "the rest of split 'train+validation'"
    assert set(groups[splits.train]).isdisjoint(groups[splits.validation])
    assert len(splits.train) + len(splits.validation) == 80


def test_clips_without_a_group_are_not_kept_together() -> None:
    groups = np.array(["", "a", "", "b"] * 25)
    splits = make_splits(make_pool(np.arange(100) % 2, groups=groups), DataConfig(group_column="g"))
    cut = make_pool(np.arange(100) % 2, groups=np.where(groups == "", "one", groups))
    assert all((groups[rows] == "").any() for _, rows in splits.items())
    whole = make_splits(cut, DataConfig(group_column="g"))
    assert [len(rows) for _, rows in splits.items()] != [len(rows) for _, rows in whole.items()]


def test_folds_go_by_number_and_clips_without_one_are_left_out() -> None:
    folds = np.array([str(n % 10 + 1) for n in range(100)] + [""] * 5)
    pool = make_pool(np.arange(105) % 3, folds=folds)
    splits = make_splits(pool, DataConfig(fold_column="fold", fold="9"))
    assert set(folds[splits.validation]) == {"10"}
    check_disjoint(splits, set(range(100)))


def test_a_fold_that_is_not_there_is_met_with_those_that_are() -> None:
    with pytest.raises(DatasetError, match=r"no fold '6'.*the folds are 1, 2, 3, 4, 5"):
        take_fold("6")


def test_two_folds_leave_no_next_one() -> None:
    pool = make_pool(np.arange(40) % 2, folds=np.arange(40) // 20)
    with pytest.raises(DatasetError, match="--fold-validation cut"):
        make_splits(pool, DataConfig(fold_column="fold", fold="1"))


@pytest.mark.parametrize(
    "settings",
    [
        {"fold_column": "fold"},
        {"fold": "1"},
        {"split_files_sha256": "0"},
        {"split_files": ".", "fold_column": "fold", "fold": "1"},
    ],
)
def test_settings_that_need_each_other_are_checked(settings: dict[str, str]) -> None:
    with pytest.raises(SettingError, match=r"give|needs|add --"):
        RunConfig.from_flat(settings)


def test_lists_are_read_back_exactly(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:  # noqa: ANN401
    pool = make_pool(classes(100, 3))
    first = make_splits(pool, DataConfig(split_seed=7))
    (tmp_path / "splits").mkdir()
    for role, rows in first.items():
        text = "".join(f"{name}\n" for name in pool.ids[rows])
        (tmp_path / "splits" / f"{role}.txt").write_text(text)
    again = make_splits(pool, DataConfig(split_files=str(tmp_path)))
    for (_, mine), (_, theirs) in zip(first.items(), again.items(), strict=True):
        assert mine.tolist() == theirs.tolist()
    assert again.origins["test"].startswith(f"listed at {tmp_path} (sha256 ")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_clips_in_no_list_are_left_out_and_missing_lists_are_cut(
    tmp_path: Any,  # noqa: ANN401
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool = make_pool(np.arange(60) % 3)
    (tmp_path / "train.txt").write_text("".join(f"{name}\n" for name in pool.ids[:40]))
    (tmp_path / "test.txt").write_text("".join(f"{name}\n" for name in pool.ids[40:50]))
    with caplog.at_level(logging.INFO):
        splits = make_splits(pool, DataConfig(split_files=str(tmp_path)))
    check_disjoint(splits, set(range(50)))
    assert len(splits.validation) == 4 and splits.test.tolist() == list(range(40, 50))
    assert "10 clips not in any list: left out." in caplog.text


def make_speakers() -> ClipIndex:
    """Return 60 clips of six speakers, the last 12 in a given test split that shares speakers."""
    speakers = np.array(list("abcdef") * 10)
    return make_pool(np.arange(60) % 5, groups=speakers, sizes={"train": 48, "test": 12})


def test_named_groups_are_the_test_and_the_validation() -> None:
    cfg = DataConfig(group_column="speaker", test_groups=("b", "e"), validation_groups=("a",))
    pool = make_speakers()
    splits = make_splits(pool, cfg)
    assert pool.groups is not None
    heard = {role: set(pool.groups[rows].tolist()) for role, rows in splits.items()}
    assert heard == {"train": {"c", "d", "f"}, "validation": {"a"}, "test": {"b", "e"}}
    check_disjoint(splits, set(range(60)))
    assert splits.origins["test"] == "group b, e of column 'speaker'"


def test_the_split_that_no_group_is_named_for_is_cut_by_group() -> None:
    pool = make_speakers()
    splits = make_splits(pool, DataConfig(group_column="speaker", test_groups=("b", "e")))
    assert pool.groups is not None
    heard = [set(pool.groups[rows].tolist()) for _, rows in splits.items()]
    assert heard[2] == {"b", "e"} and not heard[0] & heard[1] and len(heard[1]) == 1


def test_named_groups_can_be_validation_and_test_at_once() -> None:
    cfg = DataConfig(group_column="speaker", validation_groups=("a", "b"), test_split="validation")
    splits = make_splits(make_speakers(), cfg)
    assert splits.test_is_validation and len(splits.train) == 40 and len(splits.test) == 20


def test_a_group_that_does_not_exist_is_refused_with_the_groups() -> None:
    with pytest.raises(DatasetError, match="no group 'x': the groups are a, b"):
        make_splits(make_speakers(), DataConfig(group_column="s", test_groups=("x",)))


@pytest.mark.parametrize(
    "settings",
    [
        {"test_groups": ("a",)},
        {"test_groups": ("a",), "validation_groups": ("a",), "group_column": "s"},
        {"test_groups": ("a",), "group_column": "s", "folds": 3},
    ],
)
def test_named_groups_need_a_column_and_no_other_division(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="--test-groups"):
        DataConfig(**settings)


def test_clips_without_a_group_are_no_shared_group() -> None:
    """The official silence of Speech Commands has no speaker."""
    groups = np.array(["a", "b", "", "c", "d", "", "e", ""])
    pool = make_pool(
        np.arange(8) % 2, groups=groups, sizes={"train": 3, "validation": 3, "test": 2}
    )
    splits = make_splits(pool, DataConfig(group_column="speaker"))
    assert splits.origins["test"] == "split 'test'" and splits.test.tolist() == [6, 7]


@pytest.mark.parametrize(
    "settings",
    [
        {"test_split": "train"},
        {"validation_split": "train"},
        {"train_split": "dev", "validation_split": "dev"},
        {"validation_split": "dev", "test_split": "dev"},
    ],
)
def test_one_split_with_two_roles_is_refused_at_once(settings: dict[str, str]) -> None:
    with pytest.raises(SettingError, match=r"is the training split|both name 'dev'"):
        DataConfig(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("role", ["validation", "test"])
def test_the_only_split_cannot_be_named_for_evaluation_as_well(role: str) -> None:
    cfg = DataConfig(**{f"{role}_split": "full"})  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match=f"'full' cannot be used for both train and {role}"):
        resolve_roles(["full"], cfg)


@pytest.mark.parametrize(
    ("available", "settings", "expected"),
    [
        ("train dev", {"test_split": "dev"}, {"train": "train", "test": "dev"}),
        ("train test", {"validation_split": "test"}, {"train": "train", "validation": "test"}),
        ("train val", {"train_split": "val"}, {"train": "val"}),
        ("training testing", {}, {"train": "training", "test": "testing"}),
        ("validation", {"test_split": "validation"}, {"train": "validation"}),
        (
            "train dev", {"test_split": "validation"}, {"train": "train", "validation": "dev"},
        ),
        (
            "train dev validation", {"validation_split": "dev", "test_split": "validation"},
            {"train": "train", "validation": "dev", "test": "validation"},
        ),
    ],
)  # fmt: skip
def test_a_split_has_one_role(
    available: str, settings: dict[str, str], expected: dict[str, str]
) -> None:
    names = resolve_roles(available.split(), DataConfig(**settings))  # type: ignore[arg-type]
    assert names == expected


def test_keyword_settings_keep_test_and_validation_the_same_clips() -> None:
    """Silence is added and unknown words are taken out before the two are made one."""
    labels = np.array([0, 1, 3, 3] * 30 + [2] * 20)
    names = ("yes", "no", "_silence_", "_unknown_")
    cfg = DataConfig(test_split="validation", unknown_share=0.5, silence_from="_silence_")
    pool = dataclasses.replace(
        make_pool(labels, sizes={"train": 90, "validation": 30, "noise": 20}),
        recordings=np.array([""] * 120 + ["hum", "buzz"] * 10),
        names=names,
    )
    splits = make_splits(pool, cfg)
    assert splits.test_is_validation and splits.test.tolist() == splits.validation.tolist()
    assert any("are the same clips" in text for text in splits.remarks)
    assert not set(splits.train.tolist()) & set(splits.test.tolist())


@pytest.mark.parametrize("method", ["stratified", "shuffled", "hash"])
def test_shares_that_leave_nothing_to_train_on_are_refused(method: Any) -> None:  # noqa: ANN401
    pool = make_pool(classes(100, 3))
    cfg = DataConfig(validation_size=0.5, test_size=0.5, split_method=method)
    with pytest.raises(SettingError, match=r"--test-size 0.5 and --validation-size 0.5 leave"):
        make_splits(pool, cfg)
    given = make_pool(classes(100, 3), sizes={"train": 80, "test": 20})
    assert len(make_splits(given, DataConfig(validation_size=0.5, test_size=0.9)).train) == 40


@pytest.mark.parametrize(("method", "sizes"), [("stratified", [2, 1, 1]), ("shuffled", [1, 2, 1])])
def test_a_large_share_of_few_clips_leaves_some_to_train_on(
    method: Any,  # noqa: ANN401
    sizes: list[int],
) -> None:
    """Stratified, each of the two classes keeps a clip."""
    pool = make_pool(np.array([0, 1, 0, 1]), sizes={"train": 3, "test": 1})
    splits = make_splits(pool, DataConfig(validation_size=0.9, split_method=method))
    assert [len(rows) for _, rows in splits.items()] == sizes


def test_the_only_split_being_a_test_split_is_a_warning_and_not_official() -> None:
    splits = make_splits(make_pool(classes(60, 3), sizes={"test": 60}), DataConfig())
    assert splits.remarks[0].startswith("The data set has one split, 'test', and its clips are")
    assert splits.official == frozenset() and splits.origins["train"] == "the rest of split 'test'"
    assert not make_splits(make_pool(classes(60, 3), sizes={"full": 60}), DataConfig()).remarks


def test_official_are_the_roles_that_have_a_whole_given_split() -> None:
    pool = make_pool(classes(100, 3), sizes={"train": 60, "dev": 20, "test": 20})
    assert make_splits(pool, DataConfig()).official == {"train", "validation", "test"}
    assert make_splits(pool, DataConfig(drop_labels=("x",))).official == frozenset()
    again = make_splits(pool, DataConfig(test_split="validation"))
    assert again.official == {"train", "validation", "test"} and again.test_is_validation
    two = make_pool(classes(100, 3), sizes={"train": 80, "test": 20})
    assert make_splits(two, DataConfig()).official == {"test"}
    folds, _ = take_fold("2")
    assert folds.official == {"train", "validation", "test"}
    assert set(folds.methods.values()) == {"fold column"}
    cut, _ = take_fold("2", fold_validation="cut")
    assert cut.official == {"test"} and cut.methods["validation"] == "stratified cut"


def test_a_test_of_few_groups_is_a_warning_with_what_to_do() -> None:
    speakers = np.arange(200) % 10
    pool = make_pool(np.arange(200) // 10 % 4, groups=speakers)
    (remark,) = make_splits(pool, DataConfig(group_column="speaker")).remarks
    assert remark.startswith("The test split has clips of 1 of 10 groups")
    assert "--folds 5" in remark and "--test-size" in remark
    assert not make_splits(pool, DataConfig(group_column="speaker", test_size=0.5)).remarks


def test_classes_of_one_clip_are_trained_on_and_named() -> None:
    labels = np.concatenate([np.repeat(np.arange(20), 10), np.arange(20, 25)])
    names = tuple(f"c{number}" for number in range(25))
    pool = dataclasses.replace(make_pool(labels), names=names)
    splits = make_splits(pool, DataConfig())
    assert set(range(200, 205)) <= set(splits.train.tolist())
    (remark,) = warn_of_classes(dict(splits.items()), splits.methods, pool)
    assert remark.startswith("5 of 25 classes have one clip only")
    assert "(c20, c21, c22, c23, c24)" in remark


def test_1500_classes_of_two_clips_have_one_each_in_train() -> None:
    """Fewer clips are cut than there are classes, so that they cannot be stratified."""
    labels = np.arange(3000) % 1500
    splits = make_splits(make_pool(labels), DataConfig())
    check_disjoint(splits, set(range(3000)))
    assert len(set(labels[splits.train].tolist())) == 1500
    assert [len(rows) for _, rows in splits.items()] == [2400, 300, 300]


def test_clips_without_a_fold_are_counted() -> None:
    folds = np.array([str(n % 5 + 1) for n in range(50)] + [""] * 7)
    pool = make_pool(np.arange(57) % 3, folds=folds)
    splits = make_splits(pool, DataConfig(fold_column="fold", fold="1"))
    assert splits.remarks == ("Left out: 7 clips without a fold.",)
