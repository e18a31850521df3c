"""The spectrogram of a tone has its maximum at the tone's frequency."""

from __future__ import annotations

import numpy as np
from tones import make_tone

from audio_cls.demo.clip_figure import (
    FFT_SIZE,
    MAX_LABELS,
    NUM_FRAMES,
    compute_spectrogram,
    select_labels,
)
from audio_cls.inference.prediction import WindowPrediction


def test_the_spectrogram_shows_the_frequency_of_a_tone() -> None:
    values = compute_spectrogram(make_tone(2000, 30.0))
    assert values.shape == (FFT_SIZE // 2 + 1, NUM_FRAMES)
    assert values.max() == 0 and values.min() >= -80
    assert np.median(values.argmax(axis=0)) == 2000 / 16_000 * FFT_SIZE


def test_silence_and_one_sample_have_a_spectrogram() -> None:
    assert np.isfinite(compute_spectrogram(np.zeros(5000, np.float32))).all()
    assert compute_spectrogram(np.ones(1, np.float32)).shape == (FFT_SIZE // 2 + 1, 1)


def test_the_timeline_has_the_labels_with_the_largest_scores() -> None:
    scores = {f"c{n}": n / 100 for n in range(20)}
    windows = [
        WindowPrediction("a", 0, 10, 10, "c0", 0.5, scores),
        WindowPrediction("a", 10, 20, 10, "c0", 0.9, scores | {"c0": 0.9}),
    ]
    assert select_labels(windows) == ["c0", *(f"c{n}" for n in range(19, 19 - MAX_LABELS + 1, -1))]
