"""The parts of results.json, and the files from which they can be computed again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_scores import make_metadata, make_scores

from audio_cls.config import EvalConfig
from audio_cls.errors import RunFolderError
from audio_cls.evaluation.metrics.intervals import wilson_interval
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.reports.predictions_file import (
    read_metadata,
    read_predictions,
    write_metadata,
    write_predictions,
)
from audio_cls.evaluation.reports.report import report_scores, write_report
from audio_cls.runs.results import RunResults

NAMES = ("fr", "it, or so", 'r"u')


def test_accuracy_has_wilsons_interval_without_groups_and_a_wider_one_with_few() -> None:
    scores = make_scores(200)
    plain = report_scores(scores, NAMES, EvalConfig(), make_metadata(200))
    right = int((scores.targets == scores.predictions).sum())
    assert plain["accuracy_ci95"] == pytest.approx(wilson_interval(right, 200), abs=1e-6)
    grouped = report_scores(scores, NAMES, EvalConfig(), make_metadata(200, num_groups=5))
    assert grouped["intervals"]["num_drawn"] == 5
    assert grouped["accuracy_ci95"] != plain["accuracy_ci95"]
    assert plain["f1_macro_ci95"][0] < plain["f1_macro"] < plain["f1_macro_ci95"][1]


def test_no_interval_by_group_is_narrower_than_the_one_by_clips() -> None:
    # Six groups of ten clips, each with eight right in the same classes: groups tell no spread.
    labels = np.tile([0, 1, 0, 1, 0, 1, 0, 1, 0, 1], 6)
    predicted = np.where(np.arange(60) % 10 < 8, labels, 1 - labels)
    scores = Scores(np.arange(60).astype(str), labels, np.eye(3)[predicted])
    groups = np.array([f"g{n // 10}" for n in range(60)])
    grouped = report_scores(scores, NAMES, EvalConfig(), replace(make_metadata(60), groups=groups))
    plain = report_scores(scores, NAMES, EvalConfig(), make_metadata(60))
    for key in ("accuracy", "balanced_accuracy", "f1_macro"):
        widths = [high - low for low, high in (r[f"{key}_ci95"] for r in (grouped, plain))]
        assert widths[0] >= widths[1] > 0.1
    assert grouped["intervals"]["drawn"] == "groups"


def test_two_groups_get_the_interval_of_their_clips_and_a_note() -> None:
    scores = make_scores(200)
    plain = report_scores(scores, NAMES, EvalConfig(), make_metadata(200))
    paired = report_scores(scores, NAMES, EvalConfig(), make_metadata(200, num_groups=2))
    for key in ("accuracy_ci95", "f1_macro_ci95", "balanced_accuracy_ci95"):
        assert paired[key] == plain[key]
    assert paired["intervals"].pop("note").startswith("Only 2 groups were tested")
    assert paired["intervals"] == plain["intervals"]
    assert paired["num_groups"] == 2, "what each of them scored is told all the same"


def test_chosen_metric_has_an_interval_too() -> None:
    report = report_scores(make_scores(), NAMES, EvalConfig(metric="log_loss"), None)
    assert report["log_loss_ci95"][0] < report["log_loss"] < report["log_loss_ci95"][1]


def test_confusions_are_sorted_and_mistakes_begin_with_the_most_confident() -> None:
    probabilities = np.array(
        [[0.1, 0.9, 0], [0.4, 0.6, 0], [0.9, 0, 0.1], [0.3, 0, 0.7], [1, 0, 0]]
    )
    scores = Scores(np.array(list("abcde")), np.array([0, 0, 1, 1, 0]), probabilities)
    report = report_scores(scores, NAMES, EvalConfig(), None)
    assert report["top_confusions"] == [
        {"label": "fr", "prediction": "it, or so", "count": 2},
        {"label": "it, or so", "prediction": "fr", "count": 1},
        {"label": "it, or so", "prediction": 'r"u', "count": 1},
    ]
    assert [row["id"] for row in report["confident_mistakes"]] == ["a", "c", "d", "b"]
    assert report["confident_mistakes"][0]["confidence"] == 0.9
    for mistake in report["confident_mistakes"]:  # the row of predictions.csv, from 1
        assert scores.ids[mistake["row"] - 1] == mistake["id"]


def test_tables_by_length_and_rate_count_every_clip_once() -> None:
    scores, metadata = make_scores(), replace(make_metadata(), seconds=np.linspace(0.5, 70, 60))
    report = report_scores(scores, NAMES, EvalConfig(), metadata)
    for table in ("by_duration", "by_sampling_rate"):
        assert sum(row["num_examples"] for row in report[table].values()) == 60
    assert next(iter(report["by_duration"])) == "below 1 s"
    assert list(report["by_duration"])[-1] == "60 s and more"
    is_short = metadata.seconds < 1
    expected = (scores.targets == scores.predictions)[is_short].mean()
    assert report["by_duration"]["below 1 s"]["accuracy"] == pytest.approx(expected, abs=1e-6)


def test_one_clip_gives_a_report_of_valid_json(tmp_path: Path) -> None:
    scores, metadata = make_scores(1), make_metadata(1, num_groups=1)
    results = RunResults(
        labels=list(NAMES), test=report_scores(scores, NAMES, EvalConfig(), metadata)
    )
    write_report(tmp_path, results, scores, metadata)
    test = json.loads((tmp_path / "results.json").read_text("utf-8"))["test"]
    assert test["roc_auc"] is None
    assert test["accuracy_ci95"] == pytest.approx(
        wilson_interval(int(test["accuracy"]), 1), abs=1e-6
    )
    assert test["f1_macro_ci95"] is None
    assert "Only 1 group was tested" in test["intervals"]["note"]


@pytest.mark.parametrize("num_groups", [None, 7])
def test_files_give_the_same_report_again(num_groups: int | None, tmp_path: Path) -> None:
    scores, metadata = make_scores(), make_metadata(num_groups=num_groups)
    write_predictions(tmp_path / "predictions.csv", scores, NAMES)
    write_metadata(tmp_path / "clips.csv", scores, metadata)
    again, names = read_predictions(tmp_path / "predictions.csv")
    assert names == NAMES
    cfg = EvalConfig(metric="ece")
    expected = report_scores(scores, NAMES, cfg, metadata)
    found = report_scores(again, names, cfg, read_metadata(tmp_path / "clips.csv", again))
    assert found == expected


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id,label", "name,label", "a predictions.csv has"),
        ("clip-3,", "clip-3,nobody,", "Line 5"),
        ("clip-0,", "clip-0,it,", "Line 2"),
    ],
)
def test_a_file_that_is_not_valid_is_refused_by_line(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "predictions.csv"
    write_predictions(path, make_scores(), ("fr", "it", "ru"))
    path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")
    with pytest.raises(RunFolderError, match=message):
        read_predictions(path)
    with pytest.raises(RunFolderError, match="cannot be read"):
        read_predictions(tmp_path / "nothing.csv")


def test_facts_of_other_clips_are_refused(tmp_path: Path) -> None:
    write_metadata(tmp_path / "clips.csv", make_scores(5), make_metadata(5))
    with pytest.raises(RunFolderError, match=r"does not match the predictions\.csv"):
        read_metadata(tmp_path / "clips.csv", make_scores(6))


def test_generated_silence_without_a_group_is_no_group() -> None:
    scores, metadata = make_scores(60), make_metadata(60, num_groups=2)
    assert metadata.groups is not None
    groups = np.where(np.arange(60) < 10, "", metadata.groups)
    found = report_scores(scores, NAMES, EvalConfig(), replace(metadata, groups=groups))
    assert found["num_groups"] == len(found["by_group"]) == 2
    assert found["intervals"]["note"].startswith("Only 2 groups were tested")
