"""What audio_cls.training.sharding promises: all processes make as many forward passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audio_cls.config import RunConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.errors import SettingError
from audio_cls.training.sharding import check_lengths

RATE = 16_000


def make_clips(*seconds: float) -> Clips:
    """Return clips of which only the lengths are known."""
    table: Any = None
    lengths = np.array([round(length * RATE) for length in seconds])
    rows = np.arange(len(lengths))
    return Clips(table, rows, rows, rows.astype(str), lengths, RATE)


def make_config(**values: Any) -> RunConfig:  # noqa: ANN401
    """Return settings of pieces of a second."""
    return RunConfig.from_flat({"dataset": "x", "max_seconds": 1.0, **values})


def test_pieces_of_unequal_length_are_refused_with_what_helps() -> None:
    for values in ({}, {"min_seconds": 0.5}):
        with pytest.raises(SettingError, match=r"--repeat-short, or a --max-seconds below 1"):
            check_lengths(make_config(**values), make_clips(0.5, 2.0))
    with pytest.raises(SettingError):
        check_lengths(make_config(min_seconds=0.5), make_clips(1.0, 2.0))
    with pytest.raises(SettingError):
        check_lengths(make_config(speed_range=(0.9, 1.1)), make_clips(1.0, 2.0))


def test_pieces_of_one_length_are_not() -> None:
    check_lengths(make_config(), make_clips(1.0, 2.0))
    check_lengths(make_config(repeat_short=True), make_clips(0.5, 2.0))
