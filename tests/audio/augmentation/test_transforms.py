"""Tests of audio_cls.audio.augmentation.transforms and of the probabilities of effects."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sounds import make_noise as make_white

from audio_cls.audio.augmentation.augmenter import Augmenter, make_augmenter
from audio_cls.audio.augmentation.masking import mask_frequency, mask_time
from audio_cls.audio.augmentation.spec_augment import FrameLayout, SpecAugment
from audio_cls.audio.augmentation.transforms import Gain, PolarityInversion, RandomApply, TimeShift
from audio_cls.audio.augmentation.waveform import add_noise, apply_gain, make_noise, time_shift
from audio_cls.config import AugmentConfig
from audio_cls.errors import SettingError

RATE = 16_000
EVERY_EFFECT = AugmentConfig(
    speed_range=(0.8, 1.2),
    mixup_alpha=0.4,
    shift_seconds=0.01,
    polarity_probability=0.5,
    gain_db=6,
    noise_snr_db=(10, 20),
    frequency_masks=1,
    time_masks=1,
)


def make_rng(*seed: int) -> np.random.Generator:
    """Return a generator."""
    return np.random.default_rng(seed)


def make(cfg: AugmentConfig) -> Augmenter:
    """Return the augmenter of a model of waves with three labels."""
    augmenter = make_augmenter(cfg, RATE, 3)
    assert augmenter is not None
    return augmenter


def test_without_probabilities_the_numbers_are_drawn_in_the_order_they_always_were() -> None:
    wave = make_white(2000)
    drawn = make(EVERY_EFFECT).sample(7, 2, 5, 40)
    rng = make_rng(7, 3, 2, 5)
    assert drawn.speed == rng.uniform(0.8, 1.2)
    assert drawn.partner == rng.integers(40)
    expected = time_shift(wave, int(rng.integers(-160, 161)))
    expected = -expected if rng.random() < 0.5 else expected
    expected = apply_gain(expected, rng.uniform(-6, 6))
    noise = make_noise(2000, "white", RATE, rng)
    expected = add_noise(expected, noise, rng.uniform(10, 20))
    expected = mask_frequency(expected, 1, 0.2, RATE, rng)
    expected = mask_time(expected, 1, 8000, rng)
    np.testing.assert_array_equal(drawn.apply(wave), expected)


def test_an_effect_is_applied_to_its_share_of_the_clips() -> None:
    augmenter = make(AugmentConfig(gain_db=6, augment_p=("gain=0.25",)))
    wave = make_white(10)
    changed = [
        not np.array_equal(augmenter.sample(0, epoch, number, 500).apply(wave), wave)
        for epoch in range(2)
        for number in range(500)
    ]
    assert np.mean(changed) == pytest.approx(0.25, abs=0.045)  # 3 standard deviations of 1000 draws
    assert changed[:500] != changed[500:]


@pytest.mark.parametrize(("p", "applied"), [(0.0, 0), (1.0, 200)])
def test_random_apply_at_the_ends_of_its_range(p: float, applied: int) -> None:
    wave, transform = make_white(10), RandomApply(Gain(6), p)
    outputs = [transform(wave, make_rng(seed)) for seed in range(200)]
    assert sum(output is not wave for output in outputs) == applied


def test_transforms_draw_symmetric_amounts() -> None:
    wave = np.arange(1, 6, dtype=np.float32)
    shifts = {tuple(TimeShift(1)(wave, make_rng(seed)).tolist()) for seed in range(50)}
    assert shifts == {(0, 1, 2, 3, 4), (1, 2, 3, 4, 5), (2, 3, 4, 5, 0)}
    gains = [float(Gain(20)(np.ones(1, np.float32), make_rng(seed))[0]) for seed in range(200)]
    assert 0.1 <= min(gains) < 0.15 and 7 < max(gains) <= 10
    assert PolarityInversion(1)(wave, make_rng(0)).tolist() == [-1, -2, -3, -4, -5]
    assert PolarityInversion(0)(wave, make_rng(0)).tolist() == [1, 2, 3, 4, 5]


def test_speed_and_mixing_have_their_probabilities() -> None:
    cfg = AugmentConfig(speed_range=(0.8, 1.2), mixup_alpha=0.4, augment_p=("speed=0.3", "mix=0.6"))
    sampled = [make(cfg).sample(0, 0, number, 1000) for number in range(1000)]
    assert np.mean([one.speed != 1.0 for one in sampled]) == pytest.approx(0.3, abs=0.045)
    assert np.mean([one.partner is not None for one in sampled]) == pytest.approx(0.6, abs=0.05)


def test_a_clip_that_is_not_mixed_keeps_its_label() -> None:
    augmenter = make(AugmentConfig(mixup_alpha=0.4, augment_p=("mix=0",)))
    assert augmenter.sample(0, 0, 0, 9).partner is None
    assert augmenter.to_shares(1).tolist() == [0, 1, 0]
    several = np.array([1, 0, 1], np.float32)
    assert augmenter.to_shares(several) is several


@pytest.mark.parametrize("effect", ["time-masks", "frequency-masks"])
def test_masks_of_spectrograms_have_their_probabilities(effect: str) -> None:
    cfg = AugmentConfig(time_masks=1, frequency_masks=1, augment_p=(f"{effect}=0",))
    inputs = {"features": torch.rand(1, 40, 20)}
    masker = SpecAugment(cfg, FrameLayout("features", 1, 40.0), RATE)
    changed = [
        (masker.mask(inputs, 0, [(0, n, RATE)])["features"] != inputs["features"])[0]
        for n in range(20)
    ]
    whole = 1 if effect == "time-masks" else 0  # masked bands are whole columns, spans whole rows
    assert any(one.any() for one in changed)
    assert all(set(one.sum(dim=1 - whole).tolist()) <= {0, one.shape[1 - whole]} for one in changed)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("gain", r"--augment-p gain is not possible: it must be NAME=P"),
        ("gain=2", r"--augment-p gain=2 is not possible.*P from 0 to 1"),
        ("gain=nan", r"--augment-p gain=nan is not possible"),
        ("=0.5", r"--augment-p =0\.5 is not possible"),
        ("shift=0.5", r"'shift' is not in use \(in use: gain\)"),
        ("echo=0.5", r"'echo' is not in use.*NAME is one of speed, mix, shift"),
        ("polarity=0.5", r"use --polarity-probability 0\.5"),
    ],
)
def test_a_probability_that_cannot_be_used_is_refused(given: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        AugmentConfig(gain_db=6, augment_p=(given,))
