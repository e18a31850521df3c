"""scripts/evaluate.py as it is typed: a preset speaks for settings, never for its own options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from audio_cls.cli.judging import Question, evaluate_command

asked: list[tuple[Question, dict[str, Any]]] = []


@evaluate_command
def command(ask: Question, typed: dict[str, Any]) -> None:
    """Note what is asked."""
    asked.append((ask, typed))


@pytest.mark.parametrize(
    "source", [["--model", "ann/model"], ["--predictions", "p.csv"], ["--aggregate", "run"]]
)
def test_a_data_set_with_a_preset_of_its_own_is_no_obstacle(source: list[str]) -> None:
    words = [*source, "--dataset", "marsyas/gtzan", "--output-dir", "out"]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0, result.output
    ask, typed = asked.pop()
    assert (ask.model, ask.model_revision) == ("ann/model" if "--model" in source else None, None)
    assert ask.predictions == (Path("p.csv") if "--predictions" in source else None)
    assert ask.aggregate == ((Path("run"),) if "--aggregate" in source else ())
    assert typed["dataset"] == "marsyas/gtzan" and typed["label_column"] == "genre"
