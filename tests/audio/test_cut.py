"""Segments of a recording are cut to the sample, in the encoding of the recording."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_cls.audio.cut import cut_segments
from audio_cls.audio.segments import Segment
from audio_cls.errors import AudioError

RATE = 8000
PARTS = [Segment(0.25, 1.5), Segment(0.5, 0.75), Segment(1.0, 2.0), Segment(3.5, 3.75)]


def _cut(path: Path, kind: str) -> list[np.ndarray]:
    return [
        soundfile.read(io.BytesIO(data), dtype=kind, always_2d=True)[0]
        for data in cut_segments(str(path), PARTS)
    ]


@pytest.mark.parametrize(
    ("form", "subtype", "kind"),
    [
        ("WAV", "PCM_16", "int16"),
        ("WAV", "PCM_24", "int32"),
        ("WAV", "PCM_32", "int32"),
        ("WAV", "FLOAT", "float32"),
        ("WAV", "DOUBLE", "float64"),
        ("FLAC", "PCM_16", "int16"),
        ("FLAC", "PCM_24", "int32"),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_samples_are_copied_without_a_change(
    tmp_path: Path, form: str, subtype: str, kind: str, channels: int
) -> None:
    path = tmp_path / "field.audio"
    wave = np.random.default_rng(0).uniform(-1, 1, (4 * RATE, channels))
    soundfile.write(path, wave, RATE, format=form, subtype=subtype)
    whole, _ = soundfile.read(path, dtype=kind, always_2d=True)
    for part, found in zip(PARTS, _cut(path, kind), strict=True):
        first, last = part.to_samples(len(whole), RATE)
        assert found.shape == (last - first, channels)
        assert (found == whole[first:last]).all()
    header = soundfile.info(io.BytesIO(next(cut_segments(str(path), PARTS))))
    assert (header.samplerate, header.subtype) == (RATE, subtype)


@pytest.mark.parametrize(("form", "subtype"), [("MP3", None), ("OGG", "VORBIS")])
def test_compressed_sound_becomes_16_bits_by_rounding(
    tmp_path: Path, form: str, subtype: str | None
) -> None:
    path = tmp_path / "field.audio"
    wave = np.random.default_rng(0).uniform(-1, 1, (4 * RATE, 2))
    soundfile.write(path, wave, RATE, format=form, subtype=subtype)
    whole, _ = soundfile.read(path, dtype="float32")
    for part, found in zip(PARTS, _cut(path, "int16"), strict=True):
        first, last = part.to_samples(len(whole), RATE)
        expected = np.clip(whole[first:last], -1, 1 - 2**-15)
        assert np.abs(found / 2**15 - expected).max() <= 0.51 / 2**15


def test_blocks_of_a_long_compressed_recording_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "field.ogg"
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 600_000)  # more than two blocks
    soundfile.write(path, wave, RATE)
    whole, _ = soundfile.read(path, dtype="float32")
    parts = [Segment(1, 40), Segment(2, 3), Segment(60.5, 61), Segment(74)]
    for part, data in zip(parts, cut_segments(str(path), parts), strict=True):
        first, last = part.to_samples(len(whole), RATE)
        found, _ = soundfile.read(io.BytesIO(data), dtype="float32")
        assert np.abs(found - whole[first:last]).max() <= 0.51 / 2**15
    with pytest.raises(AudioError, match="past the end"):
        list(cut_segments(str(path), [Segment(74, 76)]))


def test_8_bits_become_16_without_a_change(tmp_path: Path) -> None:
    path = tmp_path / "field.wav"
    soundfile.write(path, np.linspace(-1, 1, 4 * RATE), RATE, subtype="ULAW")
    whole, _ = soundfile.read(path, dtype="int16")
    (data,) = cut_segments(str(path), PARTS[:1])
    assert (soundfile.read(io.BytesIO(data), dtype="int16")[0] == whole[2000:12000]).all()


def test_a_file_that_is_no_audio_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "field.wav").write_bytes(b"text" * 100)
    with pytest.raises(AudioError, match="unreadable"):
        list(cut_segments(str(tmp_path / "field.wav"), PARTS))
