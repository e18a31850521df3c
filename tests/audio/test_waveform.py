"""Tests of audio_cls.audio.waveform."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from datasets import Audio, Dataset
from sounds import encode_by_pyav, encode_sound, make_table, make_tone, measure_hz

from audio_cls.audio import decode
from audio_cls.audio.decode import decode_file
from audio_cls.audio.waveform import decode_wave
from audio_cls.data.sources.columns.clip_ids import read_clip_ids
from audio_cls.errors import AudioError

FORMATS = {  # container and coding -> worst error against the original, as a share of its RMS
    ("WAV", "PCM_U8"): 0.02,
    ("WAV", "PCM_16"): 1e-3,
    ("WAV", "PCM_24"): 1e-3,
    ("WAV", "PCM_32"): 1e-3,
    ("WAV", "FLOAT"): 1e-6,
    ("WAV", "DOUBLE"): 1e-6,
    ("WAV", "ULAW"): 0.05,
    ("WAV", "ALAW"): 0.05,
    ("WAV", "IMA_ADPCM"): 0.1,
    ("WAV", "MS_ADPCM"): 0.1,
    ("WAV", "GSM610"): 0.5,
    ("WAVEX", "PCM_16"): 1e-3,
    ("RF64", "PCM_16"): 1e-3,
    ("W64", "PCM_16"): 1e-3,
    ("FLAC", "PCM_16"): 1e-3,
    ("AIFF", "PCM_16"): 1e-3,
    ("AU", "PCM_16"): 1e-3,
    ("CAF", "PCM_16"): 1e-3,
    ("OGG", "VORBIS"): 0.3,
    ("OGG", "OPUS"): 0.3,
    ("MP3", "MPEG_LAYER_III"): 0.3,
}
LENGTH_IN_HEADER = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "FLOAT"),
    ("WAV", "ULAW"),
    ("WAV", "IMA_ADPCM"),
    ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


@pytest.mark.parametrize(("container", "coding"), FORMATS)
def test_every_format_gives_the_sound_back(container: str, coding: str) -> None:
    wave = make_tone(440, 1.0, 16_000)
    data = encode_sound(wave, 16_000, format=container, subtype=coding)
    decoded = decode_wave(data, None, 16_000)
    assert decoded.dtype == np.float32
    # Lossy coders may add padding; none loses the clip's start or end.
    assert 16_000 <= len(decoded) <= 16_000 + 2_400
    if container == "MP3":
        assert measure_hz(decoded, 16_000) == pytest.approx(440, abs=2)
    else:
        error = np.sqrt(np.mean((decoded[:16_000] - wave) ** 2) / np.mean(wave**2))
        assert error < FORMATS[container, coding]


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_every_rate_arrives_at_the_models_rate(rate: int) -> None:
    data = encode_sound(make_tone(440, 1.0, rate), rate)
    wave = decode_wave(data, None, 16_000)
    assert len(wave) == pytest.approx(16_000, abs=2)
    assert measure_hz(wave, 16_000) == pytest.approx(440, abs=2)
    assert np.sqrt(np.mean(wave**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.03)


@pytest.mark.parametrize("num_channels", range(1, 9))
def test_mono_is_the_mean_over_channels(num_channels: int) -> None:
    rng = np.random.default_rng(num_channels)
    channels = rng.uniform(-0.5, 0.5, (4_000, num_channels)).astype(np.float32)
    data = encode_sound(channels, 16_000, subtype="FLOAT")
    np.testing.assert_allclose(decode_wave(data, None, 16_000), channels.mean(axis=1), atol=1e-6)


def test_a_path_is_read_when_there_are_no_bytes(tmp_path: Path) -> None:
    wave = make_tone(440, 0.1)
    soundfile.write(tmp_path / "clip.flac", wave, 16_000)
    decoded = decode_wave(None, str(tmp_path / "clip.flac"), 16_000)
    np.testing.assert_allclose(decoded, wave, atol=1e-4)


@pytest.mark.parametrize(("container", "coding"), LENGTH_IN_HEADER)
@pytest.mark.parametrize("share", [0.5, 0.93])
def test_a_file_cut_short_is_truncated(container: str, coding: str, share: float) -> None:
    whole = encode_sound(make_tone(440, 2.0), 16_000, format=container, subtype=coding)
    with pytest.raises(AudioError) as caught:
        decode_wave(whole[: int(len(whole) * share)], None, 16_000)
    assert caught.value.reason == "truncated"


def test_libsndfile_alone_would_not_see_the_cut() -> None:
    whole = encode_sound(make_tone(440, 2.0), 16_000)
    with soundfile.SoundFile(io.BytesIO(whole[: len(whole) // 2])) as file:
        assert file.frames == len(file.read()) < 32_000


@pytest.mark.parametrize("container", ["FLAC", "CAF"])
def test_a_cut_that_stops_the_decoder_is_unreadable(container: str) -> None:
    whole = encode_sound(make_tone(440, 2.0), 16_000, format=container, subtype="PCM_16")
    with pytest.raises(AudioError) as caught:
        decode_wave(whole[: len(whole) // 2], None, 16_000)
    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF])
def test_a_wav_from_a_pipe_promises_nothing(size: int) -> None:
    data = bytearray(encode_sound(make_tone(440, 0.5), 16_000))
    place = data.index(b"data") + 4
    data[place : place + 4] = struct.pack("<I", size)
    data[4:8] = struct.pack("<I", size)
    assert len(decode_wave(bytes(data), None, 16_000)) == 8_000


def test_chunks_after_the_sound_and_odd_sizes_are_no_cut() -> None:
    data = encode_sound(make_tone(440, 0.5)[:7_999], 16_000, subtype="PCM_U8")
    assert len(decode_wave(data + b"LIST\x04\0\0\0abcd", None, 16_000)) == 7_999
    assert len(decode_wave(data[:-1], None, 16_000)) == 7_999  # the padding byte


def test_a_w64_whose_chunk_ends_before_its_start_is_refused() -> None:
    """Found by tests/faults/fuzz_decode.py: the reader of chunks never ended."""
    data = encode_sound(make_tone(440, 0.01), 16_000, format="W64")
    place = data.index(b"fmt ") + 16  # the length, of 8 bytes, includes the 24 of name and length
    with contextlib.suppress(AudioError):
        decode_wave(data[:place] + bytes(8) + data[place + 8 :], None, 16_000)


def test_a_flac_of_unknown_length_is_read_whole() -> None:
    wave = make_tone(440, 6.0)
    data = bytearray(encode_sound(wave, 16_000, format="FLAC"))
    data[21] &= 0xF0  # STREAMINFO: the low 36 bits of bytes 21 to 25 count the samples
    data[22:26] = bytes(4)
    np.testing.assert_allclose(decode_wave(bytes(data), None, 16_000), wave, atol=1e-4)


def make_clip_with(value: float) -> bytes:
    """Return a float wav with one sample of this value."""
    wave = make_tone(440, 0.1)
    wave[100] = value
    return encode_sound(wave, 16_000, subtype="FLOAT")


FAULTS: dict[str, tuple[Callable[[], bytes | None], str]] = {
    "no bytes and no path": (lambda: None, "missing file"),
    "no bytes at all": (lambda: b"", "empty"),
    "a header without sound": (lambda: encode_sound(np.zeros(0, np.float32), 8_000), "empty"),
    "text": (lambda: b"this is no sound, but a page of text", "unreadable"),
    "zeros": (lambda: bytes(1000), "unreadable"),
    "not a number": (lambda: make_clip_with(np.nan), "not finite"),
    "infinity": (lambda: make_clip_with(np.inf), "not finite"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_clip_has_its_reason(name: str) -> None:
    make, reason = FAULTS[name]
    with pytest.raises(AudioError) as caught:
        decode_wave(make(), None, 16_000)
    assert caught.value.reason == reason


def test_a_path_that_is_not_there_or_a_folder_is_a_missing_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.wav", tmp_path):
        with pytest.raises(AudioError, match="missing file"):
            decode_wave(None, str(path), 16_000)


def test_a_clip_that_resampling_leaves_empty_is_empty() -> None:
    data = encode_sound(np.full(1, 0.5, np.float32), 192_000)
    with pytest.raises(AudioError, match="empty"):
        decode_wave(data, None, 4_000)


def test_silence_is_sound() -> None:
    data = encode_sound(np.zeros(1_600, np.float32), 16_000)
    assert decode_wave(data, None, 16_000).tolist() == [0.0] * 1_600


def test_a_longer_clip_than_allowed_is_refused_by_its_header(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = encode_sound(make_tone(440, 1.0), 16_000)
    assert len(decode_wave(data, None, 16_000, max_seconds=1.0)) == 16_000
    monkeypatch.setattr(decode, "_read_samples", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(AudioError, match=r"too long: 1\.0 s"):
        decode_wave(data, None, 16_000, max_seconds=0.99)


def test_a_sound_keeps_its_rate_channels_and_encoding() -> None:
    stereo = np.stack([make_tone(440, 0.1, 8_000)] * 2, axis=1)
    whole = decode_file(encode_sound(stereo, 8_000, subtype="PCM_24"), None)
    assert whole.samples.shape == (800, 2)
    assert (whole.sampling_rate, whole.encoding) == (8_000, "WAV PCM_24")


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x20ftypM4A ", "m4a"),
        (b"\x1a\x45\xdf\xa3", "webm"),
        (bytes.fromhex("3026b2758e66cf11"), "wma"),
    ],
)
def test_without_pyav_the_error_names_the_extra(
    head: bytes, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)  # as if it were not installed
    with pytest.raises(AudioError, match=rf"{name}.*pip install 'audio-cls\[formats\]'"):
        decode_wave(head + bytes(100), None, 16_000)


@pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="PyAV is not installed")
@pytest.mark.parametrize(
    ("container", "codec"), [("mp4", "aac"), ("webm", "libopus"), ("asf", "wmav2"), ("adts", "aac")]
)
@pytest.mark.parametrize("num_channels", [1, 2])
def test_pyav_reads_what_libsndfile_does_not(
    container: str, codec: str, num_channels: int, tmp_path: Path
) -> None:
    data = encode_by_pyav(make_tone(440, 2.0, 48_000), container, codec, num_channels)
    (tmp_path / "clip").write_bytes(data)
    for wave in (
        decode_wave(data, None, 16_000),
        decode_wave(None, str(tmp_path / "clip"), 16_000),
    ):
        assert len(wave) == pytest.approx(32_000, abs=1_600)
        assert measure_hz(wave, 16_000) == pytest.approx(440, abs=2)
    with pytest.raises(AudioError, match=r"unreadable|empty"):
        decode_wave(data[:60], None, 16_000)


@pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="PyAV is not installed")
def test_a_codec_that_pyav_does_not_know_is_unreadable() -> None:
    """Found by tests/faults/fuzz_decode.py: such a stream has no sampling rate."""
    data = encode_by_pyav(make_tone(440, 0.1, 48_000), "matroska", "aac", 1)
    with pytest.raises(AudioError, match=r"unreadable: the codec .* is unknown"):
        decode_wave(data.replace(b"A_AAC", b"A_AAX"), None, 16_000)


def test_clips_are_named_by_their_files_where_those_are_unique() -> None:
    def make(names: list[str | None]) -> Dataset:
        rows = {"audio": [{"bytes": b"", "path": name} for name in names]}
        return Dataset.from_dict(rows).cast_column("audio", Audio(decode=False))

    unique = {"train": make(["a/1.wav", "a/2.wav"]), "test": make(["b/3.wav"])}
    assert read_clip_ids(unique, "audio").tolist() == ["1.wav", "2.wav", "3.wav"]
    for names in (["x/1.wav", "y/1.wav"], ["1.wav", None]):
        same = {"train": make(names), "test": make(["3.wav"])}
        assert read_clip_ids(same, "audio").tolist() == ["train/0", "train/1", "test/0"]


def test_clips_without_a_path_are_named_by_their_file_column() -> None:
    clip = encode_sound(make_tone(300, 0.1), 16_000)
    table = make_table([clip, clip], file=["/home/x/a.wav", "/home/x/b.wav"])
    assert read_clip_ids({"train": table}, "audio").tolist() == ["a.wav", "b.wav"]
