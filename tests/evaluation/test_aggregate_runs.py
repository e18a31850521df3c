"""Many runs side by side."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from audio_cls.config import EvalConfig
from audio_cls.errors import RunFolderError
from audio_cls.evaluation.aggregate_runs import aggregate_folders, compare_cases, report_runs

VALUES = {0.1: [(0.6, 0.9), (0.8, 0.7)], 0.2: [(0.9, 0.5), (0.7, 0.6)]}  # (validation, test)


def _write_runs(base: Path) -> tuple[list[Path], list[dict[str, float]]]:
    folders, cases = [], []
    for rate, runs in VALUES.items():
        for seed, (validation, test) in enumerate(runs):
            folder = base / f"{rate}-seed-{seed}"
            folder.mkdir()
            numbers = {"validation": {"accuracy": validation, "loss": 1 - validation},
                       "test": {"accuracy": test, "per_class": {}}}  # fmt: skip
            (folder / "results.json").write_text(json.dumps(numbers))
            folders.append(folder)
            cases.append({"learning_rate": rate})
    return folders, cases


def test_validation_chooses_the_case_and_the_spread_is_reported(tmp_path: Path) -> None:
    folders, cases = _write_runs(tmp_path)
    report_runs(folders, cases, EvalConfig(), tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["best"]["settings"] == {"learning_rate": 0.2}  # test would have chosen 0.1
    first = results["cases"][0]
    assert first["runs"] == ["0.1-seed-0", "0.1-seed-1"]
    assert first["test"]["accuracy"]["mean"] == pytest.approx(0.8)
    assert first["test"]["accuracy"]["sd"] == pytest.approx(np.std([0.9, 0.7], ddof=1), abs=1e-6)
    rows = list(csv.DictReader((tmp_path / "sweep.csv").open()))
    assert [row["best"] for row in rows] == ["False", "True"]
    assert rows[1]["validation_accuracy_mean"] == "0.8"


def test_cases_with_the_same_validation_are_named(tmp_path: Path) -> None:
    folders, cases = _write_runs(tmp_path)
    found = compare_cases(folders, cases, EvalConfig())
    assert found["tied"] == []
    numbers = {"validation": {"accuracy": 0.8}, "test": {"accuracy": 0.1}}
    for folder in folders:
        (folder / "results.json").write_text(json.dumps(numbers))
    found = compare_cases(folders, cases, EvalConfig())
    assert found["tied"] == [1, 2]
    assert found["best"]["settings"] == {"learning_rate": 0.1}  # the first


def test_a_metric_that_is_an_error_is_best_where_it_is_smallest(tmp_path: Path) -> None:
    folders, cases = _write_runs(tmp_path)
    found = compare_cases(folders, cases, EvalConfig(metric="loss"))
    assert found["best"]["settings"] == {"learning_rate": 0.2}
    found = compare_cases(folders, cases, EvalConfig(metric="loss", metric_goal="max"))
    assert found["best"]["settings"] == {"learning_rate": 0.1}


def test_a_run_without_results_is_named(tmp_path: Path) -> None:
    folders, cases = _write_runs(tmp_path)
    (folders[1] / "results.json").unlink()
    with pytest.raises(RunFolderError, match=r"0\.1-seed-1.*--resume auto"):
        compare_cases(folders, cases, EvalConfig())


def test_the_metric_of_the_runs_chooses_where_the_setting_says_auto(tmp_path: Path) -> None:
    """Several labels per clip: 'auto' means map, and accuracy would choose another case."""
    folders = []
    for number, (mean, accuracy) in enumerate([(0.9, 0.1), (0.5, 0.6)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        part = {"map": mean, "accuracy": accuracy, "majority_accuracy": 0.05, "num_groups": 4}
        numbers = {"metric": "map", "labels": ["a", "b"], "validation": part, "test": part}
        (folder / "results.json").write_text(json.dumps(numbers))
        folders.append(folder)
    cases = [{"learning_rate": 0.1}, {"learning_rate": 0.2}]
    report_runs(folders, cases, EvalConfig(), tmp_path)
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["metric"] == "map"
    assert found["best"]["settings"] == {"learning_rate": 0.1}
    assert set(found["best"]["test"]) == {"map", "accuracy", "majority_accuracy"}
    (first, _) = csv.DictReader((tmp_path / "sweep.csv").open())
    assert (first["test_map_mean"], first["test_majority_accuracy"]) == ("0.9", "0.05")
    # A case whose validation metric is undefined in a run is never the best.
    text = (folders[0] / "results.json").read_text().replace('"map": 0.9', '"map": null')
    (folders[0] / "results.json").write_text(text)
    assert compare_cases(folders, cases, EvalConfig())["best"]["settings"] == cases[1]


def test_runs_with_other_labels_have_no_mean(tmp_path: Path) -> None:
    for number in (0, 1):
        (tmp_path / str(number)).mkdir()
        numbers = {"labels": ["a", "bc"[number]], "test": {"accuracy": 0.5}}
        (tmp_path / str(number) / "results.json").write_text(json.dumps(numbers))
    with pytest.raises(RunFolderError, match=r"other labels.*\(b, c\)"):
        aggregate_folders([tmp_path / "0", tmp_path / "1"])
