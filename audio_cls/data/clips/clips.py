"""Clips of one split, whose samples are read from the memory-mapped decode cache."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray

from audio_cls.audio.waveform import Wave
from audio_cls.audio.windows import cut_wave
from audio_cls.config import Hertz
from audio_cls.data.splits.iterative_stratification import LabelArray
from audio_cls.storage.arrow import MappedRows, copy_columns
from audio_cls.storage.keys import make_key

Label = int | NDArray[np.float32]  # class id, or target of each class, (L,)


@dataclass(frozen=True)
class Clips:
    """The usable clips of one split; N clips, L classes."""

    table: Dataset  # see `decode_batch`
    rows: NDArray[np.int64]  # (N,) rows of the table
    labels: LabelArray  # class ids (N,), or targets (N, L) if multi-label
    ids: NDArray[np.str_]  # (N,)
    lengths: NDArray[np.int64]  # (N,) samples
    sampling_rate: Hertz
    groups: NDArray[np.str_] | None = field(default=None, kw_only=True)  # (N,), as text

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.rows)

    @property
    def seconds(self) -> float:
        """Return the total duration in seconds."""
        return float(self.lengths.sum()) / self.sampling_rate

    def read_label(self, number: int) -> Label:
        """Return a clip's class id, or its targets (L,) if multi-label."""
        label = self.labels[number]
        return int(label) if label.ndim == 0 else np.asarray(label, dtype=np.float32)

    def read_wave(self, number: int, start: int, stop: int) -> Wave:
        """Copy samples start to stop of a clip, which is repeated past its end.

        Only that part of the file is read, and memory does not grow with the number of reads.
        """
        waves = self._waves
        wave = cut_wave(waves[int(self.rows[number])], start, stop)
        waves.pages.note(wave.nbytes)
        return wave

    def find_partner(self, number: int, drawn: int) -> int:
        """Return the clip to mix into clip `number`: the one drawn from all clips."""
        return drawn

    @functools.cached_property
    def _waves(self) -> MappedRows:
        return MappedRows(self.table, "wave")

    def __getstate__(self) -> dict[str, Any]:
        """Leave the mapped file out of what is sent to a loader worker, which maps it again."""
        return {name: value for name, value in self.__dict__.items() if name != "_waves"}


def merge_clips(one: Clips, other: Clips) -> Clips:
    """Return the clips of two splits of one decoded table, in the order of its rows."""
    rows = np.concatenate([one.rows, other.rows])
    order = np.argsort(rows, kind="stable")
    groups = None
    if one.groups is not None and other.groups is not None:
        groups = np.concatenate([one.groups, other.groups])[order]
    return replace(
        one,
        rows=rows[order],
        labels=np.concatenate([one.labels, other.labels])[order],
        ids=np.concatenate([one.ids, other.ids])[order],
        lengths=np.concatenate([one.lengths, other.lengths])[order],
        groups=groups,
    )


def select_clips(clips: Clips, places: NDArray[np.int64]) -> Clips:
    """Return some clips of a split, by their places in it."""
    return replace(
        clips,
        rows=clips.rows[places],
        labels=clips.labels[places],
        ids=clips.ids[places],
        lengths=clips.lengths[places],
        groups=None if clips.groups is None else clips.groups[places],
    )


def hash_audio(clips: Clips, rows: NDArray[np.int64] | None = None) -> str:
    """Return a key of the samples of some rows of the decoded table, in their order.

    Args:
        clips: Clips of the table.
        rows: Rows of the table; None: all rows.
    """
    hashes = copy_columns(clips.table, ["hash"])["hash"]
    if rows is not None:
        hashes = hashes.take(pa.array(rows))
    return make_key(sampling_rate=clips.sampling_rate, waves=hashes)
