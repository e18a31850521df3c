"""Closing lines of a run and of an evaluation, as text that is compared exactly."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from audio_cls.runs.results import RunResults
from audio_cls.workflows.summary import (
    describe_classes,
    describe_epoch,
    describe_result,
    make_test_event,
    summarize_scores,
    summarize_training,
)
from audio_cls.workflows.summary_evaluation import describe_clips, summarize_evaluation

SINGLE: dict[str, Any] = {
    "dataset": {
        "name": "languages",
        "problem_type": "single-label",
        "split": {"test": {"origin": "split 'test'", "is_given": True}},
    },
    "labels": ["fr", "it", "ru", "de"],
    "metric": "accuracy",
    "validation": {"accuracy": 0.56666, "num_examples": 30, "epoch": 7.0, "step": 42},
    "timing": {"steps": 60},
    "baseline": {"test": 0.4, "difference": 0.066667, "difference_ci95": [-0.1, 0.233]},
    "test": {
        "accuracy": 0.466667,
        "accuracy_ci95": [0.302324, 0.638577],
        "f1_macro": 0.365627,
        "f1_macro_ci95": [0.243256, 0.508215],
        "majority_accuracy": 0.333333,
        "majority_class": "fr",
        "num_examples": 30,
        "per_class": {
            "fr": {"precision": 0.5, "recall": 0.9, "f1": 0.62069, "support": 10},
            "it": {"precision": 0.5, "recall": 0.5, "f1": 0.47619, "support": 10},
            "ru": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 10},
            "de": {"precision": None, "recall": None, "f1": None, "support": 0},
        },
        "top_confusions": [{"label": "it", "prediction": "fr", "count": 5}],
    },
}
MULTI: dict[str, Any] = {
    "dataset": {"problem_type": "multi-label", "is_test_validation": True},
    "metric": "map",
    "validation": {"map": 0.5, "num_examples": 9, "epoch": 0.4286, "step": 6},
    "timing": {"steps": 14},
    "baseline": {"metric": "map", "test": 0.5, "difference": -0.1, "difference_ci95": [-0.3, 0.1]},
    "test": {
        "map": 0.4,
        "map_ci95": [0.3, 0.5],
        "map_micro": 0.4,
        "baseline_map": 0.25,
        "accuracy": 0.1,
        "f1_macro": 0.3,
        "f1_macro_ci95": None,
        "majority_accuracy": 0.05,
        "majority_class": [],
        "num_examples": 9,
        "per_class": {
            "rain": {"recall": 0.4, "f1": 0.5, "average_precision": 0.61, "support": 4},
            "wind": {"recall": 0.1, "f1": 0.2, "average_precision": 0.21, "support": 5},
            "hail": {"recall": None, "f1": None, "support": 0},
        },
    },
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the relative path of a run folder with some of its files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/audio-cls"])
    folder = Path("runs/a b")
    (folder / "figures").mkdir(parents=True)
    for name in ("README.md", "results.json", "predictions.csv"):
        (folder / name).touch()
    return folder


def test_a_run_ends_with_its_result_folder_and_commands(run: Path) -> None:
    lines = summarize_training(RunResults.from_json(SINGLE), run)
    assert (
        "\n".join(lines)
        == """\
Best epoch 7 of 10: validation accuracy 0.5667 on 30 clips

Test on 30 clips (split 'test')
  accuracy        0.4667  95 % interval 0.302 to 0.639
  macro F1        0.3656  95 % interval 0.243 to 0.508
  log-mel + LR    0.4000  model +0.0667, 95 % interval -0.100 to +0.233
  majority class  0.3333  always the most frequent class of training, 'fr'

weakest classes  recall    F1  clips
ru                 0.00  0.00     10
it                 0.50  0.48     10
fr                 0.90  0.62     10
Most frequent confusion: 'it' predicted as 'fr', 5 of 10 clips
Without test clips, so in no score: de

Run folder: runs/a b
  README.md (model card), results.json (all metrics), predictions.csv, figures/

Classify files, evaluate on other data, publish:
  audio-cls predict 'runs/a b' FILE.wav
  audio-cls evaluate --model 'runs/a b' --dataset OTHER_DATA
  audio-cls publish 'runs/a b'"""
    )


def test_a_multi_label_run_ends_with_its_mean_average_precision(run: Path) -> None:
    lines = summarize_training(RunResults.from_json(MULTI), run)
    assert (
        "\n".join(lines[:12])
        == """\
Best step 6 of 14 (epoch 0.43): validation mean average precision 0.5000 on 9 clips
Validation and test are the same clips: they chose the saved model, and its test
  score is too high for new clips.

Test on 9 clips (test split)
  mean average precision  0.4000  95 % interval 0.300 to 0.500
  macro F1                0.3000
  log-mel + LR            0.5000  model -0.1000, 95 % interval -0.300 to +0.100
  chance level            0.2500  mean average precision of random scores

weakest classes  average precision    F1  clips
wind                          0.21  0.20      5"""
    )


def test_one_of_several_runs_ends_with_its_scores_alone() -> None:
    lines = summarize_scores(RunResults.from_json(SINGLE))
    assert len(lines) == 7
    assert lines[0].startswith("Best epoch 7 of 10") and lines[-1].startswith("  majority class")


def test_a_run_without_mistakes_says_so(run: Path) -> None:
    row = {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 15}
    test = {**SINGLE["test"], "accuracy": 1.0, "per_class": {"fr": row}, "top_confusions": []}
    text = "\n".join(summarize_training(RunResults.from_json({**SINGLE, "test": test}), run))
    assert "All classes: every test clip is predicted correctly." in text
    assert "weakest" not in text and "confusion" not in text


def test_a_majority_class_without_test_clips_explains_its_accuracy(run: Path) -> None:
    row = {"precision": None, "recall": None, "f1": None, "support": 0}
    test = SINGLE["test"]
    classes = {**test["per_class"], test["majority_class"]: row}
    text = "\n".join(
        summarize_training(
            RunResults.from_json({**SINGLE, "test": {**test, "per_class": classes}}), run
        )
    )
    assert f"no test clips of the most frequent one, '{test['majority_class']}'\n" in text
    assert f"Without test clips, so in no score: {test['majority_class']}" in text


def test_perfect_rankings_of_labels_are_not_called_correct_predictions() -> None:
    row = {"recall": 0.5, "f1": 0.67, "average_precision": 1.0, "support": 4}
    untested = {"recall": None, "f1": None, "support": 0}
    test = {**MULTI["test"], "per_class": {"rain": row, "hail": untested}}
    wrong = RunResults.from_json({**MULTI, "test": {**test, "accuracy": 0.5}})
    without = "Without test clips, so in no score: hail"
    assert describe_classes(wrong) == [
        *("Every tested label has average precision 1.00; some decisions are wrong.", without)
    ]
    right = RunResults.from_json({**MULTI, "test": {**test, "accuracy": 1.0}})
    assert describe_classes(right) == [
        *("All tested classes: every test clip is predicted correctly.", without)
    ]
    none = RunResults.from_json({**SINGLE, "test": {**SINGLE["test"], "per_class": {}}})
    assert describe_classes(none) == ["There are no scores by class."]


def test_the_metric_that_chose_the_epoch_is_shown_too(run: Path) -> None:
    test = {**SINGLE["test"], "my_score": 2.5}
    validation = {**SINGLE["validation"], "my_score": 2.0}
    changes = {"metric": "my_score", "test": test, "validation": validation}
    text = "\n".join(summarize_training(RunResults.from_json({**SINGLE, **changes}), run))
    assert "Best epoch 7 of 10: validation my score 2.0000" in text
    assert "  my score        2.5000\n" in text


def test_long_names_keep_the_lines_within_80_columns(run: Path) -> None:
    names = [f"{letter * 70} of a class" for letter in "abc"]
    table = {name: {"recall": 0.5, "f1": 0.5, "support": 8} for name in names}
    pair = {"label": names[0], "prediction": names[1], "count": 4}
    changes = {"majority_class": names[0], "per_class": table, "top_confusions": [pair]}
    origin = f"cut from 'train' (by group, 0.1, seed 42), of column {'c' * 30}"
    dataset = {"split": {"test": {"origin": origin}}, "name": "x"}
    tree = {**SINGLE, "dataset": dataset, "test": {**SINGLE["test"], **changes}}
    results = RunResults.from_json(tree)
    lines = [*summarize_training(results, run), *summarize_evaluation(results, run)]
    assert max(map(len, lines)) == 80


@pytest.mark.parametrize(
    ("part", "others", "shown"),
    [
        ({"origin": "split 'train'"}, {}, "all clips of split 'train' of d"),
        (
            {"origin": "all of split 'train' (another data set than in training)"},
            {"unmatched_labels": {"x": 3}, "bad_audio": {"skipped": 2}},
            "clips of split 'train' of d, without labels that the model does not have,"
            " without 2 unusable clips",
        ),
        (
            {"origin": "split 'test'", "num_available": 90},
            {},
            "clips of split 'test' of d, a sample of 90",
        ),
        (
            {"origin": "the run's own validation clips (split 'dev')"},
            {},
            "the run's validation clips of d (split 'dev')",
        ),
        (
            {"origin": "cut from 'train' (stratified, 0.1, seed 42)"},
            {},
            "the run's test clips of d (cut from 'train' (stratified, 0.1, seed 42))",
        ),
    ],
)
def test_an_evaluation_says_which_clips_it_used(
    part: dict[str, Any], others: dict[str, Any], shown: str
) -> None:
    tree = {**SINGLE, "dataset": {"name": "d", "split": {"test": part}}, **others}
    assert describe_clips(RunResults.from_json(tree)) == shown


def test_an_evaluation_ends_with_its_clips_result_and_folder(run: Path) -> None:
    comparison = {
        "other": "older", "accuracy_difference": -0.1, "only_this_right": 1,
        "accuracy_difference_ci95": [-0.2491, 0.0616], "only_other_right": 4, "mcnemar_p": 0.375,
    }  # fmt: skip
    results = RunResults.from_json({**SINGLE, "comparison": comparison})
    lines = summarize_evaluation(results, run)
    assert lines[0] == "Evaluated on 30 clips: all clips of split 'test' of languages"
    assert (
        "\n".join(lines[-8:])
        == """\
Most frequent confusion: 'it' predicted as 'fr', 5 of 10 clips
Without test clips, so in no score: de

Against older: accuracy -0.1000 (95 % interval -0.249 to +0.062); only this one
  correct: 1 clip, only the other: 4, McNemar p = 0.375

Folder: runs/a b
  README.md (model card), results.json (all metrics), predictions.csv, figures/"""
    )


def test_one_line_and_the_event_have_the_same_numbers(run: Path) -> None:
    results = RunResults.from_json(SINGLE)
    assert describe_result(results, run) == (
        "runs/a b: test accuracy 0.4667 on 30 clips, 95 % interval 0.302 to 0.639"
    )
    event = make_test_event(results, run)
    assert event["output_dir"] == "runs/a b" and event["num_examples"] == 30
    assert event["metrics"] == {
        "accuracy": 0.466667,
        "f1_macro": 0.365627,
        "majority_accuracy": 0.333333,
    }
    assert event["ci95"]["accuracy"] == [0.302324, 0.638577]
    assert (event["best_epoch"], event["best_step"]) == (7.0, 42)
    assert event["validation"] == {"accuracy": 0.56666}


def test_a_run_without_an_epoch_number_names_none() -> None:
    assert describe_epoch(RunResults.from_json({"validation": {"accuracy": 0.5}})) == "epoch"
