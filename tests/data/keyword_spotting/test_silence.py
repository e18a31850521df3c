"""Tests of audio_cls.data.keyword_spotting.silence."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from word_sounds import RATE, make_noise_wav

from audio_cls.audio.decode import measure_seconds
from audio_cls.data.keyword_spotting.silence import (
    NOISE_DB,
    NOISE_RATE,
    Recording,
    cut_recordings,
    list_recordings,
    make_silence,
)
from audio_cls.errors import DatasetError

LONG = [Recording(f"hum{n}.wav", make_noise_wav(2.0, n), None) for n in range(3)]


def read(bytes_: bytes) -> np.ndarray:
    """Decode a piece."""
    return soundfile.read(io.BytesIO(bytes_), dtype="float32")[0]


def test_pieces_follow_each_other_and_are_named_after_where_they_begin() -> None:
    pieces = cut_recordings(LONG[:1], 0.5, count=1)
    assert [one.id for one in pieces] == [f"hum0.wav#{start:.2f}" for start in (0, 0.5, 1, 1.5)]
    whole = read(LONG[0].bytes_ or b"")
    for number, one in enumerate(pieces):
        own = whole[round(number * 0.5 * RATE) : round((number + 1) * 0.5 * RATE)]
        np.testing.assert_allclose(read(one.bytes_), own, atol=1e-4)
    assert {one.recording for one in pieces} == {"hum0.wav"}


def test_as_many_pieces_as_asked_for_overlap_evenly() -> None:
    pieces = cut_recordings(LONG, 0.5, count=33)
    per_recording = [sum(one.recording == name.name for one in pieces) for name in LONG]
    assert per_recording == [11, 11, 11]
    assert {len(read(one.bytes_)) for one in pieces} == {RATE // 2}
    assert len({one.id for one in pieces}) == 33


def test_pieces_start_at_least_a_tenth_of_a_second_apart() -> None:
    assert len(cut_recordings(LONG[:1], 0.5, count=10_000)) == 16


def test_a_recording_shorter_than_a_piece_is_one_piece() -> None:
    short = Recording("click.wav", make_noise_wav(0.3, 5), None)
    (piece,) = cut_recordings([short], 1.0, count=5)
    assert len(read(piece.bytes_)) == round(0.3 * RATE)


def test_a_recording_that_cannot_be_read_is_named() -> None:
    with pytest.raises(DatasetError, match=r"'torn\.wav' cannot be read"):
        cut_recordings([Recording("torn.wav", b"RIFF", None)], 1.0, count=5)


def test_made_silence_is_repeatable_and_of_many_levels_and_colours() -> None:
    pieces = make_silence(60, 0.5, seed=3)
    assert [one.bytes_ for one in pieces] == [one.bytes_ for one in make_silence(60, 0.5, seed=3)]
    assert pieces[0].bytes_ != make_silence(1, 0.5, seed=4)[0].bytes_
    levels = [20 * np.log10(np.sqrt(np.mean(read(one.bytes_) ** 2)) + 1e-12) for one in pieces]
    assert min(levels) > NOISE_DB[0] - 1.5 and max(levels) < NOISE_DB[1] + 0.5
    assert max(levels) - min(levels) > 30
    colors = {one.id.split("/")[1].split("#")[0] for one in pieces}
    assert colors == {"white", "pink", "brown"}
    assert {len(read(one.bytes_)) for one in pieces} == {NOISE_RATE // 2}
    assert len({one.recording for one in pieces}) == 60


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="contains no recording"):
        list_recordings(tmp_path)


def test_a_recording_measures_by_its_header(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(make_noise_wav(1.25, 1))
    (one,) = list_recordings(tmp_path)
    assert (one.name, measure_seconds(one.bytes_, one.path)) == ("a.wav", 1.25)
    assert measure_seconds(b"x", None) == 0
