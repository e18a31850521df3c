"""Plain-text tables and JSON events."""

from __future__ import annotations

import json
import math

import pytest

from audio_cls.events import emit_event
from audio_cls.text_table import format_table


def test_a_table_is_aligned_and_never_wider_than_the_terminal() -> None:
    rows = [["setting", "accuracy"], ["learning_rate=" + "1" * 200, "0.5000"]]
    lines = format_table(rows, "lr")
    assert [len(line) for line in lines] == [80, 80]
    assert lines[0].startswith("setting ") and lines[0].endswith("accuracy")
    assert "…" in lines[1] and lines[1].endswith("  0.5000")
    assert format_table([]) == []


def test_an_event_is_one_line_of_valid_json_on_standard_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    emit_event("json", "test", accuracy=0.5, f1=math.nan, ci95=(0.1, math.inf), name="a\nb")
    emit_event("text", "test", accuracy=0.5)
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    assert json.loads(out) == {
        "event": "test", "accuracy": 0.5, "f1": None, "ci95": [0.1, None], "name": "a\nb",
    }  # fmt: skip
