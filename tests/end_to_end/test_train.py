"""scripts/train.py as a user runs it: real sound, two processes, stock transformers afterwards."""

from __future__ import annotations

import csv
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from accelerate.state import AcceleratorState
from click.testing import CliRunner
from datasets import Audio, ClassLabel, Dataset, Features, Value
from forked import Forked
from safetensors.torch import load_file
from tiny_models import write_tiny_checkpoint
from tiny_runs import QUIET, write_quiet_checkpoint
from tones import make_tone

from audio_cls.runs.results import RunResults
from audio_cls.runs.run_files import RUN_FILES

ROOT = Path(__file__).parents[2]


def _train(*arguments: object) -> Any:  # noqa: ANN401 (click's result)
    """Call the script in this process."""
    AcceleratorState._reset_state(reset_partial_state=True)  # type: ignore[no-untyped-call]
    main = runpy.run_path(str(ROOT / "scripts" / "train.py"))["main"]
    return CliRunner().invoke(main, [str(word) for word in arguments])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny HuBERT without dropout."""
    return write_quiet_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def run(tone_folder: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run on the tones."""
    path = tmp_path_factory.mktemp("runs") / "tones"
    result = _train(
        "--dataset", tone_folder, "--model", checkpoint, "--max-seconds", 0.5, "--epochs", 6,
        "--batch-size", 8, "--learning-rate", 3e-3, "--output-dir", path,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return path


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_run_folder_is_complete_and_its_numbers_agree(run: Path, tone_folder: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    assert RunResults.from_json(results).to_json() == results
    assert results["labels"] == ["high", "low", "middle"]
    assert results["dataset"]["label_column"] == "label"
    assert results["test"]["accuracy"] == 1.0
    low, high = results["test"]["accuracy_ci95"]
    assert 0 < low < high == 1.0
    rows = _read_csv(run / "predictions.csv")
    assert len(rows) == results["test"]["num_examples"] == 6
    right = np.mean([row["label"] == row["prediction"] for row in rows])
    assert right == results["test"]["accuracy"]
    for row in rows:
        assert sum(float(row[label]) for label in results["labels"]) == pytest.approx(1, abs=1e-5)
    summary = _read_csv(run / "summary.csv")
    assert [float(row["epoch"]) for row in summary] == [1, 2, 3, 4, 5, 6]
    assert {"step", "train_loss", "validation_loss", "accuracy", "learning_rate", "seconds"} <= set(
        summary[0]
    )
    ids = [(run / "splits" / f"{name}.txt").read_text().split() for name in ("train", "test")]
    assert len(ids[0]) == 48
    assert sorted(ids[1]) == sorted(row["id"] for row in rows)
    assert all((tone_folder / name).is_file() for part in ids for name in part)
    settings = yaml.safe_load((run / "run_config.yaml").read_text())
    assert settings["optim"]["learning_rate"] == 3e-3
    for name in ("README.md", "bad_audio.csv", "config.json", "preprocessor_config.json"):
        assert (run / name).is_file(), name
    kept = {path.name for path in (run / "checkpoints").iterdir()} - {".best"}  # see RunFolder
    assert kept == {f"step-{results['validation']['step']}", "step-36"}  # the best and the last


def test_the_group_can_read_every_file_of_a_run(run: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    modes = {path: path.stat().st_mode for path in run.rglob("*")}
    assert len(modes) > 10
    assert not [path for path, mode in modes.items() if 0o044 & ~mask & ~mode]


def test_every_file_of_a_run_is_in_the_table(run: Path) -> None:
    patterns = [one.name for one in RUN_FILES if one.folder != "checkpoints"]
    for file in run.rglob("*"):
        name = file.relative_to(run)
        if file.is_file() and name.parts[0] != "checkpoints":
            assert any(name.match(pattern) for pattern in patterns), name


PIPELINE = """
import json, sys
sys.modules["audio_cls"] = None  # importing it now fails
import soundfile
import torch
from transformers import pipeline
classify = pipeline("audio-classification", model=sys.argv[1])
wave, rate = soundfile.read(sys.argv[2], dtype="float32")
print(json.dumps(classify({"raw": wave, "sampling_rate": rate}, top_k=None)))
"""


def test_stock_pipeline_gives_the_same_scores_without_this_package(
    run: Path, tone_folder: Path
) -> None:
    lengths = {row["id"]: soundfile.info(tone_folder / row["id"]).duration for row in
               _read_csv(run / "predictions.csv")}  # fmt: skip
    row = next(r for r in _read_csv(run / "predictions.csv") if lengths[r["id"]] <= 0.5)
    done = subprocess.run(
        [sys.executable, "-c", PIPELINE, str(run), str(tone_folder / row["id"])],
        capture_output=True, text=True, check=True, cwd=run.parent,
    )  # fmt: skip
    scores = {one["label"]: one["score"] for one in json.loads(done.stdout)}
    assert max(scores, key=lambda label: scores[label]) == row["prediction"]
    for label, score in scores.items():
        assert score == pytest.approx(float(row[label]), abs=2e-5)


def test_run_config_repeats_the_run_to_the_letter(run: Path, tmp_path: Path) -> None:
    result = _train("--preset", run / "run_config.yaml", "--output-dir", tmp_path / "again")
    assert result.exit_code == 0, result.output
    again = (tmp_path / "again" / "predictions.csv").read_bytes()
    assert again == (run / "predictions.csv").read_bytes()


@pytest.mark.long
def test_a_backbone_that_wakes_in_the_second_epoch_wakes_on_both_processes(
    tone_folder: Path, tmp_path: Path
) -> None:
    checkpoint = write_tiny_checkpoint(
        "hubert", tmp_path / "checkpoint", feat_extract_norm="layer", **QUIET
    )
    common = (
        "--dataset", tone_folder, "--model", checkpoint, "--max-seconds", 0.5, "--epochs", 2,
        "--learning-rate", 1e-3, "--max-train-samples", 24, "--max-eval-samples", 3,
        "--freeze", "backbone", "--unfreeze-after-epochs", 1, "--layer-decay", 0.9,
    )  # fmt: skip
    result = _train(*common, "--batch-size", 8, "--output-dir", tmp_path / "one")
    assert result.exit_code == 0, result.output
    two = [*common, "--batch-size", 4, "--output-dir", tmp_path / "two"]
    Forked("scripts/train.py", two, tmp_path / "log", count=2).finish()
    name = "hubert.encoder.layers.0.attention.k_proj.weight"
    given = load_file(checkpoint / "model.safetensors")[name.removeprefix("hubert.")]
    ends = [
        load_file(tmp_path / run / "checkpoints" / "step-6" / "model.safetensors")[name]
        for run in ("one", "two")
    ]
    assert not torch.allclose(ends[0], given, atol=1e-5)
    torch.testing.assert_close(*ends, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_two_processes_train_and_judge_like_one(tone_folder: Path, tmp_path: Path) -> None:
    # Layer norm and a mask: the padding of another batch changes nothing.
    checkpoint = write_tiny_checkpoint(
        "hubert", tmp_path / "checkpoint", feat_extract_norm="layer", **QUIET
    )
    # 47 training clips: the last step of an epoch is short and uneven.
    common = (
        "--dataset", tone_folder, "--model", checkpoint, "--max-seconds", 0.5, "--epochs", 2,
        "--learning-rate", 1e-3, "--max-train-samples", 47, "--max-eval-samples", 5,
    )  # fmt: skip
    result = _train(*common, "--batch-size", 8, "--output-dir", tmp_path / "one")
    assert result.exit_code == 0, result.output
    two = [*common, "--batch-size", 4, "--output-dir", tmp_path / "two"]
    Forked("scripts/train.py", two, tmp_path / "log", count=2).finish()
    one, two = (_read_csv(tmp_path / name / "summary.csv") for name in ("one", "two"))
    for left, right in zip(one, two, strict=True):
        assert float(left["train_loss"]) == pytest.approx(float(right["train_loss"]), rel=1e-5)
    rows = [_read_csv(tmp_path / name / "predictions.csv") for name in ("one", "two")]
    assert [row["id"] for row in rows[0]] == [row["id"] for row in rows[1]]
    for left, right in zip(*rows, strict=True):
        assert left["prediction"] == right["prediction"]
        for label in ("high", "low", "middle"):
            assert float(left[label]) == pytest.approx(float(right[label]), abs=1e-4)
    results = json.loads((tmp_path / "two" / "results.json").read_text())
    assert results["hardware"]["num_processes"] == 2


def _write_parquet(folder: Path, labels: list[int | None], names: list[str]) -> Path:
    """Write a parquet data set with `genre`, GTZAN's way."""
    clips = [make_tone(300 + 50 * number, 0.3, 22_050) for number in range(len(labels))]
    rows = {"file": [], "audio": [], "genre": labels}  # type: dict[str, list[Any]]
    folder.mkdir(parents=True)
    for number, clip in enumerate(clips):
        path = folder / f"{number}.wav"
        soundfile.write(path, clip, 22_050)
        rows["file"].append(path.name)
        rows["audio"].append({"bytes": path.read_bytes(), "path": path.name})
        path.unlink()
    features = Features(
        file=Value("string"), audio={"bytes": Value("binary"), "path": Value("string")},
        genre=ClassLabel(names=names),
    )  # fmt: skip
    table = Dataset.from_dict(rows, features=features)
    undecoded = table.cast(Features({**features, "audio": Audio(22_050, decode=False)}))
    undecoded.to_parquet(folder / "train-00000-of-00001.parquet")
    return folder


def test_the_reference_recipe_runs_on_its_columns_and_says_what_its_number_is(
    checkpoint: Path, tmp_path: Path
) -> None:
    folder = _write_parquet(tmp_path / "genres", [0, 1] * 20, ["blues", "jazz"])
    result = _train(
        "--preset", "gtzan", "--dataset", folder, "--model", checkpoint, "--max-seconds", 0.3,
        "--epochs", 1, "--output-dir", tmp_path / "run",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    said = "alidation and test are the same clips"
    assert said in result.stderr
    assert said in (tmp_path / "run" / "README.md").read_text()
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["dataset"]["is_test_validation"] is True
    assert results["dataset"]["split"]["train"]["num_examples"] == 36
    assert results["validation"]["accuracy"] == results["test"]["accuracy"]
    splits = tmp_path / "run" / "splits"
    assert (splits / "test.txt").read_text() == (splits / "validation.txt").read_text()
    extractor = json.loads((tmp_path / "run" / "preprocessor_config.json").read_text())
    assert extractor["do_normalize"] is True


def test_wrong_input_gets_one_line_and_exit_code_2(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, run: Path
) -> None:
    one_class = _write_parquet(tmp_path / "one", [0] * 8, ["blues", "jazz"])
    (tmp_path / "file").touch()
    new = tmp_path / "new"
    cases = {
        "There is no folder or file './nowhere'": ("--dataset", "./nowhere", "--output-dir", new),
        "There is no column 'gener'": ("--dataset", one_class, "--label-column", "gener"),
        "has 1 class (blues)": ("--dataset", one_class),
        "holds another run": ("--dataset", tone_folder, "--output-dir", run),
        "./nowhere'": ("--dataset", "./nowhere", "--output-dir", run),  # before the folder
        "w.csv cannot be read (No such file": (
            *("--dataset", tone_folder, "--output-dir", run, "--class-weights", "w.csv"),
        ),
        "cannot be written": ("--dataset", tone_folder, "--output-dir", tmp_path / "file" / "x"),
        "--max-seconds 0.0 is not possible": ("--dataset", tone_folder, "--max-seconds", 0),
        "No data set was given": (),
        "There is no checkpoint": ("--dataset", tone_folder, "--model", "./no/model/here"),
    }
    for number, (message, arguments) in enumerate(cases.items()):
        default = ("--model", checkpoint, "--output-dir", tmp_path / f"run{number}")
        result = _train(*default, *arguments)
        errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
        assert result.exit_code == 2, (message, result.stderr[-500:], result.exception)
        assert len(errors) == 1, result.stderr
        assert message in errors[0] or message == "There is no checkpoint", errors
        assert "Traceback" not in result.stderr


def test_folds_in_one_command_test_every_clip_once_and_tell_the_spread(
    tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    result = _train(
        "--dataset", tone_folder, "--model", checkpoint, "--max-seconds", 0.5, "--max-steps", 2,
        "--folds", 3, "--output-dir", tmp_path / "run",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    folds = [tmp_path / "run" / f"fold-{number}" for number in (1, 2, 3)]
    ids = [row["id"] for fold in folds for row in _read_csv(fold / "predictions.csv")]
    assert len(ids) == len(set(ids)) == 60
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    parts = [json.loads((fold / "results.json").read_text()) for fold in folds]
    assert all(RunResults.from_json(part).to_json() == part for part in parts)
    own = [part["test"]["accuracy"] for part in parts]
    assert results["test"]["accuracy"]["mean"] == pytest.approx(np.mean(own), abs=1e-6)
    assert results["test"]["accuracy"]["sd"] == pytest.approx(np.std(own, ddof=1), abs=1e-6)
    assert results["runs"] == ["fold-1", "fold-2", "fold-3"]


def test_clips_that_cannot_be_read_are_set_aside_and_listed(
    tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    import shutil

    folder = tmp_path / "tones"
    shutil.copytree(tone_folder, folder)
    (folder / "low" / "low-00.wav").write_bytes(b"this is no sound")
    (folder / "high" / "high-00.wav").write_bytes(b"")
    result = _train(
        "--dataset", folder, "--model", checkpoint, "--max-seconds", 0.5, "--max-steps", 2,
        "--output-dir", tmp_path / "run",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    bad = {row["id"]: row["reason"] for row in _read_csv(tmp_path / "run" / "bad_audio.csv")}
    assert set(bad) == {"low/low-00.wav", "high/high-00.wav"}
    assert json.loads((tmp_path / "run" / "results.json").read_text())["bad_audio"]["skipped"] == 2
    result = _train(
        "--dataset", folder, "--model", checkpoint, "--max-bad-audio-ratio", 0.01, "--output-dir",
        tmp_path / "other",
    )  # fmt: skip
    assert result.exit_code == 2
    assert "2 of 60 clips" in result.stderr
