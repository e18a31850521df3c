"""results.json: what is read is written again, and a file that does not fit is refused by key."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from audio_cls.errors import RunFolderError
from audio_cls.runs.json_record import JsonRecord
from audio_cls.runs.results import (
    SCHEMA_VERSION,
    RunResults,
    Timing,
    read_results,
    write_results,
)

SPLIT: dict[str, Any] = {
    "name": "train", "origin": "cut from 'train' (stratified, 0.1, seed 42)",
    "method": "stratified cut", "is_given": False, "num_available": 8, "num_examples": 7,
    "fingerprint": [95800196455651, 3], "seconds": 2.8,
}  # fmt: skip
GOLDEN: dict[str, Any] = {  # every key that training or evaluation writes
    "schema_version": 1,
    "dataset": {
        "id": "ann/calls", "name": "ann/calls", "config": None, "revision": "0" * 40,
        "is_local": False, "license": "mit", "audio_column": "audio", "label_column": "label",
        "problem_type": "single-label", "sampling_rate": 16000, "decode_seconds": 0.04,
        "is_test_validation": False, "is_split_by_group": True,
        "duplicates": {"found": 2, "across_splits": 1, "left_out": 0},
        "near_duplicates": {"found": 1, "across_splits": 0, "first": [["a.wav", "b.wav"]]},
        "split": {
            "train": {**SPLIT, "seconds": None}, "validation": SPLIT,
            "test": {"name": "test", "origin": "split 'test'", "is_given": True, "seconds": 9.0},
        },
        "language": ["fr"],
    },
    "model": {
        "id": "ann/base", "revision": None, "is_local": False, "num_parameters": 26_707,
        "license": None,
    },
    "split_check": {"verdict": "disjoint", "shared": {"train+test": {"ids": 0}}},
    "labels": ["no", "yes"],
    "unmatched_labels": {"maybe": 3},
    "labels_as_unknown": {},
    "metric": "accuracy",
    "user_transforms": ["my_augment:reverb"],
    "validation": {"accuracy": 0.5, "num_examples": 7, "epoch": 1.0, "step": 4},
    "refit": {"num_examples": 9, "epoch": 2.0, "step": 8},
    "probe": {
        "layers": [{
            "layer": 1, "num_layers": 2, "c": 0.1, "log_loss": 0.5, "score": 0.9, "is_chosen": True,
        }],
        "total_layers": 2, "metric": "accuracy", "scored_on": "7 validation clips",
        "num_windows": 15, "num_computed": 9, "feature_seconds": 1.5, "fit_seconds": 0.5,
    },
    "candidates": {
        "reason": "It has the lowest validation log loss.",
        "chosen_on": "6 held-out training clips",
        "rows": [{
            "name": "fine-tune-1", "is_kept": True, "is_baseline": False, "log_loss": 0.5,
            "difference": 0.1, "standard_error": 0.2, "metrics": {"accuracy": 0.5},
            "seconds": 3.5, "epoch": 2.0, "note": "mean of 2 epochs",
            "settings": {"learning_rate": 1e-4},
        }],
    },
    "test": {"accuracy": 0.75, "accuracy_ci95": [0.2, 0.9], "per_class": {"no": {"f1": None}}},
    "baseline": {
        "name": "log-mel statistics", "metric": "accuracy", "test": 0.5, "test_ci95": [0.2, 0.8],
        "test_f1_macro": 0.4, "validation": 0.6, "difference": 0.25,
        "difference_ci95": [-0.1, 0.6], "c": 1.0, "num_train": 7, "num_available": 8,
        "seconds": 0.5,
    },
    "calibration": {"temperature": 1.5, "fitted_on": "validation", "is_applied": False},
    "timing": {
        "starts": 1, "prepare_seconds": 0.5, "train_seconds": 2, "evaluate_seconds": 1.0,
        "evaluate_share": 0.2,
        "steps": 8, "clips_per_step": 4, "overhead_share": 0.0, "skipped_steps": 0,
        "evaluations": 2, "validation_seconds": 0.25, "train_clips_per_second": 16.0,
        "peak_memory_mb": 500,
        "energy": {
            "kwh": 1e-6, "cpu_kwh": 1e-6, "gpu_kwh": 0.0, "ram_kwh": 0.0, "kg_co2eq": 4e-7,
            "grid_kg_co2eq_per_kwh": 0.4, "country": None, "num_machines": 1, "meter": "CodeCarbon",
        },
    },
    "bad_audio": {"skipped": 1},
    "samples": [{"file": "samples/1.wav", "label": "no", "id": "a.wav"}],
    "hardware": {
        "device": "cpu", "num_processes": 1, "num_threads": 2, "mixed_precision": "no",
    },
    "command": "accelerate launch scripts/train.py",
    "versions": {"torch": "2.11.0"},
    "date": "2026-01-31",
    "warnings": [],
    "comparison": {"other": "run", "mcnemar_p": 1.0},
}  # fmt: skip


def test_a_file_is_read_and_written_key_by_key(tmp_path: Path) -> None:
    write_results(tmp_path, RunResults.from_json(GOLDEN))
    text = (tmp_path / "results.json").read_text("utf-8")
    assert text == json.dumps(GOLDEN, indent=2, ensure_ascii=False) + "\n"  # in this order, too
    results = read_results(tmp_path / "results.json")
    assert results.dataset.split["train"].fingerprint == [95800196455651, 3]
    assert results.timing.energy is not None and results.timing.energy.kwh == 1e-6


def iterate_records(record: JsonRecord) -> Iterator[JsonRecord]:
    """Yield a record and all records in it."""
    yield record
    for value in vars(record).values():
        parts = value.values() if isinstance(value, dict) else value
        for part in parts if isinstance(value, dict | list) else [value]:
            if isinstance(part, JsonRecord):
                yield from iterate_records(part)


def test_every_field_is_in_the_golden_file() -> None:
    records = list(iterate_records(RunResults.from_json(GOLDEN)))
    known = {(type(one), spec.name) for one in records for spec in fields(one)}
    written = {(type(one), name) for one in records for name in one.to_json()}
    assert len(records) == 16 and known == written | {(type(one), "unknown") for one in records}


def test_an_older_file_and_keys_of_a_newer_one_are_read() -> None:
    tree = copy.deepcopy(GOLDEN)
    del tree["schema_version"], tree["dataset"]["license"], tree["hardware"]
    tree["mood"], tree["dataset"]["split"]["test"]["colour"] = {"is": 1}, "blue"
    results = RunResults.from_json(tree)
    assert results.schema_version == SCHEMA_VERSION and results.dataset.license is None
    again = results.to_json()
    assert again["mood"] == {"is": 1} and "hardware" not in again
    assert again["dataset"]["split"]["test"]["colour"] == "blue"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("labels",), "no", r"labels must be a list, not \"no\""),
        (("labels", 1), 3, r"labels\[1\] must be str, not 3"),
        (("test",), [], r"test must be an object, not \[\]"),
        (("dataset", "is_local"), 0, r"dataset.is_local must be bool, not 0"),
        (("timing", "steps"), True, "timing.steps must be int, not true"),
        (("timing", "steps"), 1.5, "timing.steps must be int, not 1.5"),
        (("dataset", "split", "test"), None, r"dataset.split.test must be an object, not null"),
        (("dataset", "split", "test", "seconds"), "9", r"dataset.split.test.seconds must be float"),
    ],
)
def test_a_value_of_another_type_is_refused_by_file_and_key(
    path: tuple[Any, ...], value: object, message: str, tmp_path: Path
) -> None:
    tree = copy.deepcopy(GOLDEN)
    part = tree
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    (tmp_path / "results.json").write_text(json.dumps(tree))
    with pytest.raises(RunFolderError, match=rf"results\.json' does not fit: {message}"):
        read_results(tmp_path / "results.json")


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff", b"[]"])
def test_a_file_that_is_no_object_is_refused(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(RunFolderError, match=r"results\.json' (cannot be read|does not fit)"):
        read_results(tmp_path / "results.json")


def test_numbers_that_are_not_finite_are_written_as_null(tmp_path: Path) -> None:
    write_results(tmp_path, RunResults(test={"ece": math.nan, "ci": [math.inf, 1.0]}))
    test = json.loads((tmp_path / "results.json").read_text("utf-8"))["test"]
    assert test == {"ece": None, "ci": [None, 1.0]}


def test_a_value_that_is_needed_and_missing_is_named() -> None:
    assert Timing(steps=0, starts=1).require("steps", "starts") == [0, 1]
    with pytest.raises(RunFolderError, match=r"lacks evaluations"):
        Timing(steps=0).require("steps", "evaluations")


def test_a_file_of_a_later_version_is_read_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "results.json").write_text('{"schema_version": 99}', "utf-8")
    assert read_results(tmp_path / "results.json").schema_version == 99
    assert "schema_version 99, newer than" in caplog.text
