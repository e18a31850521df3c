"""LoadedDataset: the undecoded tables of a data set, with its revision and licence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from datasets import Dataset, concatenate_datasets
from numpy.typing import NDArray

from audio_cls.data.labels.parse import LabelColumn
from audio_cls.data.sources.parquet.shards import Shards
from audio_cls.storage.cache import CacheEntry

FROM_COLUMNS = "--label-columns"  # the column that this option makes
FROM_PATTERN = "--label-pattern"  # the column that this option makes
SILENCE_RECORDING = "silence_recording"  # recording of a piece that is assigned to a split later
IS_SILENCE_PIECE = "is_silence_piece"  # whether a clip is silence that was synthesised or cut
MADE_COLUMNS = (FROM_COLUMNS, FROM_PATTERN, SILENCE_RECORDING, IS_SILENCE_PIECE)


def list_columns(splits: Mapping[str, Dataset]) -> list[str]:
    """List the columns of all splits that a user can name: not those that a setting has made."""
    names = dict.fromkeys(name for table in splits.values() for name in table.column_names)
    return [name for name in names if name not in MADE_COLUMNS]


@dataclass(frozen=True)
class LoadedDataset:
    """The tables of a data set, before any clip is decoded."""

    id: str  # as the user gave it
    name: str  # short name to show: the id, or the base name of a local path
    is_local: bool  # not a repository of the Hub
    config: str | None
    revision: str  # commit on the Hub, or a key of the content of local files
    content_key: str  # cache key of the clips
    license: str | None
    audio_column: str
    splits: dict[str, Dataset]  # split name -> table, all with the same columns
    ids: NDArray[np.str_]  # (number of clips,), unique; of the splits one after the other
    shards: Shards | None = None  # the streamed training split, which `splits` does not have
    recordings: str | None = None  # column with the recording that a segment is cut from
    entry: CacheEntry | None = None  # cache entry of the tables, in use as long as this object
    label_column: LabelColumn | None = None  # where a step has parsed it, see `read_label_column`

    def concatenate_audio(self) -> Dataset:
        """Return the audio column of all splits, row for row as `ids`."""
        tables = self.splits.values()
        return concatenate_datasets([table.select_columns([self.audio_column]) for table in tables])
