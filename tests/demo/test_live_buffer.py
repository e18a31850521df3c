"""The ring buffer of the live microphone."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from tone_classifier import ToneClassifier
from tones import make_tone

from audio_cls.demo.live_buffer import LiveBuffer
from audio_cls.demo.live_tab import classify_buffer


def test_the_last_samples_are_kept_in_order() -> None:
    buffer = LiveBuffer(1.0)
    for start in range(0, 25, 5):
        buffer.append(10, np.arange(start, start + 5, dtype=np.float32))
    assert buffer.read(1.0).tolist() == list(range(15, 25))
    assert buffer.read(0.3).tolist() == [22, 23, 24]
    assert buffer.num_received == 25 and buffer.seconds == 2.5
    assert buffer.describe().startswith("2.5 s of audio received in 0.")


def test_a_block_longer_than_the_buffer_leaves_its_end() -> None:
    buffer = LiveBuffer(0.5)
    buffer.append(10, np.arange(23, dtype=np.float32))
    assert buffer.read(9).tolist() == [18, 19, 20, 21, 22]


def test_another_rate_or_a_new_recording_starts_from_nothing() -> None:
    buffer = LiveBuffer(1.0)
    buffer.append(10, np.ones(8, np.float32))
    buffer.append(20, np.full(3, 0.5, np.float32))
    assert buffer.read(1.0).tolist() == [0.5] * 3 and buffer.seconds == 0.15
    buffer.clear()
    assert len(buffer.read(1.0)) == 0 and buffer.seconds == 0


def test_every_visitor_gets_an_empty_buffer_of_their_own() -> None:
    buffer = LiveBuffer(1.0)
    buffer.append(10, np.ones(8, np.float32))
    assert copy.deepcopy(buffer).num_received == 0


def test_the_last_window_is_classified_at_the_rate_of_the_model() -> None:
    buffer, model = LiveBuffer(1.0), ToneClassifier()
    nothing = ("0.0 s of audio received in 0.0 s.", None)
    assert classify_buffer(model, buffer, 1.0) == nothing
    for hertz in (300, 3000):
        tone = (make_tone(hertz, 1.5, 48_000) * 32767).astype(np.int16)
        for block in np.split(tone, 15):
            buffer.append(48_000, block)
    message, scores = classify_buffer(model, buffer, 1.0)
    assert scores is not None and scores["high"] == pytest.approx(0.997527)
    assert message.startswith("3.0 s of audio received in")
    assert message.endswith("; classified: the last 1.0 s.")
