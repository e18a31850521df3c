"""Which clips are judged and which label means which, on made-up pools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audio_cls.config import RunConfig
from audio_cls.data.labels import UNUSABLE, Labels
from audio_cls.data.splits import Pool
from audio_cls.errors import DatasetError, SettingError
from audio_cls.evaluation.matching import (
    OwnRun,
    adopt_settings,
    choose_rows,
    load_label_map,
    match_labels,
)

NOTHING = OwnRun({}, {}, {})


def make_labels(names: tuple[str, ...]) -> Labels:
    """Return one clip of each label, then one without a label."""
    return Labels("label", names, {"test": np.array([*range(len(names)), UNUSABLE])})


def make_pool(**splits: int) -> Pool:
    """Return splits of so many clips, named SPLIT/0 ..., all of label 0 but the last, unusable."""
    ids = [f"{name}/{n}" for name, count in splits.items() for n in range(count)]
    labels = np.zeros(len(ids), dtype=np.int64)
    labels[-1] = UNUSABLE
    starts = np.cumsum([0, *splits.values()])
    given = {
        name: np.arange(start, start + count)
        for (name, count), start in zip(splits.items(), starts, strict=False)
    }
    return Pool(labels=labels, ids=np.array(ids), groups=None, folds=None, given=given)


def test_labels_match_by_name_whatever_their_order_and_spelling() -> None:
    match = match_labels(make_labels(("Rock", "hip hop", "jazz")), ("jazz", "hip-hop", "rock"), {})
    assert match.labels.ids["test"].tolist() == [2, 1, 0, UNUSABLE]
    assert match.labels.names == ("jazz", "hip-hop", "rock")
    assert match.unmatched == {}


def test_an_exact_name_goes_before_a_like_one_and_an_ambiguous_one_matches_nothing() -> None:
    known = ("a_b", "a-b", "c")
    match = match_labels(make_labels(("a-b", "A B", "c")), known, {})
    assert match.labels.ids["test"].tolist() == [1, UNUSABLE, 2, UNUSABLE]
    assert match.unmatched == {"A B": 1}


def test_the_map_goes_before_the_name_and_null_leaves_clips_out() -> None:
    match = match_labels(make_labels(("a", "b", "c")), ("a", "b"), {"a": "b", "b": None, "c": "a"})
    assert match.labels.ids["test"].tolist() == [1, UNUSABLE, 0, UNUSABLE]
    assert match.unmatched == {"b": 1}


def test_a_map_to_a_label_that_is_not_there_is_refused() -> None:
    with pytest.raises(SettingError, match=r"model has no label 'roc'.*Did you mean rock"):
        match_labels(make_labels(("a", "b")), ("rock", "b"), {"a": "roc"})
    with pytest.raises(SettingError, match="data set has no label 'x'"):
        match_labels(make_labels(("a", "b")), ("a", "b"), {"x": "a"})


def test_no_label_in_common_is_refused_with_both_lists() -> None:
    with pytest.raises(DatasetError, match=r"\(yes, no\).*\(LABEL_0, LABEL_1\).*--label-map"):
        match_labels(make_labels(("yes", "no")), ("LABEL_0", "LABEL_1"), {})


@pytest.mark.parametrize("text", ["- a\n- b\n", "", "{"])
def test_a_label_map_that_is_no_mapping_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(text, "utf-8")
    with pytest.raises(SettingError, match="--label-map"):
        load_label_map(tmp_path / "map.yaml")


def test_a_given_split_is_taken_whole_and_a_cut_one_by_its_ids() -> None:
    pool, cfg = make_pool(train=6, test=4), RunConfig()
    rows, origin = choose_rows(pool, "test", NOTHING, cfg, is_own=False)
    assert (rows.tolist(), origin) == ([6, 7, 8], "split 'test'")
    lists = {"test": ["train/4", "train/1"]}
    cut = OwnRun({}, {"test": "cut from 'train' (stratified, 0.1, seed 42)"}, lists)
    rows, origin = choose_rows(pool, "test", cut, cfg, is_own=True)
    assert (rows.tolist(), origin) == ([4, 1], "cut from 'train' (stratified, 0.1, seed 42)")
    given = OwnRun({}, {"test": "split 'test'"}, lists)
    assert choose_rows(pool, "test", given, cfg, is_own=True)[0].tolist() == [6, 7, 8]
    assert choose_rows(pool, "test", cut, cfg, is_own=False)[0].tolist() == [6, 7, 8]


def test_ids_are_used_where_the_data_set_has_no_such_split() -> None:
    run = OwnRun({}, {}, {"test": ["train/0"]})
    rows, _ = choose_rows(make_pool(train=3), "test", run, RunConfig(), is_own=False)
    assert rows.tolist() == [0]
    with pytest.raises(DatasetError, match=r"1 of the 2 clips.*first: other/9"):
        lists = OwnRun({}, {}, {"test": ["train/0", "other/9"]})
        choose_rows(make_pool(train=3), "test", lists, RunConfig(), is_own=False)


def test_a_split_of_another_usual_name_and_the_runs_own_name_are_found() -> None:
    pool = make_pool(train=3, dev=2, held_out=3)
    rows, origin = choose_rows(pool, "validation", NOTHING, RunConfig(), is_own=False)
    assert (rows.tolist(), origin) == ([3, 4], "split 'dev'")
    cfg = RunConfig.from_flat({"test_split": "held_out"})
    assert choose_rows(pool, "test", NOTHING, cfg, is_own=True)[1] == "split 'held_out'"
    with pytest.raises(DatasetError, match="has train, dev, held_out"):
        choose_rows(pool, "test", NOTHING, cfg, is_own=False)


def test_settings_of_the_run_answer_for_its_own_data_set_only() -> None:
    own = {
        "dataset": "a/b",
        "label_column": "genre",
        "group_column": "artist",
        "max_eval_samples": 5,
    }
    run = OwnRun({"data": own, "eval": {"metric": "uar"}}, {}, {})
    cfg, is_own = adopt_settings({"group_column": "album"}, run)
    assert (is_own, cfg.data.dataset, cfg.data.label_column) == (True, "a/b", "genre")
    assert (cfg.data.group_column, cfg.data.max_eval_samples) == ("album", None)
    assert cfg.eval.metric == "uar"
    cfg, is_own = adopt_settings({"dataset": "c/d"}, run)
    assert (is_own, cfg.data.label_column) == (False, None)
