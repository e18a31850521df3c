"""Length, sampling rate and group of each clip, for metrics by these properties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_cls.data.clips.clips import Clips
from audio_cls.storage.arrow import copy_columns


@dataclass(frozen=True)
class ClipMetadata:
    """One entry per clip, in the clips' order; N clips."""

    seconds: NDArray[np.float64]  # (N,), rounded to milliseconds
    sampling_rates: NDArray[np.int64]  # (N,), Hz of the file before resampling; 0 if unknown
    groups: NDArray[np.str_] | None  # (N,), as text, '' for none; None where no clip has one


def read_clip_metadata(clips: Clips) -> ClipMetadata:
    """Return the metadata of decoded clips; no file is opened."""
    rates = copy_columns(clips.table, ["file_rate"])["file_rate"].to_numpy()
    return ClipMetadata(
        seconds=(clips.lengths / clips.sampling_rate).round(3),
        sampling_rates=rates[clips.rows].astype(np.int64),
        groups=keep_groups(clips.groups),
    )


def keep_groups(groups: NDArray[np.str_] | None) -> NDArray[np.str_] | None:
    """Return the groups of clips; None where no clip has one."""
    return groups if groups is not None and (groups != "").any() else None
