"""Examples: their Python is called on small data; each has a README with its command and time."""

from __future__ import annotations

import csv
import json
import re
import runpy
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from hub_datasets import write_clips

from audio_cls.config import EvalConfig
from audio_cls.errors import DatasetError
from audio_cls.evaluation.metrics.external import load_metric
from audio_cls.evaluation.metrics.scores import Scores

EXAMPLES = Path(__file__).parents[1] / "examples"
FORM = EXAMPLES.parent / ".github" / "ISSUE_TEMPLATE" / "result.yml"
CUSTOM = EXAMPLES / "custom_source_and_metric"


FOLDERS = sorted(path for path in EXAMPLES.iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_each_example_has_a_readme_with_a_command_and_its_time(folder: Path) -> None:
    text = (folder / "README.md").read_text("utf-8")
    assert "```bash\n" in text
    assert re.search(r"\d (second|minute|hour)s?\b|not\s(been\s)?measured\shere", text)


def test_each_example_is_in_the_index_with_a_command_that_exists() -> None:
    text = (EXAMPLES / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| \[.*\]\((.*?)\) \|.*\| `(.*?)` \| (.*?) \|$", text, flags=re.M)
    expected = {f"{folder.name}/README.md" for folder in FOLDERS}
    expected |= {path.name for path in EXAMPLES.glob("*.ipynb")}
    assert sorted(target for target, _, _ in rows) == sorted(expected)
    for _, command, time in rows:
        named = re.findall(r"(?:examples|scripts)/\S+", command)
        assert named and all((EXAMPLES.parent / name).is_file() for name in named), command
        assert re.search(r"\d+ (second|minute)|not measured here", time), command


def run_main(name: str, monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    """Call `main` of a file of examples/ with these arguments."""
    monkeypatch.setattr(sys, "argv", [name, *(str(word) for word in words)])
    runpy.run_path(str(EXAMPLES / name))["main"]()


def test_recordings_have_label_tracks_with_the_times_of_the_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clips(tmp_path / "clips", [f"{label}/{n}.wav" for label in "ab" for n in range(2)])
    name = "audio_events_in_long_recordings/make_recordings.py"
    words = ("--train", 1, "--test", 1, "--gap", 0.5, 0.5, "--rate", 8000)
    run_main(name, monkeypatch, tmp_path / "clips", tmp_path / "field", *words)
    assert capsys.readouterr().out.count(" minutes, 2 clips\n") == 2
    track = (tmp_path / "field" / "test" / "recording_2.txt").read_text("utf-8")
    rows = [line.split("\t") for line in track.splitlines()]
    assert [row[2] for row in rows[::2]] == ["background"] * 3
    assert {rows[1][2], rows[3][2]} == {"a", "b"}
    assert [float(rows[0][0]), float(rows[0][1])] == [0.0, 0.5]
    wave, rate = soundfile.read(tmp_path / "field" / "test" / "recording_2.wav")
    assert len(wave) / rate == pytest.approx(float(rows[-1][1]), abs=1e-4)


def test_the_comparison_of_methods_is_the_difference_on_the_same_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline = {"test": 0.5, "difference": 0.25, "difference_ci95": [0.0, 0.5]}
    results = {"test": {"num_examples": 4}, "baseline": baseline}
    for method, predicted in {"probe": "xxyx", "auto": "xxyy"}.items():  # the labels are xxyy
        run = tmp_path / "fsdd" / f"{method}-0"
        run.mkdir(parents=True)
        (run / "results.json").write_text(json.dumps(results), "utf-8")
        (run / "cost.json").write_text('{"cpu_seconds": 90}', "utf-8")
        rows = [f"{n},{label},{predicted[n]}" for n, label in enumerate("xxyy")]
        (run / "predictions.csv").write_text("\n".join(["id,label,prediction", *rows]), "utf-8")
    run_main("method_comparison/measure.py", monkeypatch, "table", "--runs", tmp_path)
    lines = capsys.readouterr().out.splitlines()[2:]
    assert lines[0] == "| fsdd | log-mel statistics | 1 | 0.500 | | | +0.250 (+0.000 to +0.500) |"
    assert lines[1].startswith("| fsdd | probe | 1 | 0.750 |  | 1.5 | +0.250 (")
    assert lines[2] == "| fsdd | auto | 1 | 1.000 |  | 1.5 |  |"


def test_measurements_without_arguments_print_how_they_are_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SystemExit, match=r"measure\.py speed MODEL"):
        run_main("prediction_benchmark/measure.py", monkeypatch)


def test_python_api_trains_and_classifies(tmp_path: Path) -> None:
    main = runpy.run_path(str(EXAMPLES / "python_api" / "train_and_use.py"))["main"]
    accuracy, prediction = main(tmp_path / "run", max_steps=2, baseline="no")
    assert accuracy.startswith("accuracy 0.") and accuracy.endswith(" on 30 test clips")
    assert prediction.split()[0] in ("fr", "it", "ru")


def test_the_source_reads_speaker_and_label_of_an_archive(tmp_path: Path) -> None:
    names = [f"{who}_{word}_{i}.wav" for who, word, i in (("ann", "yes", 1), ("ben", "no", 2))]
    write_clips(tmp_path / "clips", names)
    with zipfile.ZipFile(tmp_path / "clips.zip", "w") as archive:
        for name in names:
            archive.write(tmp_path / "clips" / name, f"sub/{name}")
    main = runpy.run_path(str(CUSTOM / "speaker_files.py"))["main"]
    text = main(str(tmp_path / "clips.zip"), tmp_path / "table")
    assert text == "2 clips of 2 speakers: no, yes"
    with (tmp_path / "table" / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1:] == [["ann_yes_1.wav", "yes", "ann"], ["ben_no_2.wav", "no", "ben"]]
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("yes.wav", b"")
    with pytest.raises(DatasetError, match=r"'yes\.wav' is not named SPEAKER_LABEL"):
        main(str(tmp_path / "other.zip"), tmp_path / "table2")


def test_the_metric_is_the_lowest_recall() -> None:
    metric = load_metric(EvalConfig(metric=str(CUSTOM / "worst_recall.py")), 3)
    one_hot = np.eye(3)[[0, 0, 1, 2, 2]]
    scores = Scores(np.array(list("abcde")), np.array([0, 0, 1, 1, 2]), one_hot)
    assert metric(scores) == 0.5  # class 1: one of two


def test_the_form_for_results_has_the_commands_of_the_page() -> None:
    page = (EXAMPLES / "reproduce" / "README.md").read_text("utf-8")
    titles = [
        line[3:] for line in page.splitlines() if line.startswith("## ") and line[3].isdigit()
    ]
    options = yaml.safe_load(FORM.read_text("utf-8"))["body"][0]["attributes"]["options"]
    assert options[:-1] == titles
    assert all(f"runs/reproduce-{number}\n" in page for number in range(1, len(titles) + 1))
