"""`audio-cls listen` with a file and with raw samples on standard input."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from audio_cls.cli.inference.listen import Printer, format_line, main
from audio_cls.inference.classifier import Classifier
from audio_cls.inference.events.event import Event
from audio_cls.inference.prediction import WindowPrediction
from tests.inference.test_live import RATE, LoudnessClassifier

OPTIONS = ("--no-event", "quiet", "--debounce", "0.5")


@pytest.fixture(autouse=True)
def _model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Classifier, "from_pretrained", lambda *_, **__: LoudnessClassifier())


def _make_samples() -> np.ndarray:
    """Return 9 s of silence with loud sound from 2 to 4 s and from 6 to 7 s."""
    samples = np.zeros(9 * RATE, np.int16)
    samples[2 * RATE : 4 * RATE] = samples[6 * RATE : 7 * RATE] = 30_000
    return samples


def test_a_file_and_a_pipe_give_the_same_lines(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", _make_samples(), RATE)
    file = CliRunner().invoke(main, ["m", str(tmp_path / "a.wav"), *OPTIONS])
    raw = _make_samples().astype("<i2").tobytes()
    pipe = CliRunner().invoke(main, ["m", "-", "--raw-rate", str(RATE), *OPTIONS], input=raw)
    assert file.exit_code == pipe.exit_code == 0, (file.output, pipe.output)
    assert file.stdout == pipe.stdout
    rows = [json.loads(line) for line in file.stdout.splitlines()]
    assert [(row["label"], row["start"], row["end"]) for row in rows] == [
        ("loud", 2.0, 3.0),  # windows every 0.5 s; those that are half loud score just below 0.5
        ("loud", 6.0, 7.0),
    ]
    assert file.stderr == "17 windows, 2 detections.\n"


def test_scores_of_every_window(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", _make_samples(), RATE)
    result = CliRunner().invoke(
        main, ["m", str(tmp_path / "a.wav"), "--scores", "--hop-seconds", "1"]
    )
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["label"] for row in rows[:5]] == ["quiet", "quiet", "loud", "loud", "quiet"]
    assert rows[2]["scores"]["loud"] == rows[2]["score"]


def test_a_missing_file_is_named_before_the_model_is_loaded() -> None:
    result = CliRunner().invoke(main, ["m", "no.wav"])
    assert result.exit_code == 2 and "missing file: no.wav" in result.output


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _make_window(**scores: float) -> WindowPrediction:
    label, score = max(scores.items(), key=lambda pair: pair[1])
    return WindowPrediction("a.wav", 0, RATE, RATE, label, score, scores)


def test_a_terminal_has_detections_that_differ_from_windows_with_all_scores_that_fit() -> None:
    detected = format_line(Event("a.wav", 0.0, 1.0, "dog", 0.75))
    assert detected.split() == ["0.00", "1.00", "s", "detected", "dog", "0.750"]
    window = format_line(_make_window(dog=0.25, cat=0.7, cow=0.05))
    assert window.split()[3:] == ["window", "cat", "0.700", "dog", "0.250", "cow", "0.050"]
    many = {f"label number {n}": n / 100 for n in range(10)}
    for line in (format_line(_make_window(**many)), format_line(_make_window(**{"鳥" * 60: 1.0}))):
        assert 40 < len(line) <= 80
    assert format_line(_make_window(**many)).count("label number") == 2


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_present_window_is_not_mixed_with_the_lines_of_a_pipe(
    monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool
) -> None:
    errors = _Terminal()
    monkeypatch.setattr(sys, "stderr", errors)
    output = _Terminal() if is_terminal else io.StringIO()
    printer = Printer(output, has_scores=False)
    printer.show(_make_window(dog=0.75), [Event("a.wav", 0.0, 1.0, "dog", 0.75)])
    assert ("dog" in errors.getvalue()) is is_terminal
    assert ("detected" in output.getvalue()) is is_terminal
