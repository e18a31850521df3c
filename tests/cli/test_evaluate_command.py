"""scripts/evaluate.py as it is typed: a preset speaks for settings, never for its own options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from audio_cls.cli.evaluate import EvaluateRequest, evaluate_command

asked: list[tuple[EvaluateRequest, dict[str, Any], dict[str, Any]]] = []


@evaluate_command
def command(ask: EvaluateRequest, typed: dict[str, Any], preset: dict[str, Any]) -> None:
    """Note what is asked."""
    asked.append((ask, typed, preset))


@pytest.mark.parametrize(
    "source", [["--model", "ann/model"], ["--predictions", "p.csv"], ["--aggregate", "run"]]
)
def test_a_data_set_with_a_preset_of_its_own_is_no_obstacle(source: list[str]) -> None:
    words = [*source, "--dataset", "marsyas/gtzan", "--output-dir", "out"]
    result = CliRunner().invoke(command, words)
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
    assert CliRunner().invoke(command, words).exit_code == 0
    _, typed, preset = asked.pop()
    assert typed["label_column"] is None and "label_column" not in preset
