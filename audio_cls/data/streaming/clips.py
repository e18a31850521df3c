"""Streamed clips: fetched, decoded and resampled by the loader when they are needed.

`StreamClips` takes the place of `Clips` and decodes by the same functions. A clip that cannot be
used is left out of its batch and logged; the weights of the others stay the same, so that the
step's loss is a little smaller.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from audio_cls.audio.waveform import Wave, decode_wave, peak
from audio_cls.audio.windows import cut_wave
from audio_cls.config import DataConfig, Hertz
from audio_cls.data.clips.clips import Label
from audio_cls.data.clips.quality import unusable_reason
from audio_cls.data.labels.labels import Labels, make_targets
from audio_cls.data.labels.parse import EMPTY, LabelParser
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.loading.batch import BadClip
from audio_cls.data.sources.parquet.shards import RowReader, Shards
from audio_cls.data.splits.iterative_stratification import LabelArray
from audio_cls.errors import AudioClsError, AudioError, DatasetError, list_names

NUM_CACHED = 4  # decoded clips kept: a clip and the one mixed in are read several times


class UnlabelledError(AudioClsError):
    """A streamed clip whose label cannot be used."""


@dataclass
class StreamClips:
    """The training clips of a streamed split, numbered over all its files in order."""

    reader: RowReader
    audio_column: str
    label_column: str
    read_cell: LabelParser
    task: Labels  # of the evaluation splits: names, and whether multi-label
    sampling_rate: Hertz
    cfg: DataConfig

    def __len__(self) -> int:
        """Return the number of clips, including those that cannot be used."""
        return len(self.reader.shards)

    @property
    def shards(self) -> Shards:
        """Return the files of the split."""
        return self.reader.shards

    @property
    def labels(self) -> LabelArray:
        """Return the labels known before training: none, (0,), or (0, L) if multi-label."""
        if self.task.is_multilabel:
            return np.zeros((0, len(self.task.names)), np.float32)
        return np.zeros(0, np.int64)

    @property
    def seconds(self) -> float:
        """Return the total duration, which is unknown: NaN."""
        return math.nan

    @property
    def ids(self) -> StreamIds:
        """Return the clips' ids by number."""
        return StreamIds(self.shards.split)

    @property
    def lengths(self) -> StreamLengths:
        """Return the clips' lengths in samples by number; reading one decodes the clip."""
        return StreamLengths(self)

    def read_label(self, number: int) -> Label:
        """Return a clip's class id, or its targets (L,) if multi-label."""
        return self._decode(number)[1]

    def read_wave(self, number: int, start: int, stop: int) -> Wave:
        """Copy samples start to stop of a clip, which is repeated past its end."""
        return cut_wave(self._decode(number)[0], start, stop)

    def find_partner(self, number: int, drawn: int) -> int:
        """Return the clip to mix in: one of the same row group, which is in memory.

        If that cannot be used, it is the clip itself.
        """
        group = self.shards.find_group(number)
        first, last = (int(value) for value in self.shards.begins[group : group + 2])
        partner = first + drawn % (last - first)
        try:
            self._decode(partner)
        except AudioClsError:
            return number
        return partner

    def describe_bad_clip(self, number: int, error: AudioClsError) -> BadClip:
        """Return the id of a clip that cannot be used, and the reason."""
        audio = self.reader.read(number)[self.audio_column] or {}
        path = audio.get("path")
        return BadClip(number, PurePosixPath(path).name if path else self.ids[number], str(error))

    @functools.cached_property
    def _decode(self) -> Callable[[int], tuple[Wave, Label]]:
        """Return `_decode_clip` with a cache of the last clips."""
        return functools.lru_cache(NUM_CACHED)(self._decode_clip)

    def _decode_clip(self, number: int) -> tuple[Wave, Label]:
        """Fetch and decode a clip, and parse its label.

        Raises:
            AudioError: Its audio cannot be used.
            UnlabelledError: Its label cannot be used.
        """
        row = self.reader.read(number)
        label = self._to_label(row[self.label_column])
        return self._to_wave(row[self.audio_column]), label

    def _to_wave(self, audio: dict[str, Any] | None) -> Wave:
        if audio is None:
            raise AudioError("missing file")
        max_seconds = self.cfg.max_clip_seconds
        wave = decode_wave(audio["bytes"], audio["path"], self.sampling_rate, max_seconds)
        reason = unusable_reason(len(wave), peak(wave), self.sampling_rate, self.cfg)
        if reason:
            raise AudioError(reason)
        return wave

    def _to_label(self, cell: object) -> Label:
        names, problem = self.read_cell(cell)
        kept = [name for name in names if name in self.task.names]
        if not kept and not (self.task.is_multilabel and problem == EMPTY):
            raise UnlabelledError(f"no usable label: {problem or 'of a class left out'}")
        if self.task.is_multilabel:
            return np.asarray(make_targets([tuple(kept)], self.task.names)[0])
        if len(kept) > 1:
            raise UnlabelledError("no usable label: several, where the other splits have one each")
        return self.task.names.index(kept[0])

    def __getstate__(self) -> dict[str, Any]:
        """Leave decoded clips out of what is sent to a loader worker."""
        return {name: value for name, value in self.__dict__.items() if name != "_decode"}


def make_stream_clips(
    dataset: LoadedDataset, shards: Shards, labels: Labels, sampling_rate: Hertz, cfg: DataConfig
) -> StreamClips:
    """Return the clips of the streamed training split; none is read.

    Args:
        dataset: The data set.
        shards: Files of its training split.
        labels: Labels of the evaluation splits.
        sampling_rate: Rate of the waveforms in Hz.
        cfg: Settings.

    Raises:
        DatasetError: The split has no audio or label column of these names.
    """
    columns = (dataset.audio_column, labels.column)
    missing = [name for name in columns if name not in shards.features]
    if missing:
        raise DatasetError(
            f"The split '{shards.split}' has no column '{missing[0]}': it has"
            f" {list_names(shards.features)}. Choose another by --label-column."
        )
    kind = shards.features[labels.column]
    assert labels.parser is not None  # as keyword spotting is not streamed
    return StreamClips(
        reader=RowReader(shards, columns),
        audio_column=dataset.audio_column,
        label_column=labels.column,
        read_cell=labels.parser.adapt(kind),
        task=labels,
        sampling_rate=sampling_rate,
        cfg=cfg,
    )


@dataclass(frozen=True)
class StreamIds:
    """Ids of streamed clips, such as `train/17`, made when they are read."""

    split: str

    def __getitem__(self, number: int) -> str:
        """Return the id of one clip."""
        return f"{self.split}/{number}"


@dataclass(frozen=True)
class StreamLengths:
    """Lengths of streamed clips in samples."""

    clips: StreamClips

    def __getitem__(self, number: int) -> int:
        """Return the length of one clip. Decodes it."""
        return len(self.clips._decode(number)[0])
