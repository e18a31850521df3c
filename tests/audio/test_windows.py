"""The promises of audio_cls.audio.windows, on lengths that can be checked on paper."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest

from audio_cls.audio.windows import (
    choose_crop,
    choose_length,
    cut_wave,
    cut_windows,
    list_windows,
    repeat_wave,
    seconds_to_samples,
)
from audio_cls.config import AudioConfig
from audio_cls.inference.aggregation import aggregate_windows

LOGITS = np.log([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.6, 0.3]])  # three windows, three labels


def test_crops_reach_every_start_and_the_last_sample() -> None:
    rng = np.random.default_rng(0)
    crops = [choose_crop(10, 7, rng) for _ in range(400)]
    starts = [start for start, _ in crops]
    assert set(starts) == {0, 1, 2, 3}
    assert all(stop - start == 7 for start, stop in crops)
    assert max(stop for _, stop in crops) == 10
    assert np.bincount(starts).min() > 70  # of 100 expected: no start is rare


def test_lengths_between_the_shortest_and_the_longest_are_equally_likely() -> None:
    rng = np.random.default_rng(0)
    lengths = [choose_length(3, 6, rng) for _ in range(400)]
    assert set(lengths) == {3, 4, 5, 6}
    assert np.bincount(lengths)[3:].min() > 70  # of 100 expected
    state = rng.bit_generator.state
    assert choose_length(6, 6, rng) == 6
    assert rng.bit_generator.state == state, "runs without --min-seconds hear what they heard"


@pytest.mark.parametrize("length", [1, 6, 7])
def test_a_clip_no_longer_than_the_piece_is_taken_whole(length: int) -> None:
    rng = np.random.default_rng(0)
    state = rng.bit_generator.state
    assert choose_crop(length, 7, rng) == (0, length)
    assert rng.bit_generator.state == state


def test_seconds_become_at_least_one_sample() -> None:
    assert seconds_to_samples(1e-9, 16_000) == 1
    assert seconds_to_samples(1.00004, 10_000) == 10_000


@pytest.mark.parametrize("length", [1, 3, 4, 5, 8, 9, 11, 12, 100])
@pytest.mark.parametrize("hop", [None, 1.0, 3.0, 4.0])
def test_windows_hear_every_sample_and_end_with_the_clip(length: int, hop: float | None) -> None:
    windows = list_windows(length, AudioConfig(max_seconds=4, hop_seconds=hop), 1)
    heard = {sample for start, stop in windows for sample in range(start, stop)}
    assert heard == set(range(length))
    assert len(set(windows)) == len(windows)
    assert {stop - start for start, stop in windows} == {min(4, length)}
    assert windows == sorted(windows)


def test_an_end_of_less_than_a_twentieth_of_a_window_is_left_out() -> None:
    cfg = AudioConfig(max_seconds=5)  # of ESC-10, at 16 kHz: clips of 5.005 s
    assert list_windows(80_080, cfg, 16_000) == [(0, 80_000)]
    assert list_windows(83_999, cfg, 16_000) == [(0, 80_000)]
    assert list_windows(84_000, cfg, 16_000) == [(0, 80_000), (4_000, 84_000)]
    short_hop = AudioConfig(max_seconds=5, hop_seconds=0.1)
    assert list_windows(81_700, short_hop, 16_000) == [(0, 80_000), (1600, 81_600)]


def test_the_window_may_be_shorter_than_the_training_piece() -> None:
    cfg = AudioConfig(max_seconds=8, window_seconds=2, hop_seconds=1)
    assert list_windows(4, cfg, 1) == [(0, 2), (1, 3), (2, 4)]


def test_first_hears_the_first_window_only() -> None:
    assert list_windows(100, AudioConfig(max_seconds=4, aggregate="first"), 1) == [(0, 4)]
    assert list_windows(3, AudioConfig(max_seconds=4, aggregate="first"), 1) == [(0, 3)]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        # Geometric means, scaled: (0.7 * 0.2 * 0.1) ** (1/3) = 0.2410 and so on.
        ("mean-logit", np.array([0.2410, 0.3915, 0.2080]) / 0.8405),
        ("mean-probability", [1 / 3, 1.3 / 3, 0.7 / 3]),
        ("max", np.array([0.7, 0.6, 0.3]) / 1.6),
        ("vote", [1 / 3, 2 / 3, 0]),
        ("first", [0.7, 0.2, 0.1]),
    ],
)
def test_window_scores_become_the_clips_score(how: str, expected: list[float]) -> None:
    scores = aggregate_windows(LOGITS, how)
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert scores.sum() == pytest.approx(1)


@pytest.mark.parametrize("how", ["mean-logit", "mean-probability", "max", "first"])
def test_one_window_is_the_clips_score_whatever_the_size_of_its_logits(how: str) -> None:
    scores = aggregate_windows(np.array([[1000.0, 999.0]]), how)
    np.testing.assert_allclose(scores, [0.7311, 0.2689], atol=1e-4)


def test_a_tied_vote_goes_to_neither_but_counts_shares() -> None:
    assert aggregate_windows(np.array([[1.0, 0.0], [0.0, 1.0]]), "vote").tolist() == [0.5, 0.5]
    assert aggregate_windows(np.array([[1.0, 1.0]]), "vote").tolist() == [1.0, 0.0]


def test_a_short_clip_is_repeated_into_one_whole_window() -> None:
    cfg = AudioConfig(max_seconds=4, repeat_short=True)
    assert list_windows(3, cfg, 1) == [(0, 4)]
    assert list_windows(4, cfg, 1) == [(0, 4)]
    assert list_windows(6, cfg, 1) == [(0, 4), (2, 6)]


def test_repeating_starts_from_the_start_and_ends_anywhere() -> None:
    wave = np.array([1, 2, 3], np.float32)
    assert repeat_wave(wave, 8).tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert repeat_wave(wave, 2).tolist() == [1, 2]
    assert repeat_wave(wave[:0], 2).tolist() == [0, 0]


@pytest.mark.parametrize("aggregate", ["mean-logit", "first"])
@pytest.mark.parametrize("repeat_short", [False, True])
@pytest.mark.parametrize("hop", [None, 0.06, 0.6, 1.4, 1.9])
def test_windows_of_blocks_are_the_listed_ones(
    aggregate: Literal["mean-logit", "first"], hop: float | None, *, repeat_short: bool
) -> None:
    rate, rng = 50, np.random.default_rng(0)
    cfg = AudioConfig(
        window_seconds=2.0, hop_seconds=hop, aggregate=aggregate, repeat_short=repeat_short
    )
    for length in range(1, 260):
        wave = np.arange(length, dtype=np.float32)
        places = np.sort(rng.integers(0, length + 1, rng.integers(0, 5)))
        found = list(cut_windows(np.split(wave, places), cfg, rate))
        listed = list_windows(length, cfg, rate)
        assert [(one.start, one.stop) for one in found] == [(a, min(b, length)) for a, b in listed]
        for one, (start, stop) in zip(found, listed, strict=True):
            assert np.array_equal(one.wave, cut_wave(wave, start, stop))


def test_a_window_comes_as_soon_as_its_samples_are_there() -> None:
    read: list[int] = []

    def blocks() -> Iterator[np.ndarray]:
        for number in range(8):
            read.append(number)
            yield np.zeros(1, np.float32)

    cfg = AudioConfig(window_seconds=4, hop_seconds=2)
    stops = [(one.stop, len(read)) for one in cut_windows(blocks(), cfg, 1)]
    assert stops == [(4, 4), (6, 6), (8, 8)]
