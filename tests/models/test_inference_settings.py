"""What config.json keeps of the training: windows that evaluation repeats, and the temperature."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_models import write_tiny_checkpoint
from transformers import pipeline

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.errors import ModelError
from audio_cls.models import load as load_module
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.inference_settings import (
    read_inference_settings,
    read_temperature,
    save_calibration,
)
from audio_cls.models.load import load_for_inference, load_for_training

AUDIO = AudioConfig(
    max_seconds=2.0, window_seconds=1.0, hop_seconds=0.5, aggregate="max", repeat_short=True
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a classifier that was saved after training with AUDIO."""
    checkpoint = write_tiny_checkpoint("hubert", tmp_path / "checkpoint")
    audio_model = load_for_training(
        open_checkpoint(ModelConfig(model=str(checkpoint))), AUDIO, ("a", "b")
    )
    audio_model.save(tmp_path / "saved")
    return tmp_path / "saved"


def load_with(folder: Path, **changes: object) -> AudioModel:
    """Load a classifier whose note was changed by hand."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["audio_cls"].update(changes)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return load_for_inference(folder)


def test_windows_travel_with_the_model(folder: Path) -> None:
    assert read_inference_settings(load_for_inference(folder)) == AUDIO


def test_the_pipeline_of_transformers_loads_a_calibrated_model(folder: Path) -> None:
    wave = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    sound = {"raw": wave, "sampling_rate": 16_000}
    before = pipeline("audio-classification", model=str(folder))(dict(sound))
    save_calibration(folder, 3.0)
    assert pipeline("audio-classification", model=str(folder))(dict(sound)) == before


def test_temperature_is_added_and_the_rest_of_the_file_kept(folder: Path) -> None:
    before = json.loads((folder / "config.json").read_text("utf-8"))
    with pytest.raises(ModelError, match="no fitted temperature"):
        read_temperature(load_for_inference(folder))
    save_calibration(folder, 1.25)
    loaded = load_for_inference(folder)
    assert read_temperature(loaded) == 1.25
    assert read_inference_settings(loaded) == AUDIO
    after = json.loads((folder / "config.json").read_text("utf-8"))
    del after["audio_cls"]["temperature"]
    assert after == before


def test_new_training_does_not_inherit_a_temperature(folder: Path) -> None:
    save_calibration(folder, 1.25)
    again = load_for_training(
        open_checkpoint(ModelConfig(model=str(folder))), AudioConfig(), ("a", "b")
    )
    assert "temperature" not in again.model.config.audio_cls


def test_a_checkpoint_without_settings_gets_windows_of_its_input_length(tmp_path: Path) -> None:
    for family, longest in (("hubert", 30.0), ("audio-spectrogram-transformer", 10.24)):
        checkpoint = write_tiny_checkpoint(family, tmp_path / family)
        opened, audio = (
            open_checkpoint(ModelConfig(model=str(checkpoint))),
            AudioConfig(max_seconds=longest),
        )
        audio_model = load_for_training(opened, audio, ("a", "b"))
        del audio_model.model.config.audio_cls
        audio_model.save(tmp_path / f"{family}-saved")
        found = read_inference_settings(load_for_inference(tmp_path / f"{family}-saved"))
        assert found.max_seconds == pytest.approx(longest, abs=0.05)


@pytest.mark.parametrize(
    "change",
    [{"max_seconds": "long"}, {"hop_seconds": -1}, {"aggregate": "sum"}, {"repeat_short": 3}],
)
def test_a_note_that_cannot_be_is_refused(folder: Path, change: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="is not valid"):
        read_inference_settings(load_with(folder, **change))


@pytest.mark.parametrize("value", [0, -1, "hot", True])
def test_a_temperature_that_cannot_be_is_refused(folder: Path, value: object) -> None:
    with pytest.raises(ModelError, match="above 0"):
        read_temperature(load_with(folder, temperature=value))


def test_a_trained_model_is_loaded_without_a_probe_with_the_inputs_of_its_evaluation(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(load_module, "probe_input_spec", None)  # a call would fail
        found = load_for_inference(folder).processor.input_spec
    assert found == load_with(folder, input_spec=None).processor.input_spec  # by a probe


@pytest.mark.parametrize(
    "change",
    [
        {"found_by": "audio_cls 0.0.1, transformers 5.0.0, torch 2.6.0"},
        {"min_samples": 0},
        {"min_samples": 10**12},
        {"pads_safely": "yes"},
        {"has_mask": True},  # unlike the setting of the feature extractor
    ],
)
def test_a_record_of_other_versions_or_values_is_not_used(
    change: dict[str, object], folder: Path
) -> None:
    right = load_for_inference(folder)
    record = right.model.config.audio_cls["input_spec"]
    found = load_with(folder, input_spec={**record, "pads_safely": True, **change})
    assert found.processor.input_spec == right.processor.input_spec


def test_a_model_of_fixed_input_length_needs_no_record(tmp_path: Path) -> None:
    checkpoint = write_tiny_checkpoint("whisper", tmp_path / "checkpoint")
    cfg = ModelConfig(model=str(checkpoint))
    audio_model = load_for_training(open_checkpoint(cfg), AudioConfig(max_seconds=1.0), ("a", "b"))
    assert audio_model.model.config.audio_cls["input_spec"] is None
