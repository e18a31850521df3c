"""Evaluation results: the same numbers as results.json, in the form the Hub aggregates."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from fake_run import DATASET_SHA, make_results, make_run, make_settings
from huggingface_hub import parse_eval_result_entries as parse_entries

from audio_cls.publishing.eval_results import (
    identify_run,
    make_eval_results,
    write_eval_results,
)
from audio_cls.publishing.run_record import load_run


def test_the_entry_holds_the_number_of_the_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    path = write_eval_results(run)
    assert path == run / ".eval_results" / "marsyas_gtzan.yaml"
    (entry,) = parse_entries(yaml.safe_load(path.read_text("utf-8")))
    assert (entry.dataset_id, entry.task_id) == ("marsyas/gtzan", "all")
    assert entry.value == make_results()["test"]["accuracy"]
    assert entry.dataset_revision == DATASET_SHA and entry.date is None
    assert entry.notes == "accuracy on 60 clips of test; 95 % interval 0.720 to 0.910"


def test_the_metric_that_chose_the_epoch_is_reported(tmp_path: Path) -> None:
    results = make_results() | {"metric": "f1_macro", "date": "2026-11-22"}
    path = write_eval_results(make_run(tmp_path / "run", results))
    assert path is not None
    (entry,) = parse_entries(yaml.safe_load(path.read_text("utf-8")))
    assert entry.value == results["test"]["f1_macro"]
    assert entry.date == "2026-11-22"
    assert entry.notes == "f1_macro on 60 clips of test"


def test_the_notes_say_when_the_test_chose_the_epoch(tmp_path: Path) -> None:
    results = make_results()
    results["dataset"]["is_test_validation"] = True
    path = write_eval_results(make_run(tmp_path / "run", results))
    assert path is not None
    (entry,) = parse_entries(yaml.safe_load(path.read_text("utf-8")))
    assert str(entry.notes).endswith("; validation and test are the same clips")


def test_task_and_notes_can_be_given(tmp_path: Path) -> None:
    settings = make_settings()
    settings["hub"] |= {"task_id": "genre", "eval_notes": "seed 7: # {{ x }}\n- 5 folds"}
    path = write_eval_results(make_run(tmp_path / "run", settings=settings))
    assert path is not None
    (entry,) = parse_entries(yaml.safe_load(path.read_text("utf-8")))
    assert (entry.task_id, entry.notes) == ("genre", "seed 7: # {{ x }} - 5 folds")


@pytest.mark.parametrize(
    "change",
    [
        {"id": "/home/ann/gtzan", "revision": None},
        {"id": "data/gtzan", "revision": None, "is_local": True},
        {"id": "marsyas/gtzan", "is_local": True},
        {"id": "../../gtzan"},
    ],
)
def test_a_folder_has_no_place_on_a_leaderboard(change: dict[str, object], tmp_path: Path) -> None:
    results = make_results()
    results["dataset"] |= change
    run = make_run(tmp_path / "run", results)
    assert write_eval_results(run) is None
    assert not (run / ".eval_results").exists()


def test_counts_and_baselines_are_not_published_as_metrics(tmp_path: Path) -> None:
    results = make_results() | {"metric": "mine"}
    results["test"] |= {"num_groups": 6, "majority_accuracy": 0.4, "mine": 2.5}
    record = load_run(make_run(tmp_path / "run", results))
    values = {one.metric_name: one.metric_value for one in make_eval_results(record)}
    assert values["Mine"] == 2.5 and values["Accuracy"] == results["test"]["accuracy"]
    assert not {"Num groups", "Majority accuracy", "Num examples"} & set(values)


@pytest.mark.parametrize(
    "part",
    [
        {"name": "train"},
        {"origin": "cut from 'train' (stratified, 0.1, seed 42)"},
        {"origin": "fold 1 of column 'fold'"},
        {"origin": "2 groups of column 'speaker'"},
        {"origin": "split 'test'", "is_given": False},
    ],
)
def test_a_part_that_is_no_whole_split_has_no_place_on_a_leaderboard(
    part: dict[str, object], tmp_path: Path
) -> None:
    results = make_results()
    results["dataset"]["split"]["test"] |= part
    assert write_eval_results(make_run(tmp_path / "run", results)) is None
    results["dataset"]["split"]["test"] = {"name": "test", "origin": "split 'test'"}
    assert write_eval_results(make_run(tmp_path / "whole", results)) is not None


def test_an_id_tells_runs_apart_and_stays_when_the_test_is_judged_again(tmp_path: Path) -> None:
    results, again, other = make_results(), make_results(), make_results()
    again["test"] = {"accuracy": 0.5, "num_examples": 60}
    other["validation"]["accuracy"] = 0.75
    ids = [
        identify_run(load_run(make_run(tmp_path / name, one)))
        for name, one in (("a", results), ("b", again), ("c", other))
    ]
    assert ids[0] == ids[1] != ids[2]
    del results["validation"]
    assert identify_run(load_run(make_run(tmp_path / "d", results))) is None
