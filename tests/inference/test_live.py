"""Live detection: threshold, patience and debounce, and the windows of the offline timeline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from audio_cls.audio.waveform import Wave
from audio_cls.config import AudioConfig
from audio_cls.inference.base_classifier import BaseClassifier
from audio_cls.inference.batching import ModelInput, ModelOutput
from audio_cls.inference.label_rule import LabelRule
from audio_cls.inference.live import DetectionFilter, LiveDetector
from audio_cls.inference.prediction import WindowPrediction

RATE = 1000
RULE = LabelRule(("loud", "quiet"))


class LoudnessClassifier(BaseClassifier):
    """Predicts `loud` or `quiet` by the mean magnitude of a window."""

    def __init__(self) -> None:
        audio = AudioConfig(max_seconds=1, hop_seconds=0.5)
        super().__init__(ModelInput(audio, RATE, equal_lengths=True), RULE, num_workers=0)

    def run_model(self, waves: Sequence[Wave], *, with_embeddings: bool = False) -> ModelOutput:
        """Return a logit of 10 per 1.0 of magnitude above 0.5, and its negative."""
        logits = [10 * (np.abs(wave).mean() - 0.5) for wave in waves]
        return ModelOutput(np.array([[one, -one] for one in logits]), None)


def _window(start: float, label: str | None, score: float = 0.9) -> WindowPrediction:
    first = round(start * RATE)
    return WindowPrediction("<stream>", first, first + RATE, RATE, label or "quiet", score, {})


def _detect(
    rule: DetectionFilter, *labels: str | None, hop: float = 1.0
) -> list[tuple[float, float]]:
    """Return start and end of the detections of windows that follow each other."""
    windows = [_window(number * hop, label) for number, label in enumerate(labels)]
    found = [rule.update(window) for window in windows]
    return [(one.start, one.end) for events in found for one in events if one.label == "dog"]


def test_a_label_is_detected_once_while_it_lasts() -> None:
    assert _detect(DetectionFilter(), "dog", "dog", "dog", None, "dog") == [(0, 1), (4, 5)]


def test_patience_counts_windows_in_a_row() -> None:
    rule = DetectionFilter(patience=2)
    assert _detect(rule, "dog", None, "dog", None, "dog", "dog", "dog") == [(4, 6)]


def test_patience_starts_again_after_a_window_without_the_label_within_the_debounce() -> None:
    rule = DetectionFilter(patience=2, debounce=5)
    assert _detect(rule, "dog", None, "dog", "dog") == [(2, 4)]


def test_a_label_must_be_absent_for_the_debounce_to_be_detected_again() -> None:
    labels = ("dog", None, "dog", None, None, "dog")  # gaps of 1 and 2 s
    assert _detect(DetectionFilter(debounce=1), *labels) == [(0, 1), (5, 6)]
    assert _detect(DetectionFilter(debounce=2), *labels) == [(0, 1)]
    assert len(_detect(DetectionFilter(), *labels)) == 3


def test_windows_that_overlap_are_one_detection() -> None:
    assert _detect(DetectionFilter(), "dog", None, "dog", hop=0.5) == [(0, 1)]


def test_scores_below_the_threshold_and_left_out_labels_are_no_detections() -> None:
    rule = DetectionFilter(threshold=0.8, no_event=("cat",))
    assert not rule.update(_window(0, "dog", 0.79)) and not rule.update(_window(1, "cat"))
    assert len(rule.update(_window(2, "dog", 0.8))) == 1


def test_reset_forgets_the_windows_before_it() -> None:
    rule = DetectionFilter(patience=2)
    assert not rule.update(_window(0, "dog"))
    rule.reset()
    assert not rule.update(_window(1, "dog"))
    assert rule.update(_window(2, "dog"))[0].start == 1


@pytest.mark.parametrize("size", [1, 7, 333, 10_000])
def test_windows_of_blocks_are_those_of_the_whole_recording(size: int) -> None:
    wave = np.random.default_rng(0).uniform(-1, 1, 5300).astype(np.float32)
    wave *= np.repeat([0.2, 1.0], [2500, 2800])
    classifier = LoudnessClassifier()
    detector = LiveDetector(classifier, DetectionFilter(no_event=("quiet",)), hop_seconds=0.25)
    blocks = [wave[n : n + size] for n in range(0, len(wave), size)]
    found = list(detector.run(blocks, RATE))
    offline = list(classifier.windows((wave, RATE), hop_seconds=0.25))
    assert [(one.start_sample, one.stop_sample) for one, _ in found] == [
        (one.start_sample, one.stop_sample) for one in offline
    ]
    assert [one.scores for one, _ in found] == [one.scores for one in offline]
    assert len([event for _, events in found for event in events]) == 1


def test_a_new_run_has_an_empty_buffer_and_its_own_start() -> None:
    detector = LiveDetector(LoudnessClassifier(), DetectionFilter())
    loud, quiet = np.ones((900, 1), np.float32), np.zeros((1000, 1), np.float32)
    list(detector.run([loud], RATE))
    ((window, _),) = detector.run([quiet], RATE, start=12.5)
    assert (window.start, window.end, window.label) == (12.5, 13.5, "quiet")
    assert window.scores["quiet"] > 0.99  # no sample of the loud sound is in it
