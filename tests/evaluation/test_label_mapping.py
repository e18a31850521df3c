"""Which label of a data set means which of the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audio_cls.data.labels.labels import UNUSABLE, Labels
from audio_cls.errors import DatasetError, SettingError
from audio_cls.evaluation.label_mapping import load_label_map, match_labels
from audio_cls.run_warnings import collect_warnings


def make_labels(names: tuple[str, ...]) -> Labels:
    """Return one clip of each label, then one without a label."""
    return Labels("label", names, {"test": np.array([*range(len(names)), UNUSABLE])})


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


KEYWORDS = ("yes", "no", "_silence_", "_unknown_")


def test_other_words_count_as_unknown_for_a_keyword_spotter() -> None:
    texts = collect_warnings()
    words = make_labels(("no", "bed", "yes", "cat", "_background_noise_"))
    match = match_labels(words, KEYWORDS, {"cat": None})
    assert match.labels.ids["test"].tolist() == [1, 3, 0, UNUSABLE, 2, UNUSABLE]
    assert (match.unmatched, match.as_unknown) == ({"cat": 1}, {"bed": 1})
    assert any("count as '_unknown_': bed (1 clip)" in text for text in texts)
    without = match_labels(words, ("yes", "no"), {})
    assert without.as_unknown == {}
    assert without.unmatched == {"bed": 1, "cat": 1, "_background_noise_": 1}


def test_words_of_which_none_is_a_keyword_are_refused() -> None:
    with pytest.raises(DatasetError, match="None of the data set's labels"):
        match_labels(make_labels(("bed", "cat")), KEYWORDS, {})
    match = match_labels(make_labels(("bed", "cat")), KEYWORDS, {"bed": "_unknown_"})
    assert match.labels.ids["test"].tolist() == [3, 3, UNUSABLE]
