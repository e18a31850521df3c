"""Blocks: bit for bit the waveform that `decode_wave` gives, the same errors, little memory."""

from __future__ import annotations

import importlib.util
import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from sounds import encode_by_pyav, make_noise

from audio_cls.audio import decode
from audio_cls.audio.blocks import AudioInput, check_rate, read_blocks, resample_blocks, to_samples
from audio_cls.audio.decode import decode_blocks, decode_file
from audio_cls.audio.waveform import decode_wave, resample
from audio_cls.errors import AudioError

FORMATS = [
    ("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "GSM610"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"),
    ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_16"), ("AU", "ULAW"),
    ("CAF", "ALAC_16"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make many blocks of a short file."""
    monkeypatch.setattr(decode, "BLOCK_FRAMES", 3_001)


def encode(kind: str, subtype: str, num_samples: int = 40_000) -> bytes:
    """Encode two channels of noise at 48 kHz; GSM has one channel."""
    samples = np.stack([make_noise(num_samples, 1), make_noise(num_samples, 2)], axis=1)
    buffer = io.BytesIO()
    samples = samples[:, :1] if subtype == "GSM610" else samples
    soundfile.write(buffer, samples, 48_000, format=kind, subtype=subtype)
    return buffer.getvalue()


def join(source: AudioInput, rate: int = 16_000) -> np.ndarray:
    """Join the blocks of an input."""
    return np.concatenate(list(read_blocks(source, rate)))


@pytest.mark.parametrize(("kind", "subtype"), FORMATS)
def test_blocks_joined_are_the_decoded_waveform(kind: str, subtype: str, tmp_path: Path) -> None:
    data = encode(kind, subtype)
    path = tmp_path / "clip"
    path.write_bytes(data)
    for rate in (16_000, 48_000, 22_050):
        expected = decode_wave(data, None, rate)
        assert np.array_equal(join(data, rate), expected)
        assert np.array_equal(join(path, rate), expected)
    assert len(list(decode_blocks(None, str(path)))) > 10


@pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="needs the extra 'formats'")
@pytest.mark.parametrize(("container", "codec"), [("mp4", "aac"), ("webm", "libopus")])
def test_formats_of_pyav_come_in_blocks_too(container: str, codec: str) -> None:
    data = encode_by_pyav(make_noise(48_000), container, codec, 2)
    assert np.array_equal(join(data), decode_wave(data, None, 16_000))
    assert len(list(decode_blocks(data, None))) > 5


def test_an_mp3_without_its_number_of_frames_and_a_flac_without_its_length(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    wave = np.concatenate([make_noise(16_000, rms=0.001), make_noise(16_000)])
    soundfile.write(
        buffer, wave, 16_000, format="MP3", bitrate_mode="VARIABLE", compression_level=0.3
    )
    data = buffer.getvalue()
    bare = data[data.index(b"\xff\xf3", 4) :]
    flac = bytearray(encode("FLAC", "PCM_16"))
    flac[21] &= 0xF0  # the number of samples, 36 bits from byte 21
    flac[22:26] = bytes(4)
    for content in (bare, bytes(flac)):
        (tmp_path / "clip").write_bytes(content)
        expected = decode_wave(content, None, 16_000)
        assert np.array_equal(join(tmp_path / "clip"), expected)
        assert len(expected) > 13_000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"this is no sound",
        bytes(1_000),
        encode("WAV", "PCM_16")[:-999],
        encode("FLAC", "PCM_16")[:-5_000],
        encode("OGG", "VORBIS")[:-5_000],
        encode("MP3", "MPEG_LAYER_III")[:-20_000],
        encode("AIFF", "PCM_16", 0),
        bytes(4) + b"ftypM4A " + bytes(1_000),
    ],
    ids=["empty", "text", "zeros", "wav", "flac", "ogg", "mp3", "no samples", "m4a"],
)
def test_a_file_that_cannot_be_read_has_the_same_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "clip").write_bytes(content)
    with pytest.raises(AudioError) as expected:
        decode_file(content, None)
    for source in (content, tmp_path / "clip"):
        with pytest.raises(AudioError) as found:
            join(source)
        assert str(found.value) == str(expected.value)


def test_a_sample_that_is_not_finite_is_found_in_any_block() -> None:
    wave = make_noise(20_000)
    wave[-1] = np.inf
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, 16_000, format="WAV", subtype="FLOAT")
    for source in (buffer.getvalue(), (wave, 16_000)):
        with pytest.raises(AudioError, match="not finite"):
            join(source)


def test_a_disk_error_is_named_and_is_not_the_end_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clip.wav").write_bytes(encode("WAV", "PCM_16"))
    read = io.FileIO.readinto

    class FailingFile(decode._CheckedFile):
        def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401
            if self.tell() > 50_000:
                self.error = OSError(5, "Input/output error")
                return 0
            return read(self, buffer)

    monkeypatch.setattr(decode, "_CheckedFile", FailingFile)
    with pytest.raises(AudioError, match=r"not accessible: .*Input/output error"):
        join(tmp_path / "clip.wav")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"missing file: .*none\.wav"):
        join(tmp_path / "none.wav")
    with pytest.raises(AudioError, match="is a folder"):
        join(tmp_path)


def test_a_segment_is_the_part_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(encode("WAV", "PCM_16"))
    segment = f"{tmp_path / 'a.wav'}#0.250-0.500"
    assert np.array_equal(join(segment), decode_wave(None, segment, 16_000))
    assert len(join(segment)) == 4_000


@pytest.mark.parametrize("length", [2, 7, 100, 4_001, 30_000])
@pytest.mark.parametrize("rates", [(44_100, 16_000), (8_000, 16_000), (11_025, 24_000)])
def test_resampling_in_blocks_equals_resampling_at_once(
    length: int, rates: tuple[int, int]
) -> None:
    wave, rng = make_noise(length), np.random.default_rng(length)
    places = np.sort(rng.integers(0, length + 1, 6))
    found = np.concatenate(list(resample_blocks(np.split(wave, places), *rates)))
    assert np.array_equal(found, resample(wave, *rates))


def test_samples_of_every_type_have_one_scale() -> None:
    values = np.array([-0.5, 0.25])
    for dtype, scale in (("int16", 2**15), ("int32", 2**31), ("int8", 2**7), ("float64", 1)):
        assert to_samples((values * scale).astype(dtype))[:, 0].tolist() == values.tolist()
    assert to_samples(np.array([64, 160], np.uint8))[:, 0].tolist() == values.tolist()
    assert to_samples([-0.5, 0.25]).dtype == np.float32


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros(0, np.float32), "empty"),
        (np.zeros((2, 100), np.float32), r"\(2, 100\) has more channels than samples"),
        (np.zeros((1, 2, 3)), r"float64 of shape \(1, 2, 3\)"),
        (np.zeros(9, np.int64), "int64 of shape"),
        (np.array(["a"]), "not an array of samples"),
        (None, "not an array of samples"),
    ],
)
def test_what_is_no_waveform_is_refused(array: object, reason: str) -> None:
    with pytest.raises(AudioError, match=reason):
        join((array, 16_000))  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [0, -16_000, 16_000.5, "16000", None, True, float("nan")])
def test_a_rate_that_is_none_is_refused(rate: object) -> None:
    with pytest.raises(AudioError, match="wrong sampling rate"):
        check_rate(rate)


@pytest.mark.parametrize("source", [None, 5, {"raw": 1}, np.zeros(9)])
def test_what_is_no_input_is_refused(source: Any) -> None:  # noqa: ANN401
    with pytest.raises(AudioError, match="not an input"):
        join(source)


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    def measure(seconds: int) -> int:
        path = tmp_path / f"{seconds}.wav"
        with soundfile.SoundFile(path, "w", 44_100, 2, "PCM_16") as file:
            for _ in range(seconds):
                file.write(np.zeros((44_100, 2), np.float32))
        tracemalloc.start()
        total = sum(len(block) for block in read_blocks(path, 16_000))
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert total == seconds * 16_000
        return memory

    assert measure(60) < 1.1 * measure(10)


def test_an_input_is_read_only_as_far_as_it_is_needed(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(encode("WAV", "PCM_16", 400_000))
    blocks: Iterator[np.ndarray] = read_blocks(tmp_path / "a.wav", 16_000)
    assert 400 < len(next(blocks)) < 1_100
