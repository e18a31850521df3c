"""Examples in Python: called on small data; each has a README with its command."""

from __future__ import annotations

import csv
import runpy
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from hub_datasets import write_clips

from audio_cls.config import EvalConfig
from audio_cls.errors import DatasetError
from audio_cls.evaluation.metrics.external import load_metric
from audio_cls.evaluation.metrics.scores import Scores

EXAMPLES = Path(__file__).parents[1] / "examples"
FORM = EXAMPLES.parent / ".github" / "ISSUE_TEMPLATE" / "result.yml"
CUSTOM = EXAMPLES / "custom_source_and_metric"


def test_each_example_has_a_readme_with_a_command() -> None:
    folders = {path.parent for path in EXAMPLES.glob("*/*.py")}
    measured = {EXAMPLES / "prediction_benchmark", EXAMPLES / "cpu_kernels"}  # described in docs/
    for folder in folders - measured:
        assert "```bash\n" in (folder / "README.md").read_text("utf-8"), folder.name


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
