"""What is known of each clip beside its label: length, group, and the rate it was recorded at.

For tables of the score by such facts. The rate is the file's own, before resampling; only headers
are read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from datasets import concatenate_datasets
from numpy.typing import NDArray

from audio_cls.data.clips.clips import Clips
from audio_cls.data.clips.file_rate import read_file_rate
from audio_cls.data.sources.source import Source
from audio_cls.data.splits.clip_index import ClipIndex


@dataclass(frozen=True)
class ClipMetadata:
    """One entry a clip, in the clips' order."""

    seconds: NDArray[np.float64]  # (N,), rounded to milliseconds
    sampling_rates: NDArray[np.int64]  # (N,), Hz of the file; 0 where its header is unknown
    groups: NDArray[np.str_] | None  # (N,), the group column as text


def read_clip_metadata(source: Source, pool: ClipIndex, clips: Clips) -> ClipMetadata:
    """Look up what the data set says of these clips. Reads a header a clip."""
    place = {str(name): row for row, name in enumerate(pool.ids)}
    rows = [place[str(name)] for name in clips.ids]
    sounds = [table.select_columns([source.audio_column]) for table in source.splits.values()]
    table = concatenate_datasets(sounds).select(rows)
    return ClipMetadata(
        seconds=(clips.lengths / clips.sampling_rate).round(3),
        sampling_rates=np.array([read_file_rate(row[source.audio_column]) for row in table]),
        groups=None if pool.groups is None else pool.groups[rows],
    )
