"""Columns of decoded samples become clips with the same samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, Features, List, Value
from hub_datasets import load

from audio_cls.audio.decode import decode_file
from audio_cls.data.sources.columns.clip_ids import read_clip_ids
from audio_cls.errors import DatasetError

RNG = np.random.default_rng(0)
WAVES = [RNG.uniform(-1, 1, size).astype(np.float32) for size in (400, 500)]


def write(folder: Path, columns: dict[str, Any], **kinds: Any) -> Path:  # noqa: ANN401
    """Write one parquet file of clips, with a label."""
    columns = {**columns, "label": ["cat", "dog", "cat"][: len(next(iter(columns.values())))]}
    features = {**Dataset.from_dict(columns).features, **kinds}
    table = Dataset.from_dict(columns, features=Features(features))
    table.to_parquet(str(folder / "train-00000-of-00001.parquet"))
    return folder


def decode(folder: Path) -> list[tuple[int, np.ndarray]]:
    """Return rate and samples (T, C) of every clip."""
    source = load(folder)
    sounds = [
        decode_file(cell["bytes"], cell["path"])
        for cell in source.splits["train"].with_format(None)[source.audio_column][:]
    ]
    return [(sound.sampling_rate, sound.samples) for sound in sounds]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_structs_of_array_and_rate_keep_every_sample(dtype: str, tmp_path: Path) -> None:
    rates = (8_000, 44_100)
    cells = [
        {"array": wave.tolist(), "sampling_rate": rate}
        for wave, rate in zip(WAVES, rates, strict=True)
    ]
    kind = {"array": List(Value(dtype)), "sampling_rate": Value("int64")}
    found = decode(write(tmp_path, {"audio": cells}, audio=kind))
    assert [rate for rate, _ in found] == [8_000, 44_100]
    for (_, samples), wave in zip(found, WAVES, strict=True):
        np.testing.assert_array_equal(samples[:, 0], wave)


def test_paths_of_arrays_name_the_clips(tmp_path: Path) -> None:
    cells = [
        {"path": f"/x/{n}.wav", "array": w.tolist(), "sampling_rate": 8_000}
        for n, w in enumerate(WAVES)
    ]
    source = load(write(tmp_path, {"audio": cells}))
    assert read_clip_ids(source.splits, "audio").tolist() == ["0.wav", "1.wav"]


def test_lists_with_a_column_of_rates_are_read(tmp_path: Path) -> None:
    columns = {"sound": [w.tolist() for w in WAVES], "sampling_rate": [8_000, 16_000]}
    found = decode(write(tmp_path, columns))
    assert [rate for rate, _ in found] == [8_000, 16_000]
    np.testing.assert_array_equal(found[1][1][:, 0], WAVES[1])


def test_lists_without_a_rate_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {"sound": [w.tolist() for w in WAVES]})
    with pytest.raises(DatasetError, match=r"'sound' holds lists of numbers.*'sampling_rate'"):
        load(tmp_path)


def test_integers_are_scaled_by_their_type_and_those_of_64_bits_refused(tmp_path: Path) -> None:
    cells = [{"array": [16_384, -32_768, 0] * 9, "sampling_rate": 8_000}] * 2
    narrow = {"array": List(Value("int16")), "sampling_rate": Value("int32")}
    found = decode(write(tmp_path, {"audio": cells}, audio=narrow))
    np.testing.assert_array_equal(found[0][1][:3, 0], [0.5, -1.0, 0.0])
    wide = {"array": List(Value("int64")), "sampling_rate": Value("int32")}
    with pytest.raises(DatasetError, match="of type int64: floating-point numbers"):
        load(write(tmp_path, {"audio": cells}, audio=wide))


def test_several_lists_are_channels(tmp_path: Path) -> None:
    stereo = np.stack([WAVES[0], -WAVES[0] / 2])
    cells = [{"array": part.tolist(), "sampling_rate": 8_000} for part in (stereo, stereo.T)]
    for _, samples in decode(write(tmp_path, {"audio": cells})):
        np.testing.assert_array_equal(samples, stereo.T)


def test_a_clip_without_samples_or_rate_is_missing(tmp_path: Path) -> None:
    whole = {"array": WAVES[0].tolist(), "sampling_rate": 8_000}
    cells = [whole, None, {**whole, "sampling_rate": None}]
    table = load(write(tmp_path, {"audio": cells})).splits["train"].with_format(None)
    assert [cell is None for cell in table["audio"][:]] == [False, True, True]
