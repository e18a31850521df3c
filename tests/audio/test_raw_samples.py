"""Raw samples: every encoding, blocks of a pipe, the WAV file of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_cls.audio.raw_samples import SAMPLE_FORMATS, RawFormat, read_raw_blocks, save_raw

SUBTYPES = {"u8": "PCM_U8", "s16le": "PCM_16", "s24le": "PCM_24", "s32le": "PCM_32"}


def encode(wave: np.ndarray, name: str) -> bytes:
    """Encode samples (T, C) by libsndfile, without a header."""
    buffer = io.BytesIO()
    subtype = SUBTYPES.get(name, "FLOAT")
    soundfile.write(buffer, wave, 8000, format="RAW", subtype=subtype, endian="LITTLE")
    return buffer.getvalue()


@pytest.mark.parametrize("name", SAMPLE_FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_are_those_of_libsndfile(name: str, channels: int, tmp_path: Path) -> None:
    wave = np.random.default_rng(0).uniform(-1, 1, (5001, channels)).astype(np.float32)
    wave[:2] = [[-1.0], [0.0]]
    data = encode(wave, name)
    raw = RawFormat(8000, name, channels)
    blocks = list(read_raw_blocks(io.BytesIO(data + b"\1" * (channels > 1)), raw))
    assert [len(block) for block in blocks] == [2000, 2000, 1001]
    (tmp_path / "a.raw").write_bytes(data)
    expected, _ = soundfile.read(
        tmp_path / "a.raw", dtype="float32", always_2d=True, format="RAW", channels=channels,
        samplerate=8000, subtype=SUBTYPES.get(name, "FLOAT"), endian="LITTLE",
    )  # fmt: skip
    assert np.array_equal(np.concatenate(blocks), expected)
    save_raw(io.BytesIO(data), raw, tmp_path / "a.w64")
    saved, rate = soundfile.read(tmp_path / "a.w64", dtype="float32", always_2d=True)
    assert rate == 8000 and np.array_equal(saved, expected)


def test_a_pipe_that_gives_few_bytes_at_a_time_loses_none() -> None:
    data = np.arange(3000, dtype="<i2").tobytes()

    class Pipe(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 333))

    blocks = list(read_raw_blocks(Pipe(data), RawFormat(8000)))
    joined = np.concatenate(blocks)[:, 0] * 2**15
    assert joined.tolist() == list(range(3000))
