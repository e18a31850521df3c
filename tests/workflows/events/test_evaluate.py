"""`evaluate --events`: from annotations and a timeline or a model to a table, files and figures."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from audio_cls.cli.evaluate import main
from audio_cls.inference.prediction import WindowPrediction
from audio_cls.workflows.events import evaluate

RATE = 8000
TRUE = [(1, "dog"), (4, "dog"), (7, "cat")]  # start and label of events that last a second


@pytest.fixture
def field(tmp_path: Path) -> Path:
    """Return a folder with a recording of 12 s and its label track."""
    soundfile.write(tmp_path / "a.wav", np.zeros(12 * RATE), RATE)
    lines = [f"{start}\t{start + 1}\t{label}\n" for start, label in TRUE]
    (tmp_path / "a.txt").write_text("".join(lines), "utf-8")
    return tmp_path


class _Classifier:
    """Predicts the events that are there, but the cat as a dog, and one more cat."""

    labels = ("background", "cat", "dog")

    def windows(self, source: str, **options: Any) -> Iterator[WindowPrediction]:  # noqa: ANN401
        found = {1: "dog", 4: "dog", 7: "dog", 10: "cat"}
        for second in range(12):
            label, score = found.get(second, "background"), 0.9 if second < 10 else 0.6
            span = (source, second * RATE, (second + 1) * RATE, RATE)
            scores = {name: score if name == label else (1 - score) / 2 for name in self.labels}
            yield WindowPrediction(*span, label, score, scores)


def _join(scores: Mapping[str, float]) -> str:
    return ",".join(map(str, scores.values()))


def _evaluate(*arguments: object) -> str:
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.output


def test_a_model_is_evaluated(
    field: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(evaluate.Classifier, "from_pretrained", lambda *_, **__: _Classifier())
    output = field / "result"
    options = ("--model", "m", "--no-event", "background", "--output-dir", output)
    _evaluate("--events", field, *options)
    results = json.loads((output / "event_results.json").read_text("utf-8"))
    micro = results["micro"]
    assert (micro["annotated"], micro["predicted"], micro["matched"]) == (3, 4, 2)
    assert micro["false_alarms_per_hour"] == pytest.approx(2 / (12 / 3600))
    assert results["macro_f1"] == pytest.approx((0 + 4 / 5) / 2)
    points = {one["threshold"]: one["predicted"] for one in results["thresholds"]}
    assert (points[0.6], points[0.7]) == (4, 3)
    with (output / "events.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["label"], row["result"], row["predicted_start"]) for row in rows] == [
        ("dog", "matched", "1.000000"),
        ("dog", "matched", "4.000000"),
        ("cat", "missed", ""),
        ("dog", "false alarm", "7.000000"),
        ("cat", "false alarm", "10.000000"),
    ]
    assert {path.name for path in (output / "figures").iterdir()} == {
        "events.png",
        "thresholds.png",
    }
    assert "all (micro)" in caplog.text
    lines = [record.getMessage() for record in caplog.records]
    assert all(len(line) <= 80 for line in lines if "Folder:" not in line and line[:4] != "Left")
    result = CliRunner().invoke(main, ["--events", str(field), *map(str, options)])
    assert result.exit_code == 2 and "--overwrite" in result.output


def test_a_written_timeline_gives_the_same_result(field: Path) -> None:
    rows = [
        f"{one.file},{one.start},{one.end},{one.label},{one.score},{_join(one.scores)}"
        for one in _Classifier().windows(str(field / "a.wav"))
    ]
    (field / "annotated").mkdir()
    (field / "a.txt").rename(field / "annotated" / "a.txt")
    head = "file,start,end,label,score,background,cat,dog"
    (field / "windows.csv").write_text("\n".join([head, *rows]), "utf-8")
    line = _evaluate(
        *("--events", field / "annotated", "--predictions", field / "windows.csv", "--log"),
        *("quiet", "--no-event", "background", "--threshold", 0.7, "--audio-root", field),
    )
    assert "event F1 0.6667 (precision 0.6667, recall 0.6667) on 3 events" in line
    assert (field / "eval-annotated" / "event_results.json").is_file()


def test_events_have_the_names_that_were_given(
    field: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(evaluate.Classifier, "from_pretrained", lambda *_, **__: _Classifier())
    monkeypatch.chdir(field)
    (field / "a.txt").unlink()
    rows = [f"a.wav,{start},{start + 1},{label}" for start, label in TRUE]
    (field / "events.csv").write_text("\n".join(["file,start,end,label", *rows]), "utf-8")
    options = ("--no-event", "background", "--overwrite", "--output-dir", "r")
    with caplog.at_level("INFO"):
        _evaluate("--events", "events.csv", "--model", "m", *options)
    assert " cut " not in caplog.text  # events are no clips
    assert _list_files(field / "r") == {"a.wav"}
    _evaluate("--events", field / "events.csv", "--model", "m", *options)
    assert _list_files(field / "r") == {str(field / "a.wav")}
    windows = [
        f"./a.wav,{one.start},{one.end},{one.label},{one.score},{_join(one.scores)}"
        for one in _Classifier().windows("a.wav")
    ]
    head = "file,start,end,label,score,background,cat,dog"
    (field / "w.csv").write_text("\n".join([head, *windows]), "utf-8")
    _evaluate("--events", field / "events.csv", "--predictions", "w.csv", *options)
    assert _list_files(field / "r") == {"./a.wav"}


def _list_files(folder: Path) -> set[str]:
    """Return the files in events.csv."""
    with (folder / "events.csv").open(newline="", encoding="utf-8") as file:
        return {row["file"] for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tolerance", "1", "--model", "m"], "--tolerance is an option of --events"),
        (["--events", "a", "--model", "m", "--split", "test"], "--split is not used"),
        (["--events", "a"], "--events needs --model"),
        (["--events", "a", "--predictions", "w.csv", "--overlap", "0"], "has its windows already"),
    ],
)
def test_options_that_do_not_fit_are_refused(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2 and message in result.output, result.output


def test_labels_that_the_model_lacks_are_stated_and_mapped(
    field: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(evaluate.Classifier, "from_pretrained", lambda *_, **__: _Classifier())
    (field / "a.txt").write_text("1\t2\thound\n4\t5\tDog\n7\t8\towl\n", "utf-8")
    options = ("--model", "m", "--no-event", "background", "--log", "quiet", "--overwrite")
    line = _evaluate("--events", field, "--output-dir", field / "r", *options)
    assert "recall 1.0000) on 1 event" in line
    assert "hound (1 event), owl (1 event)" in caplog.text
    (field / "map.yaml").write_text("hound: dog\nowl: null\n", "utf-8")
    options += ("--label-map", str(field / "map.yaml"))
    line = _evaluate("--events", field, "--output-dir", field / "r", *options)
    assert "recall 1.0000) on 2 events" in line
