"""Streamed clips: fetched, decoded and resampled by the loader when their turn comes.

`StreamClips` stands where `Clips` stands for a data set on this disk, and decodes by the same
functions. A clip that cannot be used is left out of its batch and noted; the weights of the others
stay as they are, so that the step's loss is a little smaller, not another mean.
"""

from __future__ import annotations

import collections
import math
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from audio_cls.audio.waveform import Wave, decode_wave, peak
from audio_cls.audio.windows import cut_wave
from audio_cls.config import DataConfig, Hertz
from audio_cls.data.clips.clips import Label
from audio_cls.data.clips.quality import unusable_reason
from audio_cls.data.labels.labels import Labels, make_targets
from audio_cls.data.labels.parse import EMPTY, LabelParser, make_label_parser
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.loading.batch import BadClip
from audio_cls.data.sources.parquet.shards import RowReader, Shards
from audio_cls.data.splits.iterative_stratification import Marks
from audio_cls.errors import AudioClsError, AudioError, DatasetError, list_names

WAVES_KEPT = 4  # decoded clips kept: a clip and the one mixed in are asked for several times


class UnlabelledError(AudioClsError):
    """A streamed clip whose label cannot be used."""


@dataclass
class StreamClips:
    """The training clips of a streamed split; numbers are rows of all its files in order."""

    reader: RowReader
    audio_column: str
    label_column: str
    read_cell: LabelParser
    task: Labels  # of the evaluation splits: their names and kind
    sampling_rate: Hertz
    cfg: DataConfig
    _waves: collections.OrderedDict[int, tuple[Wave, Label]] = field(
        default_factory=collections.OrderedDict, repr=False
    )

    def __len__(self) -> int:
        """Count the clips, those that cannot be used included."""
        return len(self.reader.shards)

    @property
    def shards(self) -> Shards:
        """Return where the clips are."""
        return self.reader.shards

    @property
    def labels(self) -> Marks:
        """Return the labels that are known beforehand: none, (0,), or (0, L) if multi-label."""
        several = self.task.is_multilabel
        return np.zeros((0, len(self.task.names)), np.float32) if several else np.zeros(0, np.int64)

    @property
    def seconds(self) -> float:
        """Return the total duration, which nobody knows: NaN."""
        return math.nan

    @property
    def ids(self) -> StreamIds:
        """Return the clips' names by number."""
        return StreamIds(self.shards.split)

    @property
    def lengths(self) -> StreamLengths:
        """Return the clips' lengths in samples by number; asking decodes the clip."""
        return StreamLengths(self)

    def read_label(self, number: int) -> Label:
        """Return a clip's class, or its share of each class (L,) where clips have several."""
        return self._decode(number)[1]

    def read_wave(self, number: int, start: int, stop: int) -> Wave:
        """Copy samples start to stop of a clip; past its end, it begins again."""
        return cut_wave(self._decode(number)[0], start, stop)

    def find_partner(self, number: int, drawn: int) -> int:
        """Return the clip to mix in: one of the same row group, which is here already.

        A partner that cannot be used is the clip itself.
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

    def _decode(self, number: int) -> tuple[Wave, Label]:
        """Fetch and decode a clip, and read its label.

        Raises:
            AudioError: It cannot be used.
            UnlabelledError: Its label cannot be used.
        """
        if number not in self._waves:
            row = self.reader.read(number)
            label = self._to_label(row[self.label_column])
            wave = self._to_wave(row[self.audio_column])
            while len(self._waves) >= WAVES_KEPT:
                self._waves.popitem(last=False)
            self._waves[number] = wave, label
        self._waves.move_to_end(number)
        return self._waves[number]

    def _to_wave(self, sound: dict[str, Any] | None) -> Wave:
        if sound is None:
            raise AudioError("missing file")
        wave = decode_wave(
            sound["bytes"], sound["path"], self.sampling_rate, self.cfg.max_clip_seconds
        )
        fault = unusable_reason(len(wave), peak(wave), self.sampling_rate, self.cfg)
        if fault:
            raise AudioError(fault)
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
        """Send no decoded sound to another process."""
        return {**self.__dict__, "_waves": collections.OrderedDict()}


def make_stream_clips(
    source: LoadedDataset, shards: Shards, labels: Labels, sampling_rate: Hertz, cfg: DataConfig
) -> StreamClips:
    """Return the clips of the streamed training split; none is read.

    Args:
        source: The data set.
        shards: Files of its training split.
        labels: Labels of the evaluation splits.
        sampling_rate: Rate of the waveforms in Hz.
        cfg: Settings.

    Raises:
        DatasetError: The split has no audio or label column of these names.
    """
    columns = (source.audio_column, labels.column)
    missing = [name for name in columns if name not in shards.features]
    if missing:
        raise DatasetError(
            f"The split '{shards.split}' has no column '{missing[0]}': it has"
            f" {list_names(shards.features)}. Choose another by --label-column."
        )
    kind = shards.features[labels.column]
    return StreamClips(
        reader=RowReader(shards, columns),
        audio_column=source.audio_column,
        label_column=labels.column,
        read_cell=make_label_parser(source.splits, labels.column, cfg.label_separator, kind),
        task=labels,
        sampling_rate=sampling_rate,
        cfg=cfg,
    )


@dataclass(frozen=True)
class StreamIds:
    """Names of streamed clips, `train/17`: none of them is kept in memory."""

    split: str

    def __getitem__(self, number: int) -> str:
        """Return the name of one clip."""
        return f"{self.split}/{number}"


@dataclass(frozen=True)
class StreamLengths:
    """Lengths of streamed clips in samples."""

    clips: StreamClips

    def __getitem__(self, number: int) -> int:
        """Return the length of one clip. Decodes it."""
        return len(self.clips._decode(number)[0])
