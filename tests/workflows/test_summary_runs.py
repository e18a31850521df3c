"""Closing lines of several runs, as text that is compared exactly."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from audio_cls.config import EvalConfig
from audio_cls.evaluation.aggregate_runs import report_runs
from audio_cls.runs.results import RESULTS_FILE, RunResults, read_results
from audio_cls.workflows.show_results import show_runs
from audio_cls.workflows.summary_runs import (
    describe_mean,
    find_best,
    summarize_runs,
    summarize_sweep,
)


def _write_runs(base: Path, values: dict[str, tuple[float, float]]) -> list[Path]:
    """Write results.json of runs with (validation, test) accuracies, best in epoch 2 of 4."""
    for name, (validation, test) in values.items():
        (base / name).mkdir(parents=True)
        part = {"accuracy": validation, "num_examples": 10, "epoch": 2.0, "step": 6}
        numbers: dict[str, Any] = {"accuracy": test, "f1_macro": test / 2, "num_examples": 20}
        tree = {
            "metric": "accuracy",
            "labels": ["a", "b"],
            "validation": part,
            "timing": {"steps": 12},
            "test": {**numbers, "majority_accuracy": 0.5},
            "baseline": {"metric": "accuracy", "test": 0.75, "difference": test - 0.75},
        }
        (base / name / RESULTS_FILE).write_text(json.dumps(tree))
    return [base / name for name in values]


def _read(folders: list[Path]) -> dict[Path, RunResults]:
    return {folder: read_results(folder / RESULTS_FILE) for folder in folders}


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the relative path of a folder for runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/audio-cls"])
    return Path("runs/x")


def test_seeds_end_with_a_table_and_their_mean(base: Path) -> None:
    values = {"seed-1": (0.6, 0.7), "seed-2": (0.8, 0.9), "seed-3": (0.8, 0.8)}
    folders = _write_runs(base, values)
    found = report_runs(folders, [{}] * 3, EvalConfig(), base)
    assert (
        "\n".join(summarize_runs(found, _read(folders), base))
        == """\
3 runs, accuracy
  run     best          validation    test
  seed-1  epoch 2 of 4      0.6000  0.7000
  seed-2  epoch 2 of 4      0.8000  0.9000
  seed-3  epoch 2 of 4      0.8000  0.8000

test              mean      sd  95 % interval
accuracy        0.8000  0.1000  0.552 to 1.000
macro F1        0.4000  0.0500  0.276 to 0.524
log-mel + LR    0.7500  0.0000  -
difference      0.0500  0.1000  -0.198 to 0.298
majority class  0.5000  0.0000  -

Folder: runs/x
  results.json (mean, sd and interval of all metrics), one folder per run

Best on validation: runs/x/seed-2
Classify files, evaluate on other data, publish:
  audio-cls predict runs/x/seed-2 FILE.wav
  audio-cls evaluate --model runs/x/seed-2 --dataset OTHER_DATA
  audio-cls publish runs/x/seed-2"""
    )
    assert describe_mean(found, base) == (
        "runs/x: test accuracy 0.8000 (sd 0.1000) over 3 runs, 95 % interval 0.552 to 1.000"
    )


def test_two_runs_have_no_interval(base: Path) -> None:
    folders = _write_runs(base, {"seed-0": (0.6, 0.7), "seed-1": (0.8, 0.9)})
    found = report_runs(folders, [{}] * 2, EvalConfig(), base)
    lines = summarize_runs(found, _read(folders), base, is_trained=False)
    assert "accuracy        0.8000  0.1414  -" in lines
    assert "No interval: it needs 3 runs, whose values differ." in lines
    assert describe_mean(found, base) == "runs/x: test accuracy 0.8000 (sd 0.1414) over 2 runs"
    assert lines[-1].startswith("  aggregate.json ")  # no commands


def test_a_sweep_ends_with_its_cases_and_names_ties(base: Path) -> None:
    values = {"1-a": (0.8, 0.7), "2-a": (0.8, 0.9), "3-a": (0.6, 0.8)}
    folders = _write_runs(base, values)
    cases = [{"learning_rate": rate, "epochs": 4} for rate in (0.001, 0.0001, 1e-05)]
    found = report_runs(folders, cases, EvalConfig(), base)
    assert (
        "\n".join(summarize_sweep(found, base)[:10])
        == """\
3 cases, accuracy; * = best on validation
     learning_rate  epochs  validation    test
  *  0.001          4           0.8000  0.7000
     0.0001         4           0.8000  0.9000
     1e-05          4           0.6000  0.8000
learning_rate=0.001, epochs=4 and learning_rate=0.0001, epochs=4 tie on
  validation: the first is taken.

Folder: runs/x
  results.json, sweep.csv (all metrics of each case), one folder per run"""
    )
    assert describe_mean(found, base) == (
        "runs/x: best of 3 cases: learning_rate=0.001, epochs=4, accuracy: validation 0.8000,"
        " test 0.7000"
    )


def test_a_sweep_with_seeds_has_the_spread_of_each_case(base: Path) -> None:
    folders = _write_runs(
        base, {"1-0": (0.6, 0.7), "1-1": (0.8, 0.9), "2-0": (0.6, 0.5), "2-1": (0.7, 0.6)}
    )
    cases = [{"model": "owner/" + "m" * 80}] * 2 + [{"model": "b"}] * 2
    lines = summarize_sweep(report_runs(folders, cases, EvalConfig(), base), base)
    assert lines[0] == "2 cases, accuracy, mean (sd) over 2 runs each; * = best on validation"
    assert lines[2].endswith("…  0.7000 (sd 0.1414)  0.8000 (sd 0.1414)")
    assert max(map(len, lines)) <= 80


def test_the_best_run_has_the_smallest_value_of_an_error() -> None:
    runs = {
        Path(name): RunResults(metric="log_loss", validation={"log_loss": loss})
        for name, loss in (("a", 0.9), ("b", 0.4), ("c", 0.4))
    }
    assert find_best(runs) == Path("b")
    assert find_best({Path("a"): RunResults()}) is None


def test_folds_have_no_best_run_as_their_validation_clips_differ(base: Path) -> None:
    runs = {
        base / f"fold-{number}": RunResults.from_json(
            {
                "metric": "accuracy",
                "validation": {"accuracy": number / 10},
                "dataset": {"split": {"validation": {"fingerprint": [number]}}},
            }
        )
        for number in (1, 2)
    }
    assert find_best(runs) is None


def test_json_ends_with_the_mean_and_quiet_with_one_line(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = _write_runs(base, {"seed-0": (0.6, 0.7), "seed-1": (0.8, 0.9)})
    found = report_runs(folders, [{}] * 2, EvalConfig(), base)
    show_runs(found, folders, "json")
    event = json.loads(capsys.readouterr().out)
    assert (event["event"], event["output_dir"]) == ("end", "runs/x")
    assert event["runs"] == ["seed-0", "seed-1"]
    assert event["test"]["accuracy"]["mean"] == pytest.approx(0.8)
    show_runs(found, folders, "quiet")
    assert capsys.readouterr().out == f"{describe_mean(found, base)}\n"
