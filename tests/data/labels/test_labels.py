"""Labels of every type a data set may have: names verbatim, unusable ones counted."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, List, Value
from hub_datasets import make_dataset, make_sounds, make_table

from audio_cls.config import DataConfig, RunConfig
from audio_cls.data.labels.find_column import find_label_column
from audio_cls.data.labels.label_columns import add_columns
from audio_cls.data.labels.labels import UNUSABLE, Labels, parse_labels
from audio_cls.data.labels.parse import parse_label_column
from audio_cls.errors import DatasetError, SettingError
from audio_cls.run_warnings import collect_warnings


def read(cells: list[Any], kind: Any = None, *, beside: Any = None, **settings: Any) -> Labels:  # noqa: ANN401
    """Read a column `label` of one split, with other columns beside it."""
    columns = {"label": cells, **(beside or {})}
    kinds = {} if kind is None else {"label": kind}
    return parse_labels(
        make_dataset({"train": make_table(columns, **kinds)}), DataConfig(**settings)
    )


def count_unusable(labels: Labels) -> int:
    """Count the clips of all splits without a usable label."""
    return sum(int((own == UNUSABLE).sum()) for own in labels.ids.values())


def ids(labels: Labels) -> list[int]:
    """Return the ids of the only split."""
    return [int(number) for number in labels.ids["train"]]


def test_class_labels_keep_their_order_and_their_unheard_classes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    labels = read([2, 0, 2], ["zebra", "ant", "cow"])
    assert labels.names == ("zebra", "ant", "cow") and ids(labels) == [2, 0, 2]
    assert "Without a clip: 1 class of 'label' (ant)." in caplog.text


def test_null_negative_and_out_of_range_are_set_aside_and_counted_in_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Written as data sets on the Hub hold them: `cast_column` would refuse the 99.
    table = Dataset.from_dict({"label": [0, None, -1, 99, 1, 1, -1]})
    table.info.features["label"] = ClassLabel(names=["a", "b"])
    labels = parse_labels(make_dataset({"train": table}), DataConfig())
    assert ids(labels) == [0, UNUSABLE, UNUSABLE, UNUSABLE, 1, 1, UNUSABLE]
    assert count_unusable(labels) == 4
    lines = [line.getMessage() for line in caplog.records]
    assert lines == [
        "Left out: 4 of 7 clips, without a usable label in 'label' (-1: 2, null: 1, out of range:"
        " 1)."
    ]


def test_strings_are_sorted_and_verbatim() -> None:
    names = ["no", "null", " Rock & Roll ", "北京", "🎸", "1.0", "true", "~", "a: b"]
    labels = read(names)
    assert labels.names == tuple(sorted(names))
    assert [labels.names[number] for number in ids(labels)] == names


def test_empty_strings_are_no_class() -> None:
    labels = read(["a", "", "  ", None, "b"])
    assert labels.names == ("a", "b") and ids(labels) == [0, -1, -1, -1, 1]


def test_bare_integers_with_holes_get_dense_ids_in_number_order() -> None:
    labels = read([100, 9, 36, 9, None, -1])
    assert labels.names == ("9", "36", "100") and ids(labels) == [2, 0, 1, 0, -1, -1]


def test_numbers_written_as_text_go_by_size() -> None:
    assert read(["10", "9", "100"]).names == ("9", "10", "100")


def test_booleans_are_two_classes() -> None:
    labels = read([True, False, None, True])
    assert labels.names == ("False", "True") and ids(labels) == [1, 0, -1, 1]


def test_whole_floats_are_integers_that_met_a_null() -> None:
    labels = read([1.0, None, float("nan"), 3.0])
    assert labels.names == ("1", "3") and ids(labels) == [0, -1, -1, 1]


def test_measurements_are_no_classes() -> None:
    with pytest.raises(DatasetError, match=r"holds 0\.25.*--label-column"):
        read([0.25, 0.5])


def test_numbers_are_named_by_the_column_beside_them(caplog: pytest.LogCaptureFixture) -> None:
    beside = {"filename": ["1.wav", "2.wav", "3.wav"], "category": ["dog", "vacuum", "dog"]}
    with caplog.at_level(logging.INFO):
        labels = read([7, 3, 7], beside=beside)
    assert labels.names == ("vacuum", "dog") and ids(labels) == [1, 0, 1]
    assert "names from 'category'" in caplog.text


@pytest.mark.parametrize("category", [["dog", "cat", "wolf"], ["dog", "dog", "dog"], [None] * 3])
def test_numbers_are_not_named_by_a_column_that_says_something_else(category: list[str]) -> None:
    labels = read([7, 3, 7], beside={"category": category})
    assert labels.names == ("3", "7")


def test_a_clip_whose_number_has_no_name_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    labels = read([7, 3, 5, 7], beside={"category": ["dog", "cat", None, "dog"]})
    assert labels.names == ("cat", "dog") and ids(labels) == [1, 0, -1, 1]
    assert "without a name: 1" in caplog.text


def test_lists_of_one_are_single_labels() -> None:
    labels = read([["a"], ["b"], [], None])
    assert not labels.is_multilabel and ids(labels) == [0, 1, -1, -1]


def test_lists_of_several_are_multilabel_targets() -> None:
    labels = read([["b", "a"], ["b"], []])
    assert labels.is_multilabel and labels.names == ("a", "b")
    assert labels.targets is not None
    np.testing.assert_array_equal(labels.targets["train"], [[1, 1], [0, 1], [0, 0]])
    assert labels.targets["train"].dtype == np.float32


def test_an_empty_list_is_a_clip_without_labels_and_null_is_no_label(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("INFO"):
        labels = read([["a", "b"], ["b"], [], None])
    assert ids(labels) == [0, 1, 2, -1] and count_unusable(labels) == 1
    assert "Used as negative examples of every label: 1 clip without a label." in caplog.text
    assert "null: 1" in caplog.text and "empty" not in caplog.text


def test_an_empty_text_is_a_clip_without_labels_where_a_separator_parts_it() -> None:
    labels = read(["a;b", "", "b"], label_separator=";")
    assert labels.targets is not None and ids(labels) == [0, 2, 1]
    np.testing.assert_array_equal(labels.targets["train"], [[1, 1], [0, 0], [0, 1]])


def test_the_problem_type_can_be_typed() -> None:
    cells = [["a"], ["b"], []]
    assert not read(cells).is_multilabel
    assert read(cells, problem_type="multi-label").is_multilabel
    assert ids(read(cells, problem_type="multi-label")) == [0, 1, 2]
    with pytest.raises(DatasetError, match="1 clip has several labels in 'label'"):
        read([["a", "b"], ["b"]], problem_type="single-label")


def test_lists_of_numbers_have_their_numbers_as_names() -> None:
    labels = read([[3, 7], [7], []])
    assert labels.names == ("3", "7") and labels.targets is not None
    np.testing.assert_array_equal(labels.targets["train"], [[1, 1], [0, 1], [0, 0]])


def test_lists_of_class_labels_use_the_declared_names() -> None:
    labels = read([[1, 0], [1], [-1]], List(ClassLabel(names=["x", "y"])))
    assert labels.names == ("x", "y") and labels.targets is not None
    np.testing.assert_array_equal(labels.targets["train"], [[1, 1], [0, 1], [0, 0]])


def test_a_separator_parts_names_only_when_it_is_given() -> None:
    cells = ["dog; bark", "dog", "cat;"]
    assert read(cells).names == ("cat;", "dog", "dog; bark")
    labels = read(cells, label_separator=";")
    assert labels.names == ("bark", "cat", "dog") and labels.is_multilabel


def test_only_the_kept_labels_are_known(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        labels = read([0, 1, 2, 1], ["a", "b", "c"], keep_labels=("c", "a"))
    assert labels.names == ("a", "c") and ids(labels) == [0, -1, 1, -1]
    (record,) = caplog.records
    assert record.levelname == "INFO", "the settings ask for it: no warning"
    assert record.getMessage() == "2 of 4 clips are of classes that the settings leave out."


def test_dropped_labels_are_not_known() -> None:
    labels = read(["a", "b", "c"], drop_labels=("b",))
    assert labels.names == ("a", "c") and ids(labels) == [0, -1, 1]


@pytest.mark.parametrize("flag", ["keep_labels", "drop_labels"])
def test_a_label_that_is_not_there_is_met_with_the_nearest(flag: str) -> None:
    with pytest.raises(DatasetError, match=r"no label 'rok': the labels are .*Did you mean rock"):
        read(["rock", "jazz"], **{flag: ("rok",)})


def test_rare_labels_are_left_out_over_all_splits(caplog: pytest.LogCaptureFixture) -> None:
    splits = {
        "train": make_table({"label": ["a", "a", "b", "c"]}),
        "test": make_table({"label": ["b", "a", "d", "d"]}),
    }
    with caplog.at_level(logging.INFO):
        labels = parse_labels(make_dataset(splits), DataConfig(min_clips_per_label=2))
    assert labels.names == ("a", "b", "d")
    assert labels.ids["train"].tolist() == [0, 0, 1, -1]
    assert labels.ids["test"].tolist() == [1, 0, 2, 2]
    assert "1 class with fewer than 2 clips (--min-clips-per-label) is left out: c." in caplog.text


def test_declared_classes_without_a_clip_can_be_left_out() -> None:
    assert read([0, 2], ["a", "b", "c"], min_clips_per_label=1).names == ("a", "c")


def test_rare_labels_can_become_one() -> None:
    cells = ["a", "a", "b", "c", "d"]
    labels = read(cells, min_clips_per_label=2, merge_rare_into="other")
    assert labels.names == ("a", "other") and ids(labels) == [0, 0, 1, 1, 1]


def test_rare_labels_may_join_a_class_that_is_there() -> None:
    labels = read(["a", "a", "other", "c"], min_clips_per_label=2, merge_rare_into="other")
    assert labels.names == ("a", "other") and ids(labels) == [0, 0, 1, 1]


def test_without_rare_labels_no_class_is_added() -> None:
    labels = read(["a", "a", "b", "b"], min_clips_per_label=2, merge_rare_into="other")
    assert labels.names == ("a", "b")


def test_multilabel_clips_lose_dropped_names_only() -> None:
    labels = read([["a", "b"], ["b", "c"], ["a"], ["a", "c"]], drop_labels=("a",))
    assert labels.names == ("b", "c") and labels.targets is not None
    np.testing.assert_array_equal(labels.targets["train"], [[1, 0], [1, 1], [0, 0], [0, 1]])


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"merge_rare_into": "other"}, "--min-clips-per-label"),
        ({"keep_labels": ("a", "b"), "drop_labels": ("b",)}, "both name b"),
        ({"min_clips_per_label": 0}, "1 or more"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    settings: dict[str, Any], fault: str
) -> None:
    with pytest.raises(SettingError, match=fault):
        RunConfig.from_flat(settings)


@pytest.mark.parametrize("cells", [["a", "a"], ["a", None], [None, None]])
def test_fewer_than_two_classes_are_refused(cells: list[str | None]) -> None:
    with pytest.raises(DatasetError, match="a classifier needs two or more"):
        read(cells, Value("string"))


def test_one_label_column_of_several_is_refused_by_its_option() -> None:
    dataset = make_dataset({"train": make_table({"cat": [0, 1, 1], "id": [1, 2, 3]})})
    with pytest.raises(DatasetError, match=r"^--label-columns has 1 class \(cat\).*Change its val"):
        parse_labels(add_columns(dataset, cfg := DataConfig(label_columns=("cat",))), cfg)


def test_a_split_without_the_column_has_no_labels() -> None:
    splits = {"train": make_table({"label": ["a", "b"]}), "test": make_table({"id": [1, 2]})}
    labels = parse_labels(make_dataset(splits), DataConfig())
    assert labels.ids["test"].tolist() == [-1, -1]


def test_a_missing_column_lists_the_columns() -> None:
    with pytest.raises(DatasetError, match=r"columns are genre, id.* Did you mean genre"):
        find_label_column({"train": make_table({"genre": ["a"], "id": [1]})}, "genr")


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"label": [0, 1, 0, 1], "genre": ["a", "b", "a", "b"]}, "label"),
        ({"id": ["1", "2", "3", "4"], "sound": ["a", "b", "a", "b"]}, "sound"),
        ({"take": ["A", "B", "A", "B"], "category": ["x", "y", "x", "y"]}, "category"),
        ({"target": [0, 1, 0, 1], "age": [1, 2, 3, 4]}, "target"),
        ({"id": ["1", "2", "3", "4"], "tags": [["a"], ["b"], [], ["a", "b"]]}, "tags"),
    ],
)
def test_the_label_column_is_found(columns: dict[str, list[Any]], found: str) -> None:
    assert find_label_column({"train": make_table(columns)}, None) == found


def test_declared_class_labels_win_over_texts() -> None:
    columns = {"category": ["x", "y", "x", "y"], "kind": [0, 1, 0, 1]}
    assert find_label_column({"train": make_table(columns, kind=["a", "b"])}, None) == "kind"


def test_columns_that_could_all_be_meant_are_listed() -> None:
    columns = {"age": ["20", "30", "20", "30"], "sex": ["f", "m", "m", "f"], "id": [1, 2, 3, 4]}
    with pytest.raises(DatasetError, match=r"could be age, sex. Choose one with --label-column"):
        find_label_column({"train": make_table(columns)}, None)


def test_a_table_without_a_label_lists_the_columns() -> None:
    with pytest.raises(DatasetError, match="Choose one with --label-column: id, sentence"):
        find_label_column({"train": make_table({"id": [1, 2], "sentence": ["a b", "c d"]})}, None)


def test_a_column_of_another_type_is_refused() -> None:
    with pytest.raises(
        DatasetError, match="cannot be a label: supported are class labels, strings"
    ):
        read([{"a": 1}, {"a": 2}])


def test_the_label_column_is_found_where_only_train_has_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    splits = {
        "test": make_table({"fname": ["c.wav"]}),
        "train": make_table({"fname": ["a.wav", "b.wav"], "label": ["cat", "dog"]}),
    }
    for wanted in (None, "label"):
        labels = parse_labels(make_dataset(splits), DataConfig(label_column=wanted))
        assert labels.names == ("cat", "dog")
        assert labels.ids["train"].tolist() == [0, 1] and labels.ids["test"].tolist() == [UNUSABLE]
    assert (
        "1 of 3 clips, without a usable label in 'label' (in a split without the column: 1"
        in caplog.text
    )


def test_names_beside_numbers_do_not_need_the_split_without_labels() -> None:
    splits = {
        "test": make_table({"fname": ["c.wav"]}),
        "train": make_table({"label": [7, 3, 7], "category": ["dog", "cow", "dog"]}),
    }
    assert parse_labels(make_dataset(splits), DataConfig()).names == ("cow", "dog")


def test_a_true_or_false_column_is_the_label_where_no_other_can_be() -> None:
    table = make_table({"audio": make_sounds(4), "is_cough": [True, False, False, True]})
    assert find_label_column({"train": table}, None) == "is_cough"
    with pytest.raises(DatasetError) as caught:
        find_label_column({"train": make_table({"audio": make_sounds(2), "id": [1, 2]})}, None)
    assert "Choose one with --label-column: id." in str(caught.value)


@pytest.mark.parametrize(
    "cells",
    [
        [[0, 1, 1], [1, 0, 0], [0, 0, 0]],
        [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        [[False, True, True], [True, False, False], [False] * 3],
        ["[0, 1, 1]", "[1, 0, 0]", "[0, 0, 0]"],
        ["[0 1 1]", "[1 0 0]", "[0 0 0]"],
    ],
)
def test_lists_of_zeros_and_ones_mark_the_labels_by_their_place(cells: list[Any]) -> None:
    labels = read(cells)
    assert labels.names == ("0", "1", "2") and labels.targets is not None
    np.testing.assert_array_equal(labels.targets["train"], [[0, 1, 1], [1, 0, 0], [0, 0, 0]])


def test_one_hot_lists_are_single_labels() -> None:
    labels = read([[0, 1], [1, 0], [1, 0], None])
    assert not labels.is_multilabel and ids(labels) == [1, 0, 0, UNUSABLE]


def test_lists_written_as_text_are_lists() -> None:
    labels = read(["['b', 'a']", '["b"]', "[]", "", "['take 5 7', 'b']"])
    assert labels.names == ("a", "b", "take 5 7") and labels.targets is not None
    np.testing.assert_array_equal(labels.targets["train"][:3], [[1, 1, 0], [0, 1, 0], [0, 0, 0]])
    assert ids(labels)[2:4] == [3, UNUSABLE]  # a list of nothing, and no list


def test_one_text_without_brackets_makes_all_of_them_names() -> None:
    assert read(["['a', 'b']", "c"]).names == ("['a', 'b']", "c")


def test_two_unicode_forms_of_a_name_are_one_class(caplog: pytest.LogCaptureFixture) -> None:
    composed, decomposed = "r\u00e4uspern", "ra\u0308uspern"
    labels = read([composed, decomposed, "cough"])
    assert labels.names == ("cough", composed) and ids(labels) == [1, 1, 0]
    assert f"Column 'label' has 1 name spelled in two Unicode forms, such as '{composed}'" in (
        caplog.text
    )
    kept = read([decomposed, "cough", "dog"], keep_labels=(composed, "dog"))
    assert kept.names == ("dog", composed)
    declared = read([0, 1, 1], [decomposed, "b"], drop_labels=())
    assert declared.names == (composed, "b")


@pytest.mark.parametrize("pair", [("Dog", "dog"), ("dog bark", "dogbark"), ("\uff44og", "dog")])
def test_names_that_look_alike_are_warned_of_and_stay_apart(
    pair: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    texts = collect_warnings()
    assert len(read([*pair, "cat"]).names) == 3
    assert "differ only in upper and lower case, blanks or Unicode form" in texts[0]
    assert all(repr(name) in texts[0] for name in pair)
    texts = collect_warnings()
    read(["cat", "dog"])
    assert texts == []


def test_several_binary_columns_are_named_in_the_error() -> None:
    columns = {"id": [1, 2, 3], "cat": ["0", "1", "0"], "dog": [1, 0, 1], "both": [0.5, 1.0, 0.0]}
    with pytest.raises(DatasetError, match=r"2 columns .* --label-columns cat,dog$"):
        find_label_column({"train": make_table(columns)}, None)


def test_one_of_several_binary_columns_is_not_taken_for_the_label() -> None:
    # `dog` alone repeats several values, since no clip has a cat.
    columns = {"cat": ["0"] * 4, "dog": ["0", "1", "1", "0"], "file": ["a", "b", "c", "d"]}
    with pytest.raises(DatasetError, match=r"could be dog. .* --label-columns cat,dog$"):
        find_label_column({"train": make_table(columns)}, None)


def test_a_separator_that_is_in_no_label_is_warned_of() -> None:
    texts = collect_warnings()
    labels = read(["a,b", "c", "a,b"], label_separator=";")
    assert labels.names == ("a,b", "c")
    assert texts == ["--label-separator ; has no effect: no cell of 'label' names several labels."]


def read_splits(train: dict[str, Any], test: dict[str, Any], column: str | None = None) -> Labels:
    """Read the labels of two splits of plain columns."""
    splits = {"test": make_table(test), "train": make_table(train)}
    return parse_labels(make_dataset(splits), DataConfig(label_column=column))


def test_each_split_is_read_by_its_own_class_labels() -> None:
    splits = {
        "train": make_table({"label": [0, 1, 1]}, label=["cat", "dog"]),
        "test": make_table({"label": [0, 1, 2]}, label=["dog", "cat", "emu"]),  # dog, cat, emu
    }
    labels = parse_labels(make_dataset(splits), DataConfig())
    assert labels.names == ("cat", "dog", "emu")
    assert labels.ids["train"].tolist() == [0, 1, 1]
    assert labels.ids["test"].tolist() == [1, 0, 2]


def test_class_labels_and_texts_are_joined_by_name() -> None:
    splits = {
        "test": make_table({"label": ["dog", "cat", "ant"]}),
        "train": make_table({"label": [0, 1]}, label=["dog", "cat"]),
    }
    labels = parse_labels(make_dataset(splits), DataConfig())
    assert labels.names == ("dog", "cat", "ant")
    assert labels.ids["test"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("train", "test", "expected"),
    [
        ([0, 1], ["a", "b"], "texts in split 'test', numbers in split 'train'"),
        ([True, False], ["true", "false"], "texts in split 'test', booleans in split 'train'"),
        (["a", "b"], [["a"], ["b"]], "lists of texts in split 'test', texts in split 'train'"),
    ],
)
def test_values_of_different_types_are_refused(
    train: list[Any], test: list[Any], expected: str
) -> None:
    with pytest.raises(DatasetError, match=expected):
        read_splits({"label": train}, {"label": test})


def test_a_split_of_nulls_has_no_labels() -> None:
    labels = read_splits({"label": ["b", "a"]}, {"label": [None]})
    assert labels.names == ("a", "b") and labels.ids["test"].tolist() == [UNUSABLE]


def test_numbers_with_other_names_in_another_split_are_refused() -> None:
    train = {"label": [0, 1, 0], "category": ["cat", "dog", "cat"]}
    test = {"label": [0, 1], "category": ["dog", "cat"]}
    with pytest.raises(DatasetError, match=r"0 is 'dog' in test.*0 is 'cat' in train.*category"):
        read_splits(train, test)
    labels = read_splits(train, test, "category")  # what the message advises
    assert labels.names == ("cat", "dog") and labels.ids["test"].tolist() == [1, 0]


@pytest.mark.parametrize("column", ["speaker", "city"])
def test_a_column_that_is_not_known_to_hold_names_gives_none(column: str) -> None:
    assert read([0, 1, 0], beside={column: ["ann", "bob", "ann"]}).names == ("0", "1")


@pytest.mark.parametrize("column", ["Category", "emotion", "label_name"])
def test_known_columns_of_names_are_found(column: str) -> None:
    assert read([0, 1, 0], beside={column: ["sad", "glad", "sad"]}).names == ("sad", "glad")


def test_minus_one_as_text_is_unusable_as_the_number_is(caplog: pytest.LogCaptureFixture) -> None:
    labels = read(["0", "-1", "1", ""])
    assert labels.names == ("0", "1") and ids(labels) == [0, UNUSABLE, 1, UNUSABLE]
    assert "-1: 1" in caplog.text
    assert read(["-1", "0", "other"]).names == ("-1", "0", "other")  # a name among names


def test_a_streamed_split_is_read_by_its_own_class_labels() -> None:
    tables = {"test": make_table({"label": [0, 1]}, label=["dog", "cat"])}
    parser = parse_label_column(tables, "label", None).parser
    assert parser is not None
    parse = parser.adapt(ClassLabel(names=["cat", "dog"]))
    assert parse(0) == (("cat",), "") and parse(1) == (("dog",), "")
