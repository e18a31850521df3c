"""An hour with 200 sounds at known times: each is found at its windows, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_cls.audio.waveform import Wave
from audio_cls.config import AudioConfig
from audio_cls.evaluation.events.curve import EventRule
from audio_cls.inference.base_classifier import BaseClassifier
from audio_cls.inference.batching import ModelInput, ModelOutput
from audio_cls.inference.events.annotations import read_annotations
from audio_cls.inference.events.event import Event
from audio_cls.inference.events.merge import merge_windows
from audio_cls.inference.events.write import RAVEN_SUFFIX, write_audacity, write_raven
from audio_cls.inference.label_rule import LabelRule
from audio_cls.inference.prediction import WindowPrediction

RATE = 2000
HOP = 0.25  # seconds; windows are 1 s long
PITCHES = {"low": 125, "middle": 250, "high": 500}  # in Hz
LABELS = ("background", *PITCHES)


class ToneClassifier(BaseClassifier):
    """Predicts the tone that has most energy in a window, if it has some."""

    def __init__(self) -> None:
        model_input = ModelInput(AudioConfig(max_seconds=1), RATE, equal_lengths=False)
        super().__init__(model_input, LabelRule(LABELS), num_workers=1)

    def run_model(self, waves: Sequence[Wave], *, with_embeddings: bool = False) -> ModelOutput:
        """Return the amplitude of each tone, (B, L); that of background is constant."""
        phases = 2 * np.pi * np.outer(np.arange(RATE) / RATE, list(PITCHES.values()))
        table = np.stack(waves)
        parts = [table @ wave.astype(np.float32) for wave in (np.cos(phases), np.sin(phases))]
        strength = np.hypot(*parts) / RATE
        background = np.full((len(waves), 1), 0.1)  # of a tone of 0.5 for 0.4 s
        return ModelOutput(100 * np.hstack([background, strength]))


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    """Return a recording of an hour, and the 200 sounds in it, each 1.2 to 3 s long."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("hour") / "hour.wav"
    wave = rng.normal(0, 0.01, 3600 * RATE)
    events = []
    for number in range(200):
        label = ("low", "middle", "high")[rng.integers(3)]
        first = number * 18 * RATE + int(rng.integers(0, 12 * RATE))
        length = int(rng.integers(1.2 * RATE, 3 * RATE))
        wave[first : first + length] += 0.5 * np.sin(
            2 * np.pi * PITCHES[label] * np.arange(length) / RATE
        )
        events.append(Event(str(path), first / RATE, (first + length) / RATE, label))
    soundfile.write(path, wave, RATE)
    return path, events


@pytest.fixture(scope="module")
def windows(hour: tuple[Path, list[Event]]) -> list[WindowPrediction]:
    """Return the windows of the recording."""
    return list(ToneClassifier().windows(hour[0], hop_seconds=HOP))


def test_each_window_has_the_label_of_the_sound_in_it(
    hour: tuple[Path, list[Event]], windows: list[WindowPrediction]
) -> None:
    starts = [one.start_sample for one in windows]
    assert starts == list(range(0, 3599 * RATE + 1, round(HOP * RATE)))
    for one in hour[1]:
        for window in windows[int((one.start - 1) / HOP) : int((one.end + 1) / HOP)]:
            shared = min(window.end, one.end) - max(window.start, one.start)
            if shared > 0.45 or shared < 0.35:  # of 0.4 s, at which it is as strong as background
                assert (window.label == one.label) == (shared > 0.4)


def test_each_sound_is_an_event_and_there_is_no_other(
    hour: tuple[Path, list[Event]], windows: list[WindowPrediction]
) -> None:
    path, annotated = hour
    found = list(merge_windows(windows, no_event=("background",)))
    assert [one.label for one in found] == [one.label for one in annotated]
    for event, sound in zip(found, annotated, strict=True):
        # first and last window share at least 0.4 s with the sound: at most 0.6 s are outside
        assert -0.65 <= event.start - sound.start <= HOP - 0.6 + 0.05
        assert -(HOP - 0.6) - 0.05 <= event.end - sound.end <= 0.65
    rule = EventRule(tolerance=1.0, no_event=("background",))
    results = {one.result for one in rule.match(windows, annotated, None)}
    assert results == {"matched"}
    for write in (
        lambda: write_audacity(found, path.with_suffix(".txt")),
        lambda: write_raven(found, path.with_suffix(RAVEN_SUFFIX), high_frequency=1000),
    ):
        write()
        (read,) = read_annotations(path.parent).values()
        assert [(one.start, one.end, one.label) for one in read] == [
            (one.start, one.end, one.label) for one in found
        ]
        for file in path.parent.glob("*.txt"):
            file.unlink()
