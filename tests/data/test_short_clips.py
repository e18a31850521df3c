"""What audio_cls.data.short_clips promises: clips that get silence added are named."""

from __future__ import annotations

import logging
from typing import Any
from unittest import mock

import numpy as np
import pytest

from audio_cls.data.clips.clips import Clips
from audio_cls.data.prepare import warn_of_short_clips
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
