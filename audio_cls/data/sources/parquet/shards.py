"""Parquet shards: an index of the row groups of remote files, and a reader of single rows.

Only the footers are read to make the index. A whole row group is downloaded at once; `push_to_hub`
writes about 100 clips per row group.
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

from audio_cls.errors import DatasetError, describe_error

HUB = "hf://"
FOOTERS_AT_ONCE = 8  # footers read in parallel
FILES_OPEN = 8  # files that a process keeps open
READ_BYTES = 2**23  # read from the Hub at once: 8 MB


@dataclass(frozen=True)
class Shards:
    """The files of one split and their row groups; clips are numbered file by file."""

    files: tuple[str, ...]  # paths, or hf:// URLs at one commit
    groups: NDArray[np.int64]  # (G, 2): number of the file, row group in the file
    begins: NDArray[np.int64]  # (G + 1,): number of the first clip of each group; number of clips
    features: Features
    split: str

    def __len__(self) -> int:
        """Count the clips."""
        return int(self.begins[-1])

    def find_group(self, number: int) -> int:
        """Return the row group that a clip is in."""
        return int(np.searchsorted(self.begins, number, side="right")) - 1


def index_shards(files: Sequence[str], split: str, features: Features | None) -> Shards:
    """Read the footers of the files of a split. Downloads some kilobytes per file.

    Args:
        files: Paths or hf:// URLs of parquet files.
        split: Name of the split.
        features: Columns; None for those of the first file.

    Raises:
        DatasetError: A file cannot be read, or there is no clip.
    """
    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as pool:
        footers = list(pool.map(_read_footer, files))
    groups = [
        (number, group, footer.row_group(group).num_rows)
        for number, footer in enumerate(footers)
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
    """Reads clips of shards by number; keeps the row groups that were used last.

    Each process opens the files for itself.
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
        """Return the columns of one clip, undecoded. Downloads its row group."""
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
            file, number = (int(value) for value in self.shards.groups[group])
            columns = list(self.columns)
            self._groups[group] = self._open(file).read_row_group(number, columns=columns)
        self._groups.move_to_end(group)
        return self._groups[group]

    def _open(self, file: int) -> pq.ParquetFile:
        if file not in self._files:
            while len(self._files) >= FILES_OPEN:
                self._files.popitem(last=False)[1].close(force=True)
            self._files[file] = _open_parquet(self.shards.files[file])
        self._files.move_to_end(file)
        return self._files[file]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out open files, which cannot be sent to another process."""
        empty: dict[str, Any] = {
            "_files": collections.OrderedDict(),
            "_groups": collections.OrderedDict(),
        }
        return {**self.__dict__, **empty}


def _read_footer(file: str) -> pq.FileMetaData:
    """Return the footer of a parquet file.

    Raises:
        DatasetError: It cannot be read.
    """
    try:
        opened = _open_parquet(file)
        footer = opened.metadata
        opened.close(force=True)
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"'{file}' cannot be streamed ({describe_error(error)}). Check the network and"
            " the file, or leave --streaming out."
        ) from error
    return footer


def _open_parquet(file: str) -> pq.ParquetFile:
    """Open a local file or one of the Hub.

    It is not memory-mapped, as the pages read of a mapped file count as memory of the process.
    """
    if not file.startswith(HUB):
        return pq.ParquetFile(file)
    system = HfFileSystem(endpoint=constants.ENDPOINT)
    return pq.ParquetFile(system.open(file.removeprefix(HUB), "rb", block_size=READ_BYTES))
