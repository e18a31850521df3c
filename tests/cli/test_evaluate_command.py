"""Command `evaluate`: presets give settings, never options of the command itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from audio_cls.cli.evaluate import main
from audio_cls.workflows import evaluate
from audio_cls.workflows.evaluate import EvaluateRequest

asked: list[tuple[EvaluateRequest, dict[str, Any], dict[str, Any]]] = []


@pytest.fixture(autouse=True)
def no_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Record what the command passes on instead of evaluating."""
    monkeypatch.setattr(evaluate, "run_evaluation", lambda *given: asked.append(given))


@pytest.mark.parametrize(
    "source", [["--model", "ann/model"], ["--predictions", "p.csv"], ["--aggregate", "run"]]
)
def test_a_data_set_with_a_preset_of_its_own_is_no_obstacle(source: list[str]) -> None:
    words = [*source, "--dataset", "marsyas/gtzan", "--output-dir", "out"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    ask, typed, preset = asked.pop()
    assert (ask.model, ask.model_revision) == ("ann/model" if "--model" in source else None, None)
    assert ask.predictions == (Path("p.csv") if "--predictions" in source else None)
    assert ask.aggregate == ((Path("run"),) if "--aggregate" in source else ())
    assert typed == {"dataset": "marsyas/gtzan"} and preset["label_column"] == "genre"


def test_an_empty_flag_switches_a_setting_off() -> None:
    words = [
        "--model",
        "m",
        "--dataset",
        "marsyas/gtzan",
        "--label-column",
        "",
        "--output-dir",
        "o",
    ]
    assert CliRunner().invoke(main, words).exit_code == 0
    _, typed, preset = asked.pop()
    assert typed["label_column"] is None and "label_column" not in preset
