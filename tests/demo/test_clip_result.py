"""Uploaded clips: scores and timeline of good ones, a message for every other file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from tone_classifier import RATE, ToneClassifier
from tones import make_tone

from audio_cls.demo.clip_result import NOTHING, Limits, classify_clip


def write(path: Path, *parts: np.ndarray, rate: int = RATE) -> str:
    soundfile.write(path, np.concatenate(parts), rate)
    return str(path)


def test_a_long_clip_has_a_row_per_window(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", make_tone(400, 1.0), make_tone(3000, 1.5))
    shares: list[float] = []
    result = classify_clip(ToneClassifier(), path, Limits(), shares.append)
    assert result.rows == [
        ["0.00", "1.00", "low", "0.998"],
        ["1.00", "2.00", "high", "0.998"],
        ["1.50", "2.50", "high", "0.998"],
    ]
    assert result.scores == {"low": pytest.approx(0.119203), "high": pytest.approx(0.880797)}
    assert result.message == "2.50 s of audio, 3 windows."
    assert shares[-1] == 1.0
    assert result.figure is not None
    assert len(result.figure.axes) == 4  # waveform, spectrogram, timeline, scale


def test_a_clip_of_one_window_has_no_timeline(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", make_tone(3000, 0.5, 44_100), rate=44_100)
    result = classify_clip(ToneClassifier(), path, Limits())
    assert result.rows == [] and result.scores is not None
    assert max(result.scores, key=result.scores.__getitem__) == "high"
    assert result.message == "0.50 s of audio, 1 window."


def test_multi_label_names_the_labels_that_reach_their_thresholds(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", make_tone(3000, 0.5))
    result = classify_clip(ToneClassifier(is_multilabel=True), path, Limits())
    assert "Labels that reach their thresholds: high." in result.message


def test_one_sample_is_classified_with_a_remark(tmp_path: Path) -> None:
    result = classify_clip(ToneClassifier(), write(tmp_path / "a.wav", np.zeros(1)), Limits())
    assert "not reliable: digital silence; only 0.000 s long" in result.message
    assert result.figure is not None


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"this is text\n" * 9, "unreadable"), (b"RIFF\xff\xff\xff\x7fWAVE", "")],
)
def test_a_file_that_is_no_audio_gives_a_message(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    result = classify_clip(ToneClassifier(), str(path), Limits())
    assert result.message.startswith(f"**This clip cannot be classified: {reason}")
    assert "Choose a WAV, FLAC, MP3 or Ogg file, at most 10 minutes and 50 MB." in result.message
    assert result.scores is result.figure is None and result.rows == []


def test_long_and_large_files_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", np.zeros(8000 * 61), rate=8000)
    result = classify_clip(ToneClassifier(), path, Limits(max_seconds=60))
    assert "too long: 61.0 s" in result.message and "at most 1 minute and" in result.message
    with (tmp_path / "b.wav").open("wb") as file:
        file.truncate(200 * 2**20)
    result = classify_clip(ToneClassifier(), str(tmp_path / "b.wav"), Limits())
    assert "too large: 200 MB" in result.message


def test_nothing_gives_a_hint() -> None:
    assert classify_clip(ToneClassifier(), None, Limits()).message == NOTHING
