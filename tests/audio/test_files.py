"""Audio files: suffixes, walks, headers and WAV encoding."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_cls.audio.files import (
    AudioHeader,
    encode_wav,
    find_audio_files,
    is_audio_path,
    list_files,
    read_header,
)


@pytest.mark.parametrize(
    ("text", "is_audio"),
    [("a/b.wav", True), ("B.FLAC ", True), ("b.m4a", True), ("b.txt", False), ("wav", False)],
)
def test_audio_files_are_known_by_their_suffix(text: str, is_audio: bool) -> None:  # noqa: FBT001
    assert is_audio_path(text) is is_audio
    assert not is_audio_path(7)


def test_a_walk_finds_audio_files_sorted_and_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b/2.wav", "a/1.MP3", "a/notes.txt", ".git/3.wav", "a/.4.wav", "5.webm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = [path.relative_to(tmp_path).as_posix() for path in find_audio_files(tmp_path)]
    assert found == ["5.webm", "a/1.MP3", "b/2.wav"]
    assert len(list_files(tmp_path)) == 4  # and notes.txt


def test_pcm_is_clipped_and_float_is_exact() -> None:
    samples = np.array([0.0, 0.25, -1.0, 1.5, -2.0], np.float32)
    with wave.open(io.BytesIO(encode_wav(samples, 8000))) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (8000, 2, 1)
        pcm = np.frombuffer(file.readframes(5), "<i2")
    assert pcm.tolist() == [0, 8192, -32768, 32767, -32768]
    stereo = np.stack([samples, -samples], axis=1)
    read, rate = soundfile.read(io.BytesIO(encode_wav(stereo, 44_100, "FLOAT")), dtype="float32")
    assert rate == 44_100
    np.testing.assert_array_equal(read, stereo)


def test_a_header_has_length_and_rate_or_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encode_wav(np.zeros((30, 2), np.float32), 8000))
    assert read_header(str(path)) == read_header(io.BytesIO(path.read_bytes()))
    assert read_header(str(path)) == AudioHeader(num_frames=30, sampling_rate=8000)
    assert read_header(io.BytesIO(b"no audio")) is None
    assert read_header(str(tmp_path / "missing.wav")) is None
