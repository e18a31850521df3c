"""A whole run of `--method probe`: results, stock pipeline, refused settings, finished runs."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import transformers
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tiny_models import write_tiny_checkpoint
from tiny_runs import write_quiet_checkpoint

import audio_cls
from audio_cls.config import RunConfig
from audio_cls.errors import SettingError
from audio_cls.models.load import load_for_inference
from audio_cls.publishing.redaction.results import load_public_run
from audio_cls.runs.records.candidates import Candidates
from audio_cls.runs.results import (
    RESULTS_FILE,
    DatasetDescription,
    ProbeResults,
    RunResults,
    read_results,
)
from audio_cls.workflows.methods.probe import RANDOM_WEIGHTS
from audio_cls.workflows.methods.summary_layers import format_layers
from audio_cls.workflows.train import run_all


@pytest.fixture(scope="module")
def run(tone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run on tones."""
    root = tmp_path_factory.mktemp("probe")
    cfg = make_config(tone_folder, write_tiny_checkpoint("whisper", root / "given"), root / "run")
    return run_all(cfg)[0]


def make_config(dataset: Path, checkpoint: Path, run: Path, **changes: object) -> RunConfig:
    """Return the settings of a run of `--method probe`."""
    values = {"dataset": dataset, "model": checkpoint, "output_dir": run, "max_seconds": 1.0}
    return RunConfig.from_flat({**values, "method": "probe", **changes})


def test_predictions_are_those_of_a_stock_pipeline(run: Path, tone_folder: Path) -> None:
    classify = transformers.pipeline("audio-classification", str(run), device="cpu")
    with (run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    for row in rows:
        wave, rate = soundfile.read(tone_folder / row["id"], dtype="float32")
        scores = classify({"raw": wave, "sampling_rate": rate}, top_k=None)
        for one in scores:
            assert float(row[one["label"]]) == pytest.approx(one["score"], abs=1e-4)


def test_results_json_has_the_layers(run: Path) -> None:
    results = read_results(run / RESULTS_FILE)
    assert results.probe is not None
    layers = results.probe.layers
    assert [(one.num_layers, one.layer) for one in layers] == [(1, 1), (2, 1), (2, 2)]
    best = min(one.log_loss for one in layers if one.log_loss is not None)
    assert results.probe.chosen.log_loss == best
    assert results.probe.scored_on == "5-fold cross-validation of 48 training clips"
    assert results.validation["num_examples"] == 6
    assert 0 <= results.validation["accuracy"] <= 1
    assert json.loads((run / "config.json").read_text())["encoder_layers"] == (
        results.probe.chosen.num_layers
    )
    assert not (run / "checkpoints").exists()
    assert not (run / "summary.csv").exists()


def test_the_test_clips_choose_no_layer_even_if_they_are_the_validation_clips() -> None:
    shared = DatasetDescription(is_test_validation=True)
    assert RunResults(dataset=shared).is_chosen_on_test
    assert not RunResults(dataset=shared, probe=ProbeResults()).is_chosen_on_test
    auto = RunResults(dataset=shared, probe=ProbeResults(), candidates=Candidates())
    assert auto.is_chosen_on_test  # it compares candidates on validation


def test_the_same_features_are_read_by_a_second_run(
    run: Path, tone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audio_cls.linear_probe import features

    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(features, "_run_windows", refuse)
    cfg = make_config(tone_folder, run.parent / "given", tmp_path / "again", seed=1)
    assert read_results(run_all(cfg)[0] / RESULTS_FILE).test["num_examples"] == 6


def test_a_refit_is_the_regression_of_the_chosen_layer_on_both_splits(
    run: Path, tone_folder: Path, tmp_path: Path
) -> None:
    cfg = make_config(tone_folder, run.parent / "given", tmp_path / "run", refit=True)
    folder = run_all(cfg)[0]
    results, before = (read_results(one / RESULTS_FILE) for one in (folder, run))
    assert results.probe is not None and before.probe is not None
    assert results.refit == {"num_examples": 54}
    assert results.probe.chosen == before.probe.chosen
    assert results.validation == before.validation
    assert results.calibration["temperature"] == before.calibration["temperature"]
    assert "clips together (54 clips), with the same layer and C;" in (
        (folder / "README.md").read_text("utf-8")
    )
    audio_model = load_for_inference(folder)
    model: Any = audio_model.model.eval()  # type: ignore[no-untyped-call]
    vectors, seen = {}, []
    model.projector.register_forward_pre_hook(lambda _, args: seen.append(args[0].mean(dim=1)))
    for path in tone_folder.rglob("*.wav"):
        wave, _ = soundfile.read(path, dtype="float32")
        with torch.inference_mode():
            model(**audio_model.processor([wave]))
        vectors[path.relative_to(tone_folder).as_posix()] = seen.pop()[0].double().numpy()
    lists = {p.stem: p.read_text("utf-8").split() for p in folder.glob("splits/*.txt")}
    both = lists["train"] + lists["validation"]
    expected = make_pipeline(
        StandardScaler(), LogisticRegression(C=results.probe.chosen.c, max_iter=1000)
    ).fit([vectors[clip] for clip in both], [clip.split("/")[0] for clip in both])
    with (folder / "predictions.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            (scores,) = expected.predict_proba([vectors[row["id"]]])
            found = [float(row[label]) for label in expected.classes_]
            assert found == pytest.approx(scores.tolist(), abs=2e-3)


def test_settings_of_gradient_steps_are_refused() -> None:
    with pytest.raises(SettingError, match=r"--epochs 3 has no effect.*--freeze backbone"):
        RunConfig.from_flat({"method": "probe", "epochs": 3, "freeze": "backbone"})
    with pytest.raises(SettingError, match="--streaming cannot be used with --method probe"):
        RunConfig.from_flat({"method": "probe", "streaming": True})
    audio_cls.config_from_preset("gtzan", {"method": "probe"})  # a preset's are dropped


def test_a_dry_run_estimates_and_leaves_nothing(
    tone_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of random weights, which have a warning."""
    given = write_quiet_checkpoint(tmp_path / "given")
    found: list[object] = []
    cfg = make_config(tone_folder, given, tmp_path / "run", dry_run=True, from_scratch=True)
    assert run_all(cfg, after_dry_run=found.append) == []
    assert RANDOM_WEIGHTS in caplog.messages
    assert not (tmp_path / "run").exists()
    assert str(found[0]).startswith("Dry run: everything works.")


def test_probabilities_of_several_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["path,labels"]
    for number in range(40):
        has = rng.random(2) < 0.5
        time = np.arange(4_800) / 16_000
        wave = 0.3 * has @ np.sin(2 * np.pi * np.outer((300, 2_000), time))
        soundfile.write(tmp_path / f"{number}.wav", wave + rng.normal(0, 0.01, 4_800), 16_000)
        names = ";".join(name for name, h in zip(("low", "high"), has, strict=True) if h)
        lines.append(f"{number}.wav,{names}")
    (tmp_path / "clips.csv").write_text("\n".join(lines))
    given = write_tiny_checkpoint("wav2vec2", tmp_path / "given")
    cfg = make_config(
        tmp_path / "clips.csv", given, tmp_path / "run", label_column="labels", label_separator=";"
    )
    results = read_results(run_all(cfg)[0] / RESULTS_FILE)
    assert results.probe is not None
    assert results.probe.metric == "map"
    assert results.is_multilabel


def test_card_and_figure_have_the_layers(run: Path) -> None:
    card = (run / "README.md").read_text("utf-8")
    results = read_results(run / RESULTS_FILE)
    assert results.probe is not None
    assert card.split("\n# ")[1].startswith("given with a linear probe on tones")
    assert "#### Layers" in card
    assert "Chosen by log loss on 5-fold cross-validation of 48 training clips." in card
    assert card.count(f"**{results.probe.chosen.name}**") == 1
    assert "figures/probe_layers.png" in card
    assert (run / "figures" / "probe_layers.png").is_file()
    public = load_public_run(run).results.to_json()
    assert public["probe"] == json.loads((run / RESULTS_FILE).read_text())["probe"]


def test_with_one_training_clip_per_class_the_last_layer_is_saved_unscored(
    run: Path, tone_folder: Path, tmp_path: Path
) -> None:
    lines = ["path,label,split"]
    for label in ("high", "low"):
        files = sorted((tone_folder / label).glob("*.wav"))[:3]
        parts = zip(files, ("train", "validation", "test"), strict=True)
        lines += [f"{file},{label},{part}" for file, part in parts]
    (tmp_path / "clips.csv").write_text("\n".join(lines))
    cfg = make_config(tmp_path / "clips.csv", run.parent / "given", tmp_path / "run", baseline="no")
    folder = run_all(cfg)[0]
    results = read_results(folder / RESULTS_FILE)
    assert results.probe is not None
    (layer,) = results.probe.layers
    assert (layer.layer, layer.num_layers, layer.c) == (2, 2, 1.0)
    assert (layer.log_loss, layer.score, results.probe.scored_on) == (None, None, None)
    assert any(text.startswith("No class has two training clips") for text in results.warnings)
    assert "Not measured: no class has two training clips." in (folder / "README.md").read_text()
    assert "without a comparison: layer 2 of 2" in " ".join(format_layers(results.probe))
