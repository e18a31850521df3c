"""scripts/evaluate_model.py on a run of scripts/train.py: the same numbers, from model or files."""

from __future__ import annotations

import csv
import functools
import json
import runpy
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
from forked import Forked
from hub_fixtures import use_hub
from hub_server import HubServer
from tiny_models import write_tiny_checkpoint
from tiny_runs import QUIET
from tones import make_tone

from audio_cls.runs.results import RunResults

ROOT = Path(__file__).parents[2]


def call(script: str, *arguments: object) -> None:
    """Run a script's command in this process."""
    main = runpy.run_path(str(ROOT / "scripts" / f"{script}.py"))["main"]
    main(list(map(str, arguments)))


evaluate = functools.partial(call, "evaluate_model")


def read_results(folder: Path) -> dict[str, Any]:
    """Read results.json."""
    return dict(json.loads((folder / "results.json").read_text("utf-8")))


@pytest.fixture(scope="module")
def grouped_tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return clips of three tones by ten speakers: one split, two rates, some labels wrong."""
    root = tmp_path_factory.mktemp("grouped")
    rows = []
    for number in range(60):
        label, rate = ("low", "middle", "high")[number % 3], (8_000, 16_000)[number % 2]
        hz, seconds = {"low": 200, "middle": 260, "high": 330}[label], 0.3 + 0.02 * (number % 7)
        soundfile.write(root / f"{number:02d}.wav", make_tone(hz, seconds, rate, number), rate)
        predicted = "low" if number % 5 == 0 else label
        rows.append([f"{number:02d}.wav", predicted, f"speaker-{number // 6}"])
    with (root / "train.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["file_name", "label", "speaker"], *rows])
    return root


@pytest.fixture(scope="module")
def run(grouped_tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run whose test was cut by speaker, with windows of a quarter second."""
    root = tmp_path_factory.mktemp("run")
    checkpoint = write_tiny_checkpoint("hubert", root / "checkpoint", **QUIET)
    call(
        "train", "--dataset", grouped_tones, "--model", checkpoint, "--max-seconds", 0.3,
        "--window-seconds", 0.25, "--hop-seconds", 0.1, "--aggregate", "mean-probability",
        "--group-column", "speaker", "--test-size", 0.5, "--validation-size", 0.2, "--epochs", 2,
        "--learning-rate", 3e-3, "--batch-size", 8, "--output-dir", root / "tones",
        "--eval-batch-size", 5,
    )  # fmt: skip
    return root / "tones"


@pytest.mark.parametrize(("goal", "choose"), [("auto", min), ("max", max)])
def test_training_keeps_the_epoch_that_the_metrics_goal_asks_for(
    goal: str, choose: Callable[..., float], grouped_tones: Path, tmp_path: Path
) -> None:
    checkpoint = write_tiny_checkpoint("hubert", tmp_path / "checkpoint", **QUIET)
    call(
        "train", "--dataset", grouped_tones, "--model", checkpoint, "--max-seconds", 0.3,
        "--epochs", 3, "--learning-rate", 1e-3, "--metric", "log_loss", "--metric-goal", goal,
        "--output-dir", tmp_path / "run",
    )  # fmt: skip
    with (tmp_path / "run" / "summary.csv").open(newline="", encoding="utf-8") as file:
        losses = {int(row["step"]): float(row["log_loss"]) for row in csv.DictReader(file)}
    assert len(set(losses.values())) == 3
    results = read_results(tmp_path / "run")
    assert results["validation"]["step"] == choose(losses, key=losses.__getitem__)
    assert results["metric"] == "log_loss"
    assert "log_loss_ci95" in results["test"]


@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_evaluation_repeats_the_tests_numbers_digit_for_digit(
    batch_size: int, run: Path, tmp_path: Path
) -> None:
    call(
        "evaluate_model", "--model", run, "--output-dir", tmp_path, "--eval-batch-size", batch_size
    )
    own, found = read_results(run), read_results(tmp_path)
    assert RunResults.from_json(found).to_json() == found
    assert found["test"] == own["test"]
    report, before = (one["dataset"]["split"]["test"] for one in (found, own))
    for name in ("method", "fingerprint"):  # of training alone
        del before[name]
    assert report["is_given"] is False
    assert report == {**before, "name": "test"}
    assert report["origin"].startswith("cut from 'train' (by group")
    assert 0 < found["test"]["accuracy"] < 1
    ids = [row["id"] for row in csv.DictReader((tmp_path / "predictions.csv").open())]
    assert ids == (run / "splits" / "test.txt").read_text("utf-8").splitlines()
    assert {path.name for path in (tmp_path / "figures").iterdir()} >= {
        "confusion_matrix.png", "confusion_matrix.csv", "reliability.png", "durations.png",
    }  # fmt: skip


def test_run_has_figures_and_an_interval_by_group(run: Path) -> None:
    test = read_results(run)["test"]
    assert (run / "figures" / "curves.png").is_file()
    assert test["intervals"]["drawn"] == "groups"
    assert test["num_groups"] == test["intervals"]["num_drawn"] == len(test["by_group"])
    assert set(test["by_sampling_rate"]) == {"8000 Hz", "16000 Hz"}
    clips = sum(row["num_examples"] for row in test["by_duration"].values())
    assert clips == test["num_examples"]


def test_a_run_on_the_hub_is_evaluated_on_its_test_clips(
    run: Path, grouped_tones: Path, tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["config.json", "model.safetensors", "preprocessor_config.json", "results.json"]
    names += ["run_config.yaml", "splits/train.txt", "splits/validation.txt", "splits/test.txt"]
    hub.seed("models", "tester/tones", {name: run / name for name in names})
    use_hub(monkeypatch, hub.url, tmp_path)
    evaluate("--model", "tester/tones", "--dataset", grouped_tones, "--output-dir",
         tmp_path)  # fmt: skip
    found = read_results(tmp_path)
    assert found["test"] == read_results(run)["test"]
    assert len(found["model"]["revision"]) == 40


@pytest.mark.long
def test_two_processes_give_the_same_numbers(run: Path, tmp_path: Path) -> None:
    words = ["--model", run, "--output-dir", tmp_path, "--eval-batch-size", 7]
    Forked("scripts/evaluate_model.py", words, tmp_path / "log", count=2).finish()
    found = read_results(tmp_path)
    assert found["hardware"]["num_processes"] == 2
    assert found["test"] == read_results(run)["test"]


def test_predictions_alone_give_every_number_again(run: Path, tmp_path: Path) -> None:
    call(
        "evaluate_model",
        "--predictions",
        run / "predictions.csv",
        "--output-dir",
        tmp_path / "with",
    )
    own = read_results(run)["test"]
    assert read_results(tmp_path / "with")["test"] == own
    shutil.copy(run / "predictions.csv", tmp_path / "predictions.csv")
    call(
        "evaluate_model",
        "--predictions",
        tmp_path / "predictions.csv",
        "--output-dir",
        tmp_path / "o",
    )
    alone = read_results(tmp_path / "o")["test"]
    unknown = {"by_duration", "by_sampling_rate", "by_group", "num_groups", "intervals"}
    unknown |= {key for key in own if key.endswith("_ci95")}  # by clip: the speakers are not told
    unknown |= {key for key in own if key.startswith("majority_")}  # training is not known
    assert {k: v for k, v in alone.items() if k not in unknown} == {
        k: v for k, v in own.items() if k not in unknown
    }
    assert alone["intervals"]["drawn"] == "clips"
    assert (own["majority_from"], alone["majority_from"]) == ("train", "these clips")


def test_training_reports_the_majority_class_of_its_training_clips(
    run: Path, grouped_tones: Path
) -> None:
    with (grouped_tones / "train.csv").open(newline="", encoding="utf-8") as file:
        labels = {row["file_name"]: row["label"] for row in csv.DictReader(file)}
    lists = {
        role: [labels[name] for name in (run / "splits" / f"{role}.txt").read_text().splitlines()]
        for role in ("train", "validation", "test")
    }
    ((most, _),) = Counter(lists["train"]).most_common(1)
    results = read_results(run)
    assert results["test"]["majority_class"] == most
    for role in ("validation", "test"):
        expected = lists[role].count(most) / len(lists[role])
        assert results[role]["majority_accuracy"] == pytest.approx(expected, abs=1e-6)
    with (run / "summary.csv").open(newline="", encoding="utf-8") as file:
        shown = {row["majority_accuracy"] for row in csv.DictReader(file)}
    assert shown == {str(results["validation"]["majority_accuracy"])}


def test_calibration_is_off_unless_asked_for(run: Path, tmp_path: Path) -> None:
    evaluate("--model", run, "--output-dir", tmp_path, "--calibrate")
    own, found = read_results(run), read_results(tmp_path)
    config = json.loads((run / "config.json").read_text("utf-8"))
    assert own["calibration"]["is_applied"] is False
    assert config["audio_cls"]["temperature"] == own["calibration"]["temperature"]
    assert found["test"]["accuracy"] == own["test"]["accuracy"]
    assert found["test"]["ece"] == own["calibration"]["ece_after"]
    assert found["test"]["log_loss"] == own["calibration"]["log_loss_after"]


def test_another_data_set_is_evaluated_with_mapped_labels(
    run: Path, tone_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("deep", "Middle", "noise"):
        source = {"deep": "low", "Middle": "middle", "noise": "high"}[name]
        shutil.copytree(tone_folder / source, tmp_path / "other" / "test" / name)
    (tmp_path / "map.yaml").write_text("deep: low\nnoise: null\n", "utf-8")
    caplog.set_level("WARNING", "audio_cls")
    arguments = ("--model", run, "--dataset", tmp_path / "other", "--label-map")
    evaluate(*arguments, tmp_path / "map.yaml", "--output-dir", tmp_path / "out",
         "--max-eval-samples", 30)  # fmt: skip
    found = read_results(tmp_path / "out")
    assert found["unmatched_labels"] == {"noise": 20}
    part = found["dataset"]["split"]["test"]
    assert part["origin"] == "split 'test'"
    assert part["is_given"] is False  # it lacks the label noise, and 10 of 40 other clips
    assert found["labels"] == read_results(run)["labels"]
    assert {k: v["support"] for k, v in found["test"]["per_class"].items()} == {
        "high": 0, "low": 15, "middle": 15,
    }  # fmt: skip
    assert "noise (20 clips)" in caplog.text
    assert "lacks these labels of the model: high" in caplog.text


def test_a_folder_of_other_clips_without_a_test_split_is_evaluated_whole(
    run: Path, tone_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "grouped" / "other"
    for name in ("low", "high"):
        shutil.copytree(tone_folder / name, folder / name)
    copy = Path(shutil.copytree(run, tmp_path / "tones"))
    evaluate("--model", copy, "--dataset", folder)
    found = read_results(copy / "eval-other")  # the default of --output-dir
    assert found["test"]["num_examples"] == sum(1 for _ in folder.rglob("*.wav"))
    assert any("not the one that the model was trained on" in text for text in found["warnings"])


@pytest.mark.parametrize("log", ["text", "quiet", "json"])
def test_the_result_is_shown_in_the_form_of_log(
    log: str,
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    out = tmp_path / "out"
    evaluate("--model", run, "--output-dir", out, "--log", log)
    shown, test = capsys.readouterr().out, read_results(out)["test"]
    accuracy, count = f"{test['accuracy']:.4f}", test["num_examples"]
    if log == "text":
        assert f"Evaluated on {count} clips: the run's test clips of " in caplog.text
        assert f"  accuracy        {accuracy}  95 % interval " in caplog.text
        assert f"Folder: {out}" in caplog.text and shown == ""
    elif log == "quiet":
        assert shown.startswith(f"{out}: test accuracy {accuracy} on {count} clips")
        assert shown.count("\n") == 1 and "Folder:" not in caplog.text
    else:
        first, last = map(json.loads, shown.splitlines())
        assert (first["event"], last["event"]) == ("test", "end")
        assert first["metrics"]["accuracy"] == test["accuracy"]
        assert first["output_dir"] == last["output_dir"] == str(out)


def test_an_earlier_evaluation_is_replaced_only_if_asked(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--predictions", run / "predictions.csv", "--output-dir", tmp_path / "out"]
    evaluate(*words)
    (tmp_path / "out" / "predictions.csv").unlink()
    with pytest.raises(SystemExit):
        evaluate(*words)
    assert "Replace it with --overwrite" in capsys.readouterr().err
    assert not (tmp_path / "out" / "predictions.csv").exists()
    evaluate(*words, "--overwrite")
    assert (tmp_path / "out" / "predictions.csv").exists()


def test_comparison_counts_the_clips_that_one_alone_has_right(run: Path, tmp_path: Path) -> None:
    lines = (run / "predictions.csv").read_text("utf-8").splitlines()
    names = lines[0].split(",")[3:]
    perfect = []
    for line in lines[1:]:
        clip, label = line.split(",")[:2]
        scores = ["1.0" if name == label else "0.0" for name in names]
        perfect.append(",".join([clip, label, label, *scores]))
    (tmp_path / "predictions.csv").write_text("\n".join([lines[0], *perfect]) + "\n", "utf-8")
    evaluate("--model", run, "--output-dir", tmp_path / "out", "--compare", tmp_path)
    report, test = (read_results(tmp_path / "out")[part] for part in ("comparison", "test"))
    wrong = round((1 - test["accuracy"]) * test["num_examples"])
    assert wrong > 0
    assert report["accuracy_other"] == 1.0
    assert (report["only_this_right"], report["only_other_right"]) == (0, wrong)
    assert report["mcnemar_p"] == pytest.approx(0.5 ** (wrong - 1), abs=1e-6)


def test_card_of_the_run_takes_results_on_another_split_and_keeps_its_own(
    run: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "tones"))
    for _ in range(2):  # a repetition replaces its own line
        evaluate("--model", copy, "--split", "validation", "--update-card",
             "--output-dir", tmp_path / "out", "--overwrite")  # fmt: skip
    card, before = ((folder / "README.md").read_text("utf-8") for folder in (copy, run))
    accuracy = read_results(tmp_path / "out")["test"]["accuracy"]
    assert card.count("## Additional evaluation results") == 1
    assert card.count(f", a validation part of train: accuracy {accuracy:.3f}") == 1
    assert f"value: {accuracy}" in card
    assert card.startswith(before.split("model-index")[0])
    assert read_results(copy)["test"] == read_results(run)["test"]


@pytest.mark.parametrize(
    ("arguments", "report"),
    [
        (["--model", "RUN", "--output-dir", "RUN"], "is a run folder"),
        (["--output-dir", "OUT"], "Give one of --model"),
        (["--model", "RUN", "--split", "eval", "--output-dir", "OUT"], "There is no split 'eval'"),
        (["--model", "RUN", "--label-map", "no.yaml", "--output-dir", "OUT"], "--label-map"),
        (["--predictions", "RUN/summary.csv", "--output-dir", "OUT"], "a predictions.csv has"),
        (["--aggregate", "RUN", "--output-dir", "OUT"], "two or more times"),
        (["--aggregate", "RUN", "--aggregate", "RUN/.", "--output-dir", "OUT"], "is given twice"),
        (["--model", "RUN", "--metric", "eer", "--output-dir", "OUT"], "at most 2 labels"),
        (["--model", "./no-run", "--dataset", "x", "--output-dir", "OUT"], "'./no-run'"),
        (["--model", "a/no/run", "--dataset", "x", "--output-dir", "OUT"], "'a/no/run'"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    arguments: list[str], report: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"RUN": str(run), "OUT": str(tmp_path / "out")}
    shown = [word.replace("RUN", places["RUN"]).replace("OUT", places["OUT"]) for word in arguments]
    with pytest.raises(SystemExit) as left:
        evaluate(*shown)
    assert left.value.code == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error")]
    assert len(error) == 1
    assert report in error[0]
    assert not (tmp_path / "out").exists()


def test_seeds_are_brought_together(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(run / "results.json", copy)
    evaluate("--aggregate", run, "--aggregate", copy, "--output-dir", tmp_path)
    found = json.loads((tmp_path / "aggregate.json").read_text("utf-8"))
    accuracy = read_results(run)["test"]["accuracy"]
    # Two runs have no interval, and neither have equal ones.
    expected = {"mean": accuracy, "sd": 0.0, "ci95_low": None, "ci95_high": None}
    assert found["test"]["accuracy"] == {**expected, "num_runs": 2}
    assert "num_groups" not in found["test"]


def test_labels_of_other_data_can_be_in_the_file_names(run: Path, tmp_path: Path) -> None:
    for label, hz in (("low", 300), ("high", 3000)):
        for number in range(3):
            wave = make_tone(hz, 0.4, seed=number)
            soundfile.write(tmp_path / f"ann_{label}_{number}.wav", wave, 16_000)
    words = ["--label-pattern", "_([a-z]+)_", "--output-dir", tmp_path / "out"]
    evaluate("--model", run, "--dataset", tmp_path, *words)
    assert read_results(tmp_path / "out")["test"]["num_examples"] == 6
