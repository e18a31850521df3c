"""Tests of audio_cls.models.probe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import FAMILIES, write_tiny_checkpoint
from tiny_outside import OUTSIDE, write_tiny_outside

from audio_cls.audio.augmentation.spec_augment import FrameLayout
from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.load import load_for_training
from audio_cls.models.probe import probe_input_spec

LAYOUTS = {  # kind -> input name, time axis, frames per second; the others take waves
    "audio-spectrogram-transformer": ("input_values", 1, 100),
    "wav2vec2-bert": ("input_features", 1, 50),
    "whisper": ("input_features", 2, 100),
    "lasr_ctc": ("input_features", 1, 100),
    "parakeet_ctc": ("input_features", 1, 100),
    "qwen2_audio": ("input_features", 2, 100),
    "seamless_m4t": ("input_features", 1, 50),
    "speech_to_text": ("input_features", 1, 100),
    "voxtral": ("input_features", 2, 100),
}


def find_layout(kind: str, folder: Path, max_seconds: float) -> FrameLayout | None:
    write = write_tiny_checkpoint if kind in FAMILIES else write_tiny_outside
    opened = open_checkpoint(ModelConfig(model=str(write(kind, folder))))
    model = load_for_training(opened, AudioConfig(max_seconds=max_seconds), ("a", "b"))
    return model.processor.input_spec.feature_layout


@pytest.mark.parametrize("kind", [*FAMILIES, *OUTSIDE])
def test_the_time_axis_of_spectrograms_is_found(kind: str, tmp_path: Path) -> None:
    layout = find_layout(kind, tmp_path, 2.0)
    if kind not in LAYOUTS:
        assert layout is None
        return
    assert layout is not None
    assert (layout.input_name, layout.time_axis) == LAYOUTS[kind][:2]
    assert layout.frames_per_second == pytest.approx(LAYOUTS[kind][2], rel=0.03)


@pytest.mark.parametrize("seconds", [0.4, 1.0])
def test_frames_are_counted_where_the_input_is_shorter_than_two_seconds(
    seconds: float, tmp_path: Path
) -> None:
    layout = find_layout("audio-spectrogram-transformer", tmp_path, seconds)
    assert layout is not None
    assert layout.frames_per_second == pytest.approx(100, rel=0.06)


def test_the_shortest_waveform_does_not_depend_on_random_numbers(tmp_path: Path) -> None:
    opened = open_checkpoint(
        ModelConfig(model=str(write_tiny_checkpoint("wav2vec2-conformer", tmp_path)))
    )
    loaded = load_for_training(opened, AudioConfig(max_seconds=1.0), ("a", "b"))
    network, extractor = loaded.model, loaded.processor.extractor
    network.config.layerdrop = 0.9  # nearly always, none of the layers runs
    found = set()
    for seed in range(3):
        torch.manual_seed(seed)
        found.add(probe_input_spec(network, extractor, is_trained=False).min_samples)
    assert found == {720}  # two frames: batch norm cannot train on one
    assert network.config.layerdrop == 0.9


@pytest.mark.parametrize("kind", ["wav2vec2-bert", "seamless_m4t", "parakeet_ctc"])
def test_the_features_of_the_shortest_waveform_are_finite(kind: str, tmp_path: Path) -> None:
    """Feature extractors that divide by the deviation over frames give NaN for one frame."""
    write = write_tiny_checkpoint if kind in FAMILIES else write_tiny_outside
    opened = open_checkpoint(ModelConfig(model=str(write(kind, tmp_path))))
    processor = load_for_training(opened, AudioConfig(max_seconds=1.0), ("a", "b")).processor
    clip = np.random.default_rng(0).normal(size=80).astype(np.float32)  # 5 ms
    features = processor([clip])[processor.input_spec.input_name]
    assert features.isfinite().all()
