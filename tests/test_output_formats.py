"""Plain-text tables and JSON events."""

from __future__ import annotations

import json
import math

import pytest

from audio_cls.events import emit_event
from audio_cls.text_table import TERMINAL_WIDTH, count_columns, format_table, wrap_text


def test_a_table_is_aligned_and_never_wider_than_the_terminal() -> None:
    rows = [["setting", "accuracy"], ["learning_rate=" + "1" * 200, "0.5000"]]
    lines = format_table(rows, "lr")
    assert [len(line) for line in lines] == [80, 80]
    assert lines[0].startswith("setting ") and lines[0].endswith("accuracy")
    assert "…" in lines[1] and lines[1].endswith("  0.5000")
    assert format_table([]) == []


def test_names_from_a_data_set_neither_break_a_table_nor_control_the_terminal() -> None:
    names = ["line one\nline two", "tab\there", "\x1b[31mred", "\u202eabc\u202c", "日本語", "🎸"]
    lines = format_table([[name, "1"] for name in names], "lr")
    assert lines == [
        "line one line two  1",
        "tab here           1",
        "[31mred            1",
        "abc                1",
        "日本語" + " " * 13 + "1",
        "🎸" + " " * 17 + "1",
    ]
    lines = wrap_text(", ".join(["音楽のジャンル分類"] * 12 + ["\x1b[2J", "a\u200cb"]))
    assert max(map(count_columns, lines)) <= TERMINAL_WIDTH
    assert " ".join(" ".join(lines).split()).endswith("類, [2J, a\u200cb")


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
