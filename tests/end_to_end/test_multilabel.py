"""Several labels a clip, the whole way: scripts, files, and stock transformers afterwards."""

from __future__ import annotations

import csv
import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from click.testing import CliRunner
from tiny_models import FAMILIES, write_tiny_checkpoint
from tiny_runs import make_config, set_up, write_quiet_checkpoint
from tones import make_tone
from transformers import pipeline

from audio_cls.evaluation.reports.predictions_file import read_predictions
from audio_cls.inference.classifier import Classifier
from audio_cls.models.load import load_for_inference
from audio_cls.runs.results import RunResults
from audio_cls.training.loop import training_step

ROOT = Path(__file__).parents[2]
TONES = {"low": 250, "a;b": 800, "high": 3000}


def call(script: str, *arguments: object) -> None:
    """Run a script in this process."""
    main = runpy.run_path(str(ROOT / "scripts" / f"{script}.py"))["main"]
    result = CliRunner().invoke(main, [str(word) for word in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def chords(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 72 clips of 0 to 3 tones at once, with metadata.jsonl."""
    root = tmp_path_factory.mktemp("chords")
    lines = []
    for number in range(72):
        own = [name for place, name in enumerate(TONES) if number >> place & 1]
        waves = [make_tone(TONES[name], 0.4, seed=number) for name in own]
        silence = make_tone(1, 0.4, seed=number) * 0.01
        soundfile.write(root / f"{number:02d}.wav", np.sum([silence, *waves], axis=0) / 3, 16_000)
        lines.append(json.dumps({"file_name": f"{number:02d}.wav", "tags": own}))
    (root / "metadata.jsonl").write_text("\n".join(lines), "utf-8")
    return root


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny HuBERT without dropout."""
    return write_quiet_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def run(chords: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run on the chords."""
    path = tmp_path_factory.mktemp("runs") / "chords"
    call(
        "train", "--dataset", chords, "--label-column", "tags", "--model", checkpoint,
        "--max-seconds", 0.5, "--epochs", 8, "--batch-size", 8, "--learning-rate", 5e-3,
        "--pos-weight", "auto", "--validation-size", 0.25, "--test-size", 0.25,
        "--output-dir", path,
    )  # fmt: skip
    return path


def read_json(path: Path) -> Any:  # noqa: ANN401
    """Read a JSON file."""
    return json.loads(path.read_text("utf-8"))


def test_the_run_is_described_as_multi_label(run: Path) -> None:
    results, config = read_json(run / "results.json"), read_json(run / "config.json")
    settings = yaml.safe_load((run / "run_config.yaml").read_text("utf-8"))
    assert RunResults.from_json(results).to_json() == results
    assert config["problem_type"] == "multi_label_classification"
    assert results["metric"] == settings["resolved"]["metric"] == "map"
    assert settings["resolved"]["problem_type"] == "multi-label"
    assert results["test"]["map"] > 0.6 and results["validation"]["map"] > 0.6
    assert set(results["test"]["per_class"]) == set(config["audio_cls"]["thresholds"]) == set(TONES)
    for name, scores in results["test"]["per_class"].items():
        assert scores["threshold"] == config["audio_cls"]["thresholds"][name]
    splits = results["dataset"]["split"]
    assert [splits[role]["num_examples"] for role in ("validation", "test")] == [18, 18]
    with (run / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert any(row["label"] == "" for row in rows)
    assert any("a\\;b" in row["label"] for row in rows)
    card = (run / "README.md").read_text("utf-8")
    assert "Mean average precision" in card
    assert "| label | average precision |" in card and "](figures/labels.png)" in card
    assert "| Hamming loss |" in card and "always predicts one" not in card


def test_the_stock_pipeline_gives_our_scores_and_the_cards_example_our_labels(
    run: Path, chords: Path
) -> None:
    scores, names = read_predictions(run / "predictions.csv")
    stock = pipeline("audio-classification", model=str(run))
    thresholds = stock.model.config.audio_cls["thresholds"]
    for clip, own, said in zip(scores.ids, scores.probabilities, scores.predictions, strict=True):
        wave, rate = soundfile.read(chords / Path(str(clip)).name, dtype="float32")
        found = {one["label"]: one["score"] for one in stock({"raw": wave, "sampling_rate": rate})}
        np.testing.assert_allclose([found[name] for name in names], own, atol=1e-4)
        near = np.abs(own - [thresholds[name] for name in names]) < 1e-4
        there = np.array([found[name] >= thresholds[name] for name in names])
        assert ((there == (said > 0)) | near).all()


def test_evaluate_repeats_the_test_and_predict_its_labels(
    run: Path, chords: Path, tmp_path: Path
) -> None:
    call("evaluate_model", "--model", run, "--output-dir", tmp_path / "again")
    ours, again = read_json(run / "results.json"), read_json(tmp_path / "again" / "results.json")
    for key in ("map", "f1_macro", "accuracy", "per_class", "map_ci95"):
        assert again["test"][key] == ours["test"][key]
    call("evaluate_model", "--model", run, "--calibrate", "--output-dir", tmp_path / "warm")
    warm = read_json(tmp_path / "warm" / "results.json")["test"]
    assert warm["f1_macro"] == ours["test"]["f1_macro"]
    scores, names = read_predictions(run / "predictions.csv")
    classifier = Classifier.from_pretrained(run)
    calibrated = Classifier.from_pretrained(run, calibrate=True)
    paths = [chords / Path(str(clip)).name for clip in scores.ids]
    for plain, warm_one, said in zip(
        classifier(paths), calibrated(paths), scores.predictions, strict=True
    ):
        expected = {name for name, mark in zip(names, said, strict=True) if mark}
        assert set(plain.labels or []) == set(warm_one.labels or []) == expected
        row = plain.to_row()
        assert isinstance(row["label"], str) and row["labels"] == plain.labels
        assert row["score"] == max((plain.scores or {}).values())


def test_a_run_goes_on_under_the_metric_that_auto_meant(
    chords: Path, checkpoint: Path, tmp_path: Path
) -> None:
    same = ("--dataset", chords, "--label-column", "tags", "--model", checkpoint, "--output-dir",
            tmp_path / "r", "--max-seconds", 0.5, "--epochs", 2, "--loss", "focal",
            "--sampler", "balanced", "--mixup-alpha", 0.5)  # fmt: skip
    call("train", *same)
    call("train", *same, "--resume", "auto")
    assert read_json(tmp_path / "r" / "results.json")["metric"] == "map"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns_several_labels(family: str, chords: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    write_tiny_checkpoint(family, tmp_path / "checkpoint")
    cfg = make_config(
        chords,
        tmp_path / "checkpoint",
        tmp_path / "run",
        label_column="tags",
        mixup_alpha=0.3,
        warmup_ratio=0.0,
        learning_rate=3e-3,
    )
    training = set_up(cfg)
    batches = next(training.sampler.group_steps(training.loader))
    assert batches[0].labels.shape == (4, 3)
    losses = [float(training_step(training, batches)) for _ in range(6)]
    assert min(losses[3:]) < losses[0]
    training.save_model(training.model)
    saved = load_for_inference(tmp_path / "run")
    assert saved.is_multilabel and saved.labels == ("a;b", "high", "low")
    wave = make_tone(250, 0.4)
    stock = pipeline("audio-classification", model=str(tmp_path / "run"))
    found = {one["label"]: one["score"] for one in stock(wave)}
    ours = Classifier.from_pretrained(tmp_path / "run")((wave, 16_000)).scores or {}
    assert found == pytest.approx(ours, abs=1e-4)
