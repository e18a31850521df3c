"""Log-mel statistics of the clips of a split, cached on disk.

The cache has one folder for each decoded table, named by the hashes of its waveforms, so that
folds, seeds and sweeps compute the statistics of a clip once:

    audio_cls/log_mel/KEY/
      statistics.npz   rows: (N,) rows of the table; values: (N, D) their statistics
      entry.json       description
"""

from __future__ import annotations

import contextlib
import logging
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from audio_cls.data.clips.clips import Clips, hash_audio
from audio_cls.errors import count_of
from audio_cls.evaluation.baseline.log_mel import NUM_STATISTICS, compute_statistics
from audio_cls.progress import show_progress
from audio_cls.storage.cache import CacheEntry
from audio_cls.storage.files import replacing
from audio_cls.storage.keys import make_key

VERSION = 1  # raise it when the statistics of the same audio change
FILE = "statistics.npz"

Table = NDArray[np.float32]  # (N, D)
Rows = NDArray[np.int64]  # (N,)

logger = logging.getLogger(__name__)


def read_statistics(clips: Clips, numbers: Rows | None = None) -> Table:
    """Return the log-mel statistics of clips, (N, D), from the cache where it has them.

    Writes the cache; another process that needs the same clips waits meanwhile.

    Args:
        clips: Clips of a split.
        numbers: Which of them, in this order; None: all.
    """
    wanted = clips.rows if numbers is None else clips.rows[numbers]
    entry = CacheEntry("log_mel", make_key(version=VERSION, audio=hash_audio(clips)))
    with entry.filling():
        rows, values = _load(entry.path / FILE)
        missing = np.setdiff1d(wanted, rows)
        if len(missing):
            order = np.argsort(clips.rows, kind="stable")
            places = order[np.searchsorted(clips.rows, missing, sorter=order)]
            shown = show_progress(places, len(places), "Log-mel statistics", logger)
            with threadpool_limits(1, user_api="blas"):  # more are slower for small products
                found = [_measure(clips, int(place)) for place in shown]
            rows, values = np.concatenate([rows, missing]), np.vstack([values, *found])
            _save(entry, rows, values)
    order = np.argsort(rows, kind="stable")
    return np.asarray(values[order[np.searchsorted(rows, wanted, sorter=order)]])


def _measure(clips: Clips, number: int) -> NDArray[np.float32]:
    """Return the statistics of a clip, (D,)."""
    return compute_statistics(
        lambda start, stop: clips.read_wave(number, start, stop),
        int(clips.lengths[number]),
        clips.sampling_rate,
    )


def _load(path: Path) -> tuple[Rows, Table]:
    """Return rows and values of a file; none of both if it is missing or damaged."""
    with (
        contextlib.suppress(OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile),
        np.load(path) as file,
    ):
        rows, values = file["rows"], file["values"]
        if values.shape == (len(rows), NUM_STATISTICS):
            return rows, values
    return np.zeros(0, np.int64), np.zeros((0, NUM_STATISTICS), np.float32)


def _save(entry: CacheEntry, rows: Rows, values: Table) -> None:
    """Write the file of an entry, and its description."""
    with replacing(entry.path / FILE) as partial, partial.open("wb") as file:
        np.savez(file, rows=rows, values=values)
    entry.write_about({"what": count_of(len(rows), "clip")})
