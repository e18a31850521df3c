"""Suggested settings of a data set with rare classes."""

from __future__ import annotations

import numpy as np

from audio_cls.data.inspection.suggestions import suggest_settings
from audio_cls.data.inspection.text_report import _format_rare
from audio_cls.data.unused_columns import Unused


def test_rare_classes_are_left_out_only_where_most_classes_stay() -> None:
    seconds = np.ones(100)
    few = {"a": 40, "b": 40, "c": 2}
    assert "--min-clips-per-label 3" in suggest_settings(seconds, few)["flags"]
    given = {"max_seconds": 3.0, "batch_size": 8, "metric": "accuracy", "method": "probe"}
    column = Unused("group", "column 'a b'", 30, ("--group-column", "a b"))
    arguments = suggest_settings(seconds, few, chosen=given, unused=[column])["arguments"]
    assert arguments == ["--min-clips-per-label", "3", "--group-column", "a b"]
    most = {f"c{number}": 2 for number in range(40)} | {"a": 30, "b": 30}
    assert "--min-clips-per-label" not in suggest_settings(seconds, most)["flags"]


def test_the_report_states_what_the_option_would_leave_out() -> None:
    rare = {"b": {"train": 1, "test": 1}, "c": {"train": 1}}
    text = " ".join(_format_rare({"a": {"train": 5}, "d": {"train": 3}, **rare}).split())
    assert text.endswith("--min-clips-per-label 3 leaves out 2 of 4 classes (3 of 11 clips).")
    text = " ".join(_format_rare({"a": {"train": 5}, **rare}).split())  # one class would be left
    assert text.endswith("These are too few clips to train and test a classifier: add clips.")
