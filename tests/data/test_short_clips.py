"""What audio_cls.data.short_clips promises: clips that get silence added are named."""

from __future__ import annotations

import logging
from typing import Any
from unittest import mock

import numpy as np
import pytest

from audio_cls.config import AudioConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.prepare import warn_of_long_clips, warn_of_short_clips
from audio_cls.errors import list_names
from audio_cls.run_warnings import collect_warnings


def test_clips_below_one_frame_are_counted_in_the_results_and_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    table: Any = None
    ids = np.array(["a", "b", "c"])
    part = Clips(table, np.arange(3), np.zeros(3), ids, np.array([399, 400, 10]), 16_000)
    clips = mock.Mock(items=lambda: [("train", part), ("test", part)])
    texts = collect_warnings()
    with caplog.at_level(logging.WARNING, logger="audio_cls"):
        warn_of_short_clips(clips, 400)
    assert texts == [
        f"Padded with silence: 2 of 3 {role} clips shorter than 0.025 s, the shortest input of the"
        " model."
        for role in ("train", "test")
    ]
    assert caplog.messages[0].endswith(f"({list_names(['a', 'c'])})")
    collect_warnings()
    warn_of_short_clips(clips, 10)
    assert len(caplog.records) == 2


def test_training_clips_much_longer_than_a_crop_give_one_warning_with_the_share() -> None:
    table: Any = None
    lengths = np.array([7200 * 16_000, 16_000])  # two hours, and one second
    clips = Clips(table, np.arange(2), np.zeros(2), np.array(["a", "b"]), lengths, 16_000)
    texts = collect_warnings()
    warn_of_long_clips(clips, AudioConfig(max_seconds=10))  # 11 of 7,201 seconds
    assert len(texts) == 1 and "0.2 % of 2.0 hours" in texts[0]
    warn_of_long_clips(clips, AudioConfig(max_seconds=10, crop="start"))
    warn_of_long_clips(clips, AudioConfig(max_seconds=3600))
    assert len(texts) == 1
