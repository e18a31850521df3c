"""What the headers of clips say: the rate of one file, and whether a table's are far too high."""

from __future__ import annotations

import io
import logging
from typing import Any

import numpy as np
from datasets import Dataset

from audio_cls.audio.files import read_header
from audio_cls.audio.segments import split_segment
from audio_cls.config import Hertz
from audio_cls.run_warnings import warn

NUM_PROBES = 16  # clips of a table whose headers are read
USUAL_RATE: Hertz = 48_000  # recordings at higher rates are often made for ultrasound

logger = logging.getLogger(__name__)


def warn_of_lost_frequencies(table: Dataset, column: str, sampling_rate: Hertz) -> None:
    """Warn when clips were recorded far above the model's rate, as ultrasound is.

    Args:
        table: Clips with an undecoded audio column; some headers, evenly from all, are read.
        column: Name of that column.
        sampling_rate: Rate of the model in Hz.
    """
    rows = np.unique(np.linspace(0, len(table) - 1, min(NUM_PROBES, len(table)), dtype=int))
    clips = table.select_columns([column]).with_format(None)
    highest = max((read_file_rate(clips[row][column]) for row in rows.tolist()), default=0)
    if highest > max(USUAL_RATE, sampling_rate):
        warn(
            logger,
            f"Clips were recorded at up to {highest} Hz, and the model gets {sampling_rate} Hz:"
            f" all sound above {sampling_rate // 2} Hz is removed. `audio-cls inspect`"
            " measures how much of the energy that is.",
        )


def read_file_rate(sound: dict[str, Any] | None) -> int:
    """Return the sampling rate in Hz that a file's header says; 0 where it says none."""
    if sound is None:
        return 0
    held = sound.get("bytes")
    header = read_header(split_segment(str(sound["path"]))[0] if held is None else io.BytesIO(held))
    return 0 if header is None else header.sampling_rate
