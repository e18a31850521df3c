"""Tests of audio_cls.events."""

from __future__ import annotations

import io
import json
import sys

import pytest

from audio_cls.errors import AudioClsError
from audio_cls.events import emit_event


def test_an_event_is_one_line_without_infinities(capsys: pytest.CaptureFixture[str]) -> None:
    emit_event("json", "epoch", loss=float("nan"), scores=[1.5, float("inf")])
    line = capsys.readouterr().out
    assert line.endswith("\n") and line.count("\n") == 1
    assert json.loads(line) == {"event": "epoch", "loss": None, "scores": [1.5, None]}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/full is of Linux")
def test_a_full_standard_output_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(io.FileIO("/dev/full", "w")))
        with pytest.raises(AudioClsError, match=r"standard output \(No space left on device\)"):
            emit_event("json", "start")
