"""Tests of audio_cls.audio.augmentation.waveform."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from datasets import Dataset, Features, List, Value
from sounds import make_noise as make_white
from sounds import make_tone, measure_hz, measure_rms

from audio_cls.audio.augmentation.augmenter import make_augmenter
from audio_cls.audio.augmentation.masking import draw_spans, mask_frequency, mask_time
from audio_cls.audio.augmentation.mixup import cutmix, mixup
from audio_cls.audio.augmentation.spec_augment import FrameLayout
from audio_cls.audio.augmentation.transforms import RecordedNoise
from audio_cls.audio.augmentation.waveform import (
    add_noise,
    apply_gain,
    make_noise,
    perturb_speed,
    time_shift,
)
from audio_cls.config import AudioConfig, AugmentConfig, RunConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.loading.batch import Batch
from audio_cls.data.loading.datasets import TrainingDataset
from audio_cls.data.loading.loaders import make_training_loader
from audio_cls.data.loading.noise_files import read_noise_files
from audio_cls.data.loading.sampler import DistributedBatchSampler, StepShape
from audio_cls.errors import SettingError
from audio_cls.run_warnings import collect_warnings

RATE = 16_000


def make_rng(seed: int = 0) -> np.random.Generator:
    """Return a generator."""
    return np.random.default_rng(seed)


def to_db(ratio: float) -> float:
    """Return an amplitude ratio in dB."""
    return float(20 * np.log10(ratio))


def pad_waves(waves: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
    """Stack waves as the simplest encoder does."""
    tensors = [torch.from_numpy(wave) for wave in waves]
    return {"input_values": torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True)}


def make_clips(num_clips: int = 6, seconds: float = 0.2) -> Clips:
    """Return tones of three labels."""
    waves = [make_tone(300 + 100 * n, seconds, RATE, seed=n) for n in range(num_clips)]
    table = Dataset.from_dict({"wave": waves}, features=Features({"wave": List(Value("float32"))}))
    rows = np.arange(num_clips)
    lengths = np.array([len(wave) for wave in waves])
    return Clips(table, rows, rows % 3, rows.astype(str), lengths, RATE)


def list_batches(
    cfg: AugmentConfig, *, workers: int = 0, shape: StepShape | None = None, rank: int = 0
) -> list[Batch]:
    """Return the training batches of two epochs."""
    clips = make_clips()
    order = DistributedBatchSampler(len(clips), shape or StepShape(4, 1, 1), rank=rank, seed=3)
    recordings = read_noise_files(cfg.noise_dir, RATE) if cfg.noise_dir else None
    augmenter = make_augmenter(cfg, RATE, 3, recordings=recordings)
    loader = make_training_loader(
        TrainingDataset(clips, AudioConfig(), order.seed, augmenter), order, pad_waves, workers
    )
    passes = list(loader)
    order.set_epoch(1)
    return [batch for one in passes + list(loader) for batch in one]


def read_clips(batches: list[Batch]) -> dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor]]:
    """Return (time heard, clip number) -> wave and label, repeated clips left out."""
    seen: dict[int, int] = {}
    clips = {}
    for batch in batches:
        waves = batch.inputs["input_values"]
        rows = zip(batch.numbers.tolist(), waves, batch.labels, batch.weights, strict=True)
        for number, wave, label, weight in rows:
            if weight > 0:
                clips[seen.setdefault(number, 0), number] = wave, label
                seen[number] += 1
    return clips


@pytest.mark.parametrize("gain_db", [-12.0, -6.0, 0.0, 6.0])
def test_gain_changes_the_level_by_its_decibels(gain_db: float) -> None:
    wave = make_white(RATE)
    louder = apply_gain(wave, gain_db)
    assert louder.dtype == np.float32
    assert to_db(measure_rms(louder) / measure_rms(wave)) == pytest.approx(gain_db, abs=1e-3)


def test_a_shift_moves_the_sound_and_fills_with_silence() -> None:
    wave = np.arange(1, 6, dtype=np.float32)
    assert time_shift(wave, 2).tolist() == [0, 0, 1, 2, 3]
    assert time_shift(wave, -2).tolist() == [3, 4, 5, 0, 0]
    assert time_shift(wave, 0).tolist() == wave.tolist()
    for far in (5, 9, -5, -9):
        assert time_shift(wave, far).tolist() == [0] * 5


@pytest.mark.parametrize("speed", [0.8, 0.9, 1.1, 1.25])
def test_speed_changes_duration_and_pitch_and_not_the_level(speed: float) -> None:
    wave = make_tone(1000, 1.0)
    played = perturb_speed(wave, speed)
    assert len(played) == pytest.approx(RATE / speed, abs=2)
    assert measure_hz(played, RATE) == pytest.approx(1000 * speed, abs=2)
    assert measure_rms(played) == pytest.approx(measure_rms(wave), rel=0.02)


@pytest.mark.parametrize("color", ["white", "pink", "brown"])
@pytest.mark.parametrize("snr_db", [-5.0, 10.0, 30.0])
def test_noise_is_added_at_its_signal_to_noise_ratio(color: str, snr_db: float) -> None:
    wave = make_tone(440, 1.0)
    noisy = add_noise(wave, make_noise(len(wave), color, RATE, make_rng()), snr_db)
    assert to_db(measure_rms(wave) / measure_rms(noisy - wave)) == pytest.approx(snr_db, abs=0.05)


@pytest.mark.parametrize(("color", "slope"), [("white", 0.0), ("pink", -3.01), ("brown", -6.02)])
def test_the_spectrum_of_noise_falls_as_its_color_says(color: str, slope: float) -> None:
    noise = make_noise(20 * RATE, color, RATE, make_rng())
    power = np.abs(np.fft.rfft(noise)) ** 2
    hz = np.fft.rfftfreq(len(noise), 1 / RATE)
    octaves = [(low, 2 * low) for low in (62.5, 125, 250, 500, 1000, 2000, 4000)]
    levels = [10 * np.log10(power[(hz >= low) & (hz < high)].mean()) for low, high in octaves]
    assert np.polyfit(range(len(levels)), levels, 1)[0] == pytest.approx(slope, abs=0.15)


@pytest.mark.parametrize("num_samples", [1, 2, 3, 999])
def test_noise_of_any_length_is_finite(num_samples: int) -> None:
    for color in ("white", "pink", "brown"):
        noise = make_noise(num_samples, color, RATE, make_rng())
        assert noise.shape == (num_samples,)
        assert np.isfinite(noise).all()


def test_silence_gets_no_noise() -> None:
    silence = np.zeros(100, np.float32)
    assert add_noise(silence, make_white(100), 0.0).tolist() == silence.tolist()
    assert add_noise(silence + 1, silence, 0.0).tolist() == [1.0] * 100


def test_blanked_spans_are_silent_and_never_more_than_asked_for() -> None:
    wave = np.ones(1000, np.float32)
    for seed in range(50):
        blanked = mask_time(wave, 2, 100, make_rng(seed))
        assert 800 <= blanked.sum() <= 1000
        assert set(blanked.tolist()) <= {0.0, 1.0}
    assert wave.sum() == 1000
    spans = [draw_spans(10, 1, 100, make_rng(seed))[0] for seed in range(200)]
    assert max(stop - start for start, stop in spans) == 5
    assert (min(start for start, _ in spans), max(stop for _, stop in spans)) == (0, 10)


def test_a_stopped_band_is_gone_and_the_rest_as_it_was() -> None:
    wave = make_white(RATE)
    before, after = (
        np.abs(np.fft.rfft(one)) for one in (wave, mask_frequency(wave, 1, 0.3, RATE, make_rng(1)))
    )
    is_stopped = after < 1e-3 * before
    edges = np.flatnonzero(np.diff(is_stopped.astype(int)))
    assert len(edges) == 2  # one band
    mels = 2595 * np.log10(1 + edges / 700)  # a bin is 1 Hz here
    assert 0 < mels[1] - mels[0] <= 0.3 * 2595 * np.log10(1 + 8000 / 700)
    np.testing.assert_allclose(after[~is_stopped], before[~is_stopped], rtol=1e-2)


def test_mixup_adds_waves_by_their_shares() -> None:
    wave, other = make_white(1000, seed=1), make_white(1000, seed=2)
    mixed = mixup(wave, other, 0.7)
    np.testing.assert_allclose(mixed, 0.7 * wave + 0.3 * other, atol=1e-6)
    assert measure_rms(mixed) == pytest.approx(0.1 * np.hypot(0.7, 0.3), rel=0.05)
    short = mixup(wave, other[:400], 0.7)
    np.testing.assert_allclose(short[400:], 0.7 * wave[400:], atol=1e-6)
    assert len(mixup(wave[:400], other, 0.7)) == 400


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_cutmix_pastes_the_rest_of_the_time(share: float) -> None:
    wave, other = np.zeros(1000, np.float32), np.ones(1000, np.float32)
    mixed, kept = cutmix(wave, other, share, make_rng())
    assert mixed.sum() == round(1000 * (1 - share))
    assert kept == pytest.approx(share)
    assert np.count_nonzero(np.diff(mixed)) <= 2  # one span
    mixed, kept = cutmix(wave, other[:100], share, make_rng())
    assert kept == pytest.approx(1 - mixed.sum() / 1000)


FLAGS = {
    "gain": AugmentConfig(gain_db=6),
    "shift": AugmentConfig(shift_seconds=0.05),
    "speed": AugmentConfig(speed_range=(0.8, 1.2)),
    "polarity": AugmentConfig(polarity_probability=0.5),
    "noise": AugmentConfig(noise_snr_db=(10, 20)),
    "time masks": AugmentConfig(time_masks=2, time_mask_seconds=0.05),
    "frequency masks": AugmentConfig(frequency_masks=2),
    "mixup": AugmentConfig(mixup_alpha=0.4),
    "cutmix": AugmentConfig(cutmix_alpha=1.0),
    "all": AugmentConfig(
        gain_db=6,
        shift_seconds=0.05,
        speed_range=(0.8, 1.2),
        polarity_probability=0.5,
        noise_snr_db=(10, 20),
        noise_color="pink",
        time_masks=1,
        frequency_masks=1,
        mixup_alpha=0.4,
        cutmix_alpha=1.0,
        augment_p=("speed=0.8", "mix=0.9", "gain=0.7", "noise=0.6", "time-masks=0.5"),
    ),
}


@pytest.mark.parametrize("name", FLAGS)
def test_every_flag_changes_what_training_hears(name: str) -> None:
    plain, varied = (read_clips(list_batches(cfg)) for cfg in (AugmentConfig(), FLAGS[name]))
    changed = [
        plain[key][0].shape != wave.shape or not torch.equal(plain[key][0], wave)
        for key, (wave, _) in varied.items()
    ]
    assert sum(changed) >= 3
    epochs = [(varied[0, number][0], varied[1, number][0]) for number in range(6)]
    assert any(a.shape != b.shape or not torch.equal(a, b) for a, b in epochs)
    assert all(wave.isfinite().all() for wave, _ in varied.values())


def test_without_a_flag_nothing_is_varied() -> None:
    assert make_augmenter(AugmentConfig(), RATE, 3) is None
    assert make_augmenter(AugmentConfig(noise_color="pink"), RATE, 3) is not None


def assert_same(one: list[Batch], other: list[Batch]) -> None:
    """Compare waves and labels clip by clip; padding depends on the batch."""
    first, second = read_clips(one), read_clips(other)
    assert first.keys() == second.keys()
    for key, (wave, label) in first.items():
        length = min(len(wave), len(second[key][0]))
        assert torch.equal(wave[:length], second[key][0][:length])
        assert not wave[length:].any()
        assert torch.equal(label, second[key][1])


def test_variations_are_the_same_with_0_and_2_workers() -> None:
    assert_same(list_batches(FLAGS["all"]), list_batches(FLAGS["all"], workers=2))


def test_variations_are_the_same_on_1_and_2_processes() -> None:
    shape = StepShape(2, 1, 2)
    ranks = [list_batches(FLAGS["all"], shape=shape, rank=rank) for rank in (0, 1)]
    together = [batch for pair in zip(*ranks, strict=True) for batch in pair]
    assert_same(list_batches(FLAGS["all"]), together)


@pytest.mark.parametrize("name", ["mixup", "cutmix", "all"])
def test_mixed_clips_have_the_shares_of_both_labels(name: str) -> None:
    clips = read_clips(list_batches(FLAGS[name]))
    for (_, number), (_, label) in clips.items():
        assert label.dtype == torch.float32
        assert label.shape == (3,)
        assert label.sum() == pytest.approx(1, abs=1e-6)
        assert label[number % 3] > 0 or name != "mixup"
    assert any(((label > 0.02) & (label < 0.98)).any() for _, label in clips.values())


def test_clips_that_are_not_mixed_are_as_they_were_with_a_share_of_one() -> None:
    cfg = AugmentConfig(mixup_alpha=0.4, augment_p=("mix=0.5",))
    plain = read_clips(list_batches(AugmentConfig()))
    is_plain = []
    for key, (wave, label) in read_clips(list_batches(cfg)).items():
        is_plain.append(torch.equal(wave, plain[key][0]))
        if is_plain[-1]:
            assert label.tolist() == [float(n == key[1] % 3) for n in range(3)]
    assert 2 <= sum(is_plain) <= 10  # of 12


def test_mixup_labels_say_how_much_of_each_clip_is_heard() -> None:
    clips = make_clips()
    plain = {n: torch.from_numpy(clips.read_wave(n, 0, 3200)) for n in range(6)}
    for (_, number), (wave, label) in read_clips(list_batches(FLAGS["mixup"])).items():
        share = float(label[number % 3])
        errors = [
            float((wave - share * plain[number] - (1 - share) * other).abs().max())
            for n, other in plain.items()
            if n % 3 != number % 3
        ]
        if share < 1:  # else the partner has the same label
            assert min(errors) < 1e-5


def test_noise_from_a_folder_is_heard(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    soundfile.write(tmp_path / "deep" / "hum.flac", make_tone(5000, 0.05, 48_000), 48_000)
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    cfg = AugmentConfig(noise_dir=str(tmp_path), noise_snr_db=(0, 0))
    plain = read_clips(list_batches(AugmentConfig()))
    for key, (wave, _) in read_clips(list_batches(cfg)).items():
        added = (wave - plain[key][0]).numpy()
        assert measure_hz(added, RATE) == pytest.approx(5000, abs=10)
        assert measure_rms(added) == pytest.approx(measure_rms(plain[key][0].numpy()), rel=0.01)


def test_damaged_noise_is_found_at_the_start_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)  # as if PyAV were not installed
    soundfile.write(tmp_path / "hum.wav", make_tone(5000, 0.05, 48_000), 48_000)
    soundfile.write(tmp_path / "cut.flac", make_tone(900, 1.0, 48_000), 48_000)
    whole = (tmp_path / "cut.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])  # its header can be read
    (tmp_path / "song.m4a").write_bytes(bytes(4) + b"ftypM4A " + bytes(100))
    texts = collect_warnings()
    noise = RecordedNoise(read_noise_files(str(tmp_path), RATE))
    assert texts == [
        "--noise-dir: 2 of 3 recordings are not used: 1 unreadable, 1 needs the extra 'formats'."
    ]
    assert "cut.flac" in caplog.text and "song.m4a" in caplog.text
    (tmp_path / "hum.wav").unlink()  # training reads no noise file, so that none can fail there
    for seed in range(20):
        assert measure_hz(noise(3200, make_rng(seed)), RATE) == pytest.approx(5000, abs=10)


def test_noise_is_cut_where_it_is_long_and_repeated_where_it_is_short(tmp_path: Path) -> None:
    short, long = (np.arange(n, dtype=np.float32) / 2**15 for n in (100, 10_000))
    for name, wave in (("a-short.wav", short), ("b-long.wav", long)):
        soundfile.write(tmp_path / name, wave, RATE, subtype="FLOAT")
    cut_noise = RecordedNoise(read_noise_files(str(tmp_path), RATE))
    drawn = [cut_noise(250, make_rng(seed)) * 2**15 for seed in range(20)]
    listed = RecordedNoise([short, long])  # a plain list of arrays gives the same
    np.testing.assert_array_equal(drawn, [listed(250, make_rng(n)) * 2**15 for n in range(20)])
    starts = {int(noise[0]) for noise in drawn}
    for noise in drawn:
        repeated = np.arange(250) % 100
        expected = repeated if noise[0] == 0 else noise[0] + np.arange(250)
        np.testing.assert_array_equal(noise, expected)
    assert 0 in starts and len(starts) > 5


def test_a_folder_of_damaged_noise_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    with pytest.raises(SettingError, match=r"none of the 1 recording .*broken\.wav: unreadable"):
        read_noise_files(str(tmp_path), RATE)


def test_a_folder_without_noise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="contains no recording"):
        read_noise_files(str(tmp_path), RATE)
    with pytest.raises(SettingError, match="add --noise-snr-db"):
        RunConfig.from_flat({"noise_dir": str(tmp_path)})


def test_a_range_needs_its_lower_number_first_and_in_its_limits() -> None:
    with pytest.raises(SettingError, match=r"--speed-range 1\.1,0\.9.*lower number first"):
        AugmentConfig(speed_range=(1.1, 0.9))
    with pytest.raises(SettingError, match=r"--speed-range 0\.1,1\.0.*from 0\.25 to 4"):
        AugmentConfig(speed_range=(0.1, 1.0))
    cfg = RunConfig(augment=AugmentConfig(speed_range=(0.9, 1.1)))
    assert cfg.to_nested()["augment"]["speed_range"] == [0.9, 1.1]


def make_extractors() -> dict[str, object]:
    """Return feature extractors of each layout: (F, M), (M, F), (F, M) normalised by band."""
    import transformers

    return {
        "ast": transformers.ASTFeatureExtractor(num_mel_bins=64, max_length=400),
        "whisper": transformers.WhisperFeatureExtractor(feature_size=80, chunk_length=5),
        "seamless": transformers.SeamlessM4TFeatureExtractor(),
    }


LAYOUTS = {  # input name, time axis, frames per second, bands
    "ast": ("input_values", 1, 100, 64),
    "whisper": ("input_features", 2, 100, 80),
    "seamless": ("input_features", 1, 50, 160),
}


def make_encoder(name: str):  # noqa: ANN201 (an Encode, but for numpy's types)
    """Return an encoder as the model's room makes them."""
    extractor = make_extractors()[name]
    options = {"padding": True} if name == "seamless" else {}

    def encode(waves: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
        given = extractor(  # type: ignore[operator]
            list(waves), sampling_rate=RATE, return_tensors="pt", **options
        )
        return dict(given)

    return encode


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("masked", ["time", "frequency"])
def test_spectrograms_are_masked_along_the_right_axis_and_never_in_the_padding(
    name: str, masked: str
) -> None:
    key, axis, frames_per_second, num_bands = LAYOUTS[name]
    cfg = AugmentConfig(
        time_masks=3 * (masked == "time"),
        time_mask_seconds=0.3,
        frequency_masks=3 * (masked == "frequency"),
    )
    encode = make_encoder(name)
    augmenter = make_augmenter(cfg, RATE, 3, FrameLayout(key, axis, frames_per_second))
    assert augmenter is not None
    assert augmenter.masker is not None
    inputs = encode([make_white(2 * RATE)])
    outputs = augmenter.masker.mask(inputs, 0, [(0, 5, 2 * RATE)])
    changed = (outputs[key] != inputs[key])[0]
    changed = changed if axis == 1 else changed.T  # (F, M)
    assert changed.any()
    real = round(2 * frames_per_second)
    assert not changed[real + 4 :].any()
    whole = changed[: real - 2]
    if masked == "time":
        assert set(whole.sum(dim=1).tolist()) <= {0, num_bands}
        assert whole.any(dim=1).sum() <= 3 * round(0.3 * frames_per_second)
    else:
        assert set(whole.sum(dim=0).tolist()) <= {0, len(whole)}
        assert whole.any(dim=0).sum() <= 3 * round(0.2 * num_bands)
    again = augmenter.masker.mask(inputs, 0, [(0, 5, 2 * RATE)])
    other = augmenter.masker.mask(inputs, 0, [(1, 5, 2 * RATE)])
    assert torch.equal(again[key], outputs[key])
    assert not torch.equal(other[key], outputs[key])


def test_masks_fall_on_features_where_there_are_some_and_on_waves_elsewhere() -> None:
    cfg = AugmentConfig(time_masks=1, frequency_masks=1)
    on_waves, on_features = (
        make_augmenter(cfg, RATE, 3, layout)
        for layout in (None, FrameLayout("input_values", 1, 100))
    )
    assert on_waves is not None
    assert on_features is not None
    wave = make_white(RATE)
    assert not np.array_equal(on_waves.sample(0, 0, 0, 6).apply(wave), wave)
    assert np.array_equal(on_features.sample(0, 0, 0, 6).apply(wave), wave)
