"""Log-mel statistics: the values of transformers and numpy, in blocks and from the cache."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from datasets import Dataset, Features, LargeList, Value
from numpy.typing import NDArray
from tones import make_tone
from transformers.audio_utils import mel_filter_bank, spectrogram

from audio_cls.audio.waveform import hash_wave
from audio_cls.data.clips.clips import Clips
from audio_cls.evaluation.baseline import features, log_mel
from audio_cls.evaluation.baseline.features import read_statistics
from audio_cls.evaluation.baseline.log_mel import BANDS, compute_levels, compute_statistics
from audio_cls.storage.cache import cache_path

RATE = 16_000
COLUMNS = Features({"wave": LargeList(Value("float32")), "hash": Value("string")})


def make_clips(waves: list[NDArray[np.float32]], rows: list[int] | None = None) -> Clips:
    """Return clips of a decoded table of these waves; of some rows of it."""
    table = Dataset.from_dict(
        {"wave": waves, "hash": [hash_wave(wave) for wave in waves]}, features=COLUMNS
    )
    places = np.arange(len(waves)) if rows is None else np.array(rows)
    lengths = np.array([len(wave) for wave in waves])[places]
    return Clips(table, places, places % 2, places.astype(str), lengths, RATE)


def measure(wave: NDArray[np.float32], rate: int = RATE) -> NDArray[np.float32]:
    """Return the statistics of a wave."""
    return compute_statistics(lambda start, stop: wave[start:stop], len(wave), rate)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_levels_are_those_of_transformers(rate: int) -> None:
    wave, num_fft = make_tone(440, 0.31, rate), {8_000: 256, 16_000: 512, 44_100: 2048}[rate]
    length = round(0.025 * rate)
    expected = spectrogram(
        wave,
        np.hanning(length),
        frame_length=length,
        hop_length=round(0.01 * rate),
        fft_length=num_fft,
        power=2.0,
        center=False,
        mel_filters=mel_filter_bank(num_fft // 2 + 1, BANDS, 0.0, rate / 2, rate, mel_scale="htk"),
        log_mel="log",
    )
    np.testing.assert_allclose(compute_levels(wave, rate), expected.T, atol=2e-3)


def test_statistics_are_mean_deviation_and_deviation_of_differences() -> None:
    wave = make_tone(700, 1.3) * np.linspace(0, 1, round(1.3 * RATE), dtype=np.float32)
    levels = compute_levels(wave, RATE).astype(np.float64)
    expected = [levels.mean(axis=0), levels.std(axis=0), np.diff(levels, axis=0).std(axis=0)]
    np.testing.assert_allclose(measure(wave), np.concatenate(expected), atol=1e-4)
    with mock.patch.object(log_mel, "BLOCK_FRAMES", 7):  # the same in blocks, joined
        with mock.patch.object(log_mel, "MAX_BLOCKS", 1000):
            np.testing.assert_allclose(measure(wave), np.concatenate(expected), atol=1e-4)
        with mock.patch.object(log_mel, "MAX_BLOCKS", 3):  # the first, middle and last block
            num_blocks = -(-len(levels) // 7)
            parts = [levels[7 * n : 7 * n + 7] for n in (0, (num_blocks - 1) // 2, num_blocks - 1)]
            changes = np.vstack([np.diff(part, axis=0) for part in parts])
            found = measure(wave)
            np.testing.assert_allclose(found[:BANDS], np.vstack(parts).mean(axis=0), atol=1e-4)
            np.testing.assert_allclose(found[2 * BANDS :], changes.std(axis=0), atol=1e-4)


def test_short_and_silent_clips_have_finite_statistics() -> None:
    for num_samples in (1, 399, 400, 559, 560):
        found = measure(make_tone(300, 1.0)[:num_samples])
        assert np.isfinite(found).all()
        assert (found[BANDS:] == 0).all() == (num_samples < 560)  # one frame has no deviation
    silent = measure(np.zeros(RATE, np.float32))
    assert (silent[BANDS:] == 0).all() and silent[0] == pytest.approx(np.log(1e-10))


@pytest.fixture
def counted() -> mock.MagicMock:
    """Count the clips whose statistics are computed."""
    with mock.patch.object(features, "compute_statistics", side_effect=compute_statistics) as made:
        yield made


def test_each_clip_of_a_table_is_computed_once(counted: mock.MagicMock) -> None:
    waves = [make_tone(200 + 100 * number, 0.1, seed=number) for number in range(6)]
    some = read_statistics(make_clips(waves, [4, 1]))
    assert counted.call_count == 2
    np.testing.assert_array_equal(some, [measure(waves[4]), measure(waves[1])])
    every = make_clips(waves)
    np.testing.assert_array_equal(read_statistics(every), [measure(wave) for wave in waves])
    assert counted.call_count == 6
    np.testing.assert_array_equal(read_statistics(every, np.array([4, 1])), some)
    assert counted.call_count == 6
    changed = [*waves[:5], waves[5][::-1].copy()]  # other audio has another entry
    read_statistics(make_clips(changed, [0]))
    assert counted.call_count == 7


def test_a_damaged_cache_is_computed_again(counted: mock.MagicMock) -> None:
    clips = make_clips([make_tone(900, 0.1, seed=77)])
    before = {*cache_path("log_mel").glob("*/statistics.npz")}
    right = read_statistics(clips)
    (file,) = {*cache_path("log_mel").glob("*/statistics.npz")} - before
    for content in (b"", b"PK no archive", Path(__file__).read_bytes()):
        file.write_bytes(content)
        np.testing.assert_array_equal(read_statistics(clips), right)
    assert counted.call_count == 4
