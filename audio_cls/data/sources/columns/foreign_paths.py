"""Clips of a data set from the network that name a file of this computer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import datasets.config
import huggingface_hub.constants
import pyarrow.compute as pc
from datasets import Dataset

from audio_cls.audio.segments import split_segment
from audio_cls.errors import DatasetError


def check_foreign_paths(splits: Mapping[str, Dataset], column: str, dataset: str) -> None:
    """Refuse a data set from the network whose rows lead to files outside of the caches.

    Such a file is the reader's own: it would be trained on, drawn and published. The files of the
    data set are in the caches of `datasets` and `huggingface_hub`.

    Args:
        splits: Tables with an undecoded audio column, as it is stored: `{"bytes", "path"}`.
        column: The audio column.
        dataset: Its id or address, for the error.

    Raises:
        DatasetError: A row has no bytes, and its path is that of an existing file elsewhere.
    """
    roots = _list_caches()
    for table in splits.values():
        for path in _list_paths(table, column):
            file = os.path.abspath(split_segment(path)[0])
            if not file.startswith(roots) and os.path.isfile(file):
                raise DatasetError(
                    f"'{dataset}' comes from the network, and one of its clips is '{path}', a file"
                    " of this computer: it is not read. Only files that the data set itself has"
                    " can be its clips. If the file is yours to use, list it in a local table."
                )


def _list_caches() -> tuple[str, ...]:
    """Return the folders of downloaded files, with a separator at their end."""
    caches = (
        huggingface_hub.constants.HF_HUB_CACHE,
        datasets.config.HF_DATASETS_CACHE,
        datasets.config.DOWNLOADED_DATASETS_PATH,
        datasets.config.EXTRACTED_DATASETS_PATH,
    )
    return tuple(f"{Path(os.path.abspath(cache))}{os.sep}" for cache in caches)


def _list_paths(table: Dataset, column: str) -> Iterator[str]:
    """Yield the paths of the rows that have no bytes."""
    for chunk in table.data.column(column).chunks:
        paths = chunk.field("path").filter(pc.is_null(chunk.field("bytes")))
        yield from paths.drop_null().to_pylist()
