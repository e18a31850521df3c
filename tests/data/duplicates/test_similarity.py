"""Tests of audio_cls.data.duplicates.similarity and near."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from datasets import Dataset
from prepared import ids_of, prepare
from sounds import Wave, encode_sound

from audio_cls.audio.fingerprint import BANDS, Fingerprint, make_fingerprint
from audio_cls.data.clips.clips import Clips
from audio_cls.data.duplicates import near
from audio_cls.data.duplicates.similarity import (
    NEIGHBOURS,
    find_near_duplicates,
    find_neighbours,
    fingerprint_similarity,
    waveform_correlation,
)

RATE = 16_000


def make_music(seed: int, seconds: float = 2.0) -> Wave:
    """Make notes of random pitch, length and loudness, with overtones."""
    rng, parts = np.random.default_rng(seed), []
    while sum(map(len, parts)) < seconds * RATE:
        time = np.arange(int(rng.uniform(0.08, 0.3) * RATE)) / RATE
        hz = rng.uniform(200, 900)
        note = sum(np.sin(2 * np.pi * hz * n * time) / n for n in (1, 2, 3))
        parts.append(rng.uniform(0.05, 0.25) * note * np.exp(-4 * time))
    return np.concatenate(parts)[: round(seconds * RATE)].astype(np.float32)


def encode_again(wave: Wave, rate: int, kind: str) -> Wave:
    """Write a wave in a lossy format and read it back at RATE."""
    coded = encode_sound(soxr.resample(wave, RATE, rate), rate, format=kind)
    read, _ = soundfile.read(io.BytesIO(coded), dtype="float32")
    return np.asarray(soxr.resample(read, rate, RATE), dtype=np.float32)


COPIES = {
    "mp3": lambda wave: encode_again(wave, RATE, "MP3"),
    "ogg at another rate": lambda wave: encode_again(wave, 22_050, "OGG"),
    "softer": lambda wave: wave / 8,
    "turned over": np.negative,
    "through 8 kHz": lambda wave: soxr.resample(soxr.resample(wave, RATE, 8_000), 8_000, RATE),
    "begins later": lambda wave: wave[3_000:],
    "ends earlier": lambda wave: wave[:-3_000],
    "with silence around": lambda wave: np.pad(wave, 2_000),
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_found_and_nothing_else(kind: str) -> None:
    waves = [make_music(seed) for seed in range(12)]
    waves.append(np.asarray(COPIES[kind](waves[5]), dtype=np.float32))
    prints = [make_fingerprint(wave, RATE) for wave in waves]
    found = find_near_duplicates(prints, partial(waveform_correlation, waves.__getitem__, RATE))
    assert [pair[:2] for pair in found] == [(5, 12)]
    assert 0.95 <= found[0][2] <= 1.0001


def test_a_fingerprint_is_small_and_independent_of_loudness() -> None:
    wave = make_music(1, seconds=30)
    own = make_fingerprint(wave, RATE)
    assert own.shape[1] == BANDS and own.nbytes < 6_000
    np.testing.assert_array_equal(own, make_fingerprint(wave / 16, RATE))


def test_two_takes_of_one_melody_are_not_one_recording() -> None:
    first, second = make_music(3), make_music(3)
    second = second + np.random.default_rng(0).normal(0, 0.2, len(second)).astype(np.float32)
    same, other = waveform_correlation(
        [first, second].__getitem__, RATE, np.array([(0, 0), (0, 1)])
    )
    assert same == pytest.approx(1, abs=1e-3)
    assert other < 0.95


@pytest.mark.parametrize("wave", [np.zeros(0), np.zeros(8_000), np.ones(300)])
def test_clips_without_fingerprint_are_no_duplicates(wave: Wave) -> None:
    prints = [make_fingerprint(wave.astype(np.float32), RATE)] * 2
    assert find_near_duplicates(prints, partial(waveform_correlation, lambda _: wave, RATE)) == []
    assert len(prints[0]) == 0


def test_near_duplicates_are_reported_and_kept_and_computed_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split, start in (("train", 0), ("validation", 20), ("test", 40)):
        for number in range(6):
            path = tmp_path / "set" / split / "ab"[number % 2] / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            wave = make_music(start + number, 0.6)
            if (split, number) == ("test", 3):
                wave = encode_again(make_music(1, 0.6), RATE, "MP3")
            soundfile.write(path, wave, RATE)
    clips = prepare(tmp_path / "set").clips
    (pair,) = clips.near_duplicates
    assert {pair.id, pair.similar_to} == {"train/b/1.wav", "test/b/3.wav"} and pair.is_leak
    assert "1 pair of clips is near-duplicate (1 across splits" in caplog.text
    assert all(len(own) == 6 for own in ids_of(clips).values())
    clips.save(tmp_path)
    assert "train/b/1.wav" in (tmp_path / "near_duplicates.csv").read_text()
    monkeypatch.setattr(near, "find_near_duplicates", None)  # the second time reads the first
    assert prepare(tmp_path / "set").clips.near_duplicates == clips.near_duplicates


def test_many_waveforms_are_compared_in_processes_with_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        path = tmp_path / "set" / "ab"[number % 2] / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, make_music(number, 0.3), RATE)
    clips = prepare(tmp_path / "set").clips.train
    assert isinstance(clips, Clips)
    pairs = np.array([(one, two) for two in range(len(clips)) for one in range(two)])
    alone = near._compare_rows(pairs, clips)
    assert len(np.unique(alone)) == len(pairs)
    told, stock = [], Dataset.map
    monkeypatch.setattr(near, "PAIRS_PER_PROCESS", len(pairs) // 2)
    monkeypatch.setattr(near.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(
        Dataset, "map", lambda *args, **how: told.append(how["num_proc"]) or stock(*args, **how)
    )
    np.testing.assert_array_equal(near._compare_rows(pairs, clips), alone)
    assert told == [2]


def correlate_everywhere(one: Wave, two: Wave) -> float:
    """Return the largest correlation of two waves over all shifts, one by one, at half the rate."""
    best = 0.0
    for start in (0, 1):
        even = (own[: len(own) // 2 * 2].reshape(-1, 2) for own in (one[start:], two))
        first, second = (own.mean(axis=1) - own.mean() for own in even)
        product = np.correlate(first, second, "full")
        lag = int(np.abs(product).argmax()) - len(second) + 1
        first, second = first[max(0, lag) :], second[max(0, -lag) :]
        both = min(len(first), len(second))
        first, second = first[:both], second[:both]
        best = max(best, abs(first @ second) / np.sqrt((first @ first) * (second @ second)))
    return best


def test_waves_of_many_lengths_are_compared_as_each_pair_alone() -> None:
    waves = [make_music(seed % 5, 0.2 + 0.05 * seed) for seed in range(10)]
    waves.append(waves[1][801:])  # begins between two of the means
    waves.append(-waves[2] + np.random.default_rng(0).normal(0, 0.1, len(waves[2])).astype("f4"))
    pairs = np.array([(one, two) for two in range(12) for one in range(two)])
    found = waveform_correlation(waves.__getitem__, RATE, pairs)
    expected = [correlate_everywhere(waves[one], waves[two]) for one, two in pairs]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found[(pairs == (1, 10)).all(axis=1)] > 0.999
    assert 0.5 < found[(pairs == (2, 11)).all(axis=1)] < 0.95
    assert waveform_correlation(waves.__getitem__, RATE, pairs[:0]).shape == (0,)


def compare(one: Fingerprint, two: Fingerprint) -> float:
    """Compare two pictures."""
    return float(fingerprint_similarity([one, two], np.array([[0, 1]]))[0])


def test_fingerprints_correlate_by_the_best_of_their_shifts() -> None:
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (300, BANDS), dtype=np.uint8)
    one, two = base[40:100], base[50:130]  # the first begins 10 frames before the second
    assert compare(one, two) == pytest.approx(1)
    assert compare(two, one) == pytest.approx(1)
    other = base[200:260]
    shifted = [
        np.corrcoef(
            one[::2][max(0, -lag) : 30 - lag].ravel(), other[::2][max(0, lag) : 30 + lag].ravel()
        )
        for lag in range(-10, 11)  # two thirds of 30 frames lie upon each other
    ]
    assert compare(one, other) == pytest.approx(max(c[0, 1] for c in shifted), abs=1e-6)
    assert compare(np.full_like(one, 7), two) == -1


def test_pairs_of_many_lengths_are_compared_as_each_alone() -> None:
    rng = np.random.default_rng(1)
    prints = [rng.integers(0, 256, (n, BANDS), dtype=np.uint8) for n in (5, 5, 30, 31, 31, 90)]
    pairs = np.array([(one, two) for one in range(6) for two in range(6) if one != two])
    alone = [compare(prints[one], prints[two]) for one, two in pairs]
    assert fingerprint_similarity(prints, pairs).tolist() == alone
    assert len(set(alone)) > 10


def test_neighbours_are_those_of_a_plain_search_however_many_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    nearest = np.argsort(distances, axis=1)[:, 1 : NEIGHBOURS + 1]
    wanted = {(min(row, n), max(row, n)) for row, own in enumerate(nearest.tolist()) for n in own}
    for at_once in (7, 1000):
        monkeypatch.setattr("audio_cls.data.duplicates.similarity.ROWS_AT_ONCE", at_once)
        assert find_neighbours(points).tolist() == sorted(map(list, wanted))
