"""Runs of --fold-validation none: all other folds are trained on, the last epoch is kept."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from tiny_runs import make_config, write_quiet_checkpoint

from audio_cls.runs.results import RunResults, read_results
from audio_cls.workflows.summary import summarize_training
from audio_cls.workflows.summary_runs import summarize_runs
from audio_cls.workflows.train import run_all

FOLDED = {"folds": 2, "fold_validation": "none", "log": "quiet", "epochs": 2}


@pytest.fixture(scope="module")
def runs(tone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Train on one half of the tones and test on the other, twice."""
    root = tmp_path_factory.mktemp("folds")
    checkpoint = write_quiet_checkpoint(root / "model")
    return run_all(make_config(tone_folder, checkpoint, root / "run", **FOLDED))


def test_each_clip_is_trained_on_in_one_run_and_tested_in_the_other(runs: list[Path]) -> None:
    lists = [
        {part.stem: set(part.read_text("utf-8").split()) for part in run.glob("splits/*.txt")}
        for run in runs
    ]
    assert all(part.keys() == {"train", "test"} for part in lists)
    assert lists[0]["train"] == lists[1]["test"] and lists[0]["test"] == lists[1]["train"]
    assert len(lists[0]["train"] | lists[0]["test"]) == 60
    assert (runs[0] / "figures" / "curves.png").is_file()


def test_the_last_epoch_is_kept_and_nothing_is_calibrated(runs: list[Path]) -> None:
    results = read_results(runs[0] / "results.json")
    steps = 2 * int(np.ceil(30 / 4))
    assert results.validation == {"num_examples": 0, "epoch": 2.0, "step": steps}
    assert results.calibration["temperature"] == 1 and results.calibration["fitted_on"] is None
    assert results.dataset.split.keys() == {"train", "test"}
    with (runs[0] / "summary.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["validation_loss"] for row in rows] == ["", ""] and "accuracy" not in rows[0]
    saved = load_file(runs[0] / "model.safetensors")
    last = load_file(runs[0] / "checkpoints" / f"step-{steps}" / "model.safetensors")
    assert all((saved[name] == last[name]).all() for name in saved)


def test_output_and_card_say_it_once(runs: list[Path]) -> None:
    results = read_results(runs[0] / "results.json")
    assert [text for text in results.warnings or [] if "no validation clips" in text] != []
    assert summarize_training(results, runs[0])[0] == (
        "Last epoch 2 of 2 is kept: there are no validation clips"
    )
    card = (runs[0] / "README.md").read_text("utf-8")
    assert card.count("There are no validation clips (--fold-validation none)") == 1
    assert "epoch 2 (step 16), the last one: there was no validation." in card
    assert "| validation |" not in card
    found: dict[Path, RunResults] = {run: read_results(run / "results.json") for run in runs}
    numbers = {"mean": 0.5, "sd": 0.1, "ci95_low": None, "ci95_high": None, "num_runs": 2}
    text = "\n".join(
        summarize_runs({"metric": "accuracy", "test": {"accuracy": numbers}}, found, runs[0].parent)
    )
    assert "Best on validation" not in text and "fold-2" in text
