"""Parquet files too large for this disk -> an index of their row groups, and rows read on demand.

Only the footers are read to make the index; so the number of clips is known, and any clip can be
asked for by its number. A row group (about 100 clips, as `push_to_hub` writes them) is what is
fetched at once.
"""

from __future__ import annotations

import collections
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features
from huggingface_hub import HfFileSystem, constants
from numpy.typing import NDArray

from audio_cls.errors import DatasetError

HUB = "hf://"
FOOTERS_AT_ONCE = 8  # files asked for their footers at the same time
FILES_OPEN = 8  # kept open by each process
READ_BYTES = 2**23  # fetched from the Hub at once: 8 MB


@dataclass(frozen=True)
class Shards:
    """Files of one split, and where each clip is; clips are numbered file by file."""

    files: tuple[str, ...]  # paths, or hf:// addresses at one commit
    groups: NDArray[np.int64]  # (G, 2): file, row group in it
    begins: NDArray[np.int64]  # (G + 1,): number of each group's first clip, and of all clips
    features: Features
    split: str

    def __len__(self) -> int:
        """Count the clips."""
        return int(self.begins[-1])

    def find_group(self, number: int) -> int:
        """Return the row group that a clip is in."""
        return int(np.searchsorted(self.begins, number, side="right")) - 1


def index_shards(files: Sequence[str], split: str, features: Features | None) -> Shards:
    """Read the footers of the files of a split. Downloads some kilobytes a file.

    Args:
        files: Paths or hf:// addresses of parquet files.
        split: Its name.
        features: Its columns; None for what the first file says.

    Raises:
        DatasetError: A file cannot be read, or there is no clip at all.
    """
    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as pool:
        footers = list(pool.map(_read_footer, files))
    groups = [
        (place, group, footer.row_group(group).num_rows)
        for place, footer in enumerate(footers)
        for group in range(footer.num_row_groups)
    ]
    table = np.array([entry for entry in groups if entry[2]], dtype=np.int64).reshape(-1, 3)
    if len(table) == 0:
        raise DatasetError(
            f"The split '{split}' has no clip to stream. Give another --train-split."
        )
    begins = np.concatenate([[0], np.cumsum(table[:, 2])])
    if features is None:
        features = Features.from_arrow_schema(footers[0].schema.to_arrow_schema())
    return Shards(tuple(files), table[:, :2], begins, features, split)


@dataclass
class RowReader:
    """Reads clips of shards by number; keeps the row groups that were asked for last.

    Each process that it is sent to opens files of its own.
    """

    shards: Shards
    columns: tuple[str, ...]
    num_kept: int = 2  # row groups kept in memory
    _files: collections.OrderedDict[int, pq.ParquetFile] = field(
        default_factory=collections.OrderedDict, repr=False
    )
    _groups: collections.OrderedDict[int, pa.Table] = field(
        default_factory=collections.OrderedDict, repr=False
    )
    _owner: int = 0  # the process that opened the files

    def read(self, number: int) -> dict[str, Any]:
        """Return the columns of one clip; bytes stay encoded. Downloads its row group."""
        group = self.shards.find_group(number)
        table = self._read_group(group)
        row = number - int(self.shards.begins[group])
        return {name: table.column(name)[row].as_py() for name in self.columns}

    def _read_group(self, group: int) -> pa.Table:
        if self._owner != os.getpid():
            self._owner = os.getpid()
            self._files.clear()
            self._groups.clear()
        if group not in self._groups:
            while len(self._groups) >= self.num_kept:
                self._groups.popitem(last=False)
            place, own = (int(value) for value in self.shards.groups[group])
            self._groups[group] = self._open(place).read_row_group(own, columns=list(self.columns))
        self._groups.move_to_end(group)
        return self._groups[group]

    def _open(self, place: int) -> pq.ParquetFile:
        if place not in self._files:
            while len(self._files) >= FILES_OPEN:
                self._files.popitem(last=False)[1].close(force=True)
            self._files[place] = _open_parquet(self.shards.files[place])
        self._files.move_to_end(place)
        return self._files[place]

    def __getstate__(self) -> dict[str, Any]:
        """Send no open file to another process."""
        empty: dict[str, Any] = {
            "_files": collections.OrderedDict(),
            "_groups": collections.OrderedDict(),
        }
        return {**self.__dict__, **empty}


def _read_footer(file: str) -> pq.FileMetaData:
    """Return what a parquet file says of itself.

    Raises:
        DatasetError: It cannot be read.
    """
    try:
        opened = _open_parquet(file)
        footer = opened.metadata
        opened.close(force=True)
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"'{file}' cannot be streamed ({' '.join(str(error).split())}). Check the network and"
            " the file, or leave --streaming out."
        ) from error
    return footer


def _open_parquet(file: str) -> pq.ParquetFile:
    """Open a file of this disk or of the Hub, of which parts are fetched.

    None is mapped: what was read of a mapped file counts as this process's memory.
    """
    if not file.startswith(HUB):
        return pq.ParquetFile(file)
    system = HfFileSystem(endpoint=constants.ENDPOINT)
    return pq.ParquetFile(system.open(file.removeprefix(HUB), "rb", block_size=READ_BYTES))
