"""Clips of a data set of the Hub that name a file of this computer."""

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


def check_foreign_paths(
    splits: Mapping[str, Dataset], column: str, dataset: str, audio_root: str | None = None
) -> None:
    """Refuse a data set of the Hub whose rows lead to files outside of the caches.

    Such a file is the reader's own: it would be trained on, drawn and published. The files of the
    data set are in the caches of `datasets` and `huggingface_hub`. (A table at a web address may
    list local clips, see `--audio-root`: it was chosen for that.)

    Args:
        splits: Tables with an undecoded audio column, as it is stored: `{"bytes", "path"}`.
        column: The audio column.
        dataset: Its id, for the error.
        audio_root: A folder whose files the reader allows, `--audio-root`.

    Raises:
        DatasetError: A row has no bytes, and its path is that of an existing file elsewhere.
    """
    roots = _list_caches()
    if audio_root is not None:
        roots += (_with_separator(Path(audio_root).expanduser()),)
    for table in splits.values():
        for path in _list_paths(table, column):
            file = os.path.abspath(split_segment(path)[0])
            if not file.startswith(roots) and os.path.isfile(file):
                raise DatasetError(
                    f"'{dataset}' is a data set of the Hub, but one of its clips is '{path}', a"
                    " file of this computer: it is not read. Choose another data set, or give a"
                    " local table that lists it if it is yours to use."
                )


def _list_caches() -> tuple[str, ...]:
    """Return the folders of downloaded files, with a separator at their end."""
    caches = (
        huggingface_hub.constants.HF_HUB_CACHE,
        datasets.config.HF_DATASETS_CACHE,
        datasets.config.DOWNLOADED_DATASETS_PATH,
        datasets.config.EXTRACTED_DATASETS_PATH,
    )
    return tuple(map(_with_separator, caches))


def _with_separator(folder: str | Path) -> str:
    """Return an absolute path that ends with a separator, to compare starts of paths."""
    return os.path.join(os.path.abspath(folder), "")


def _list_paths(table: Dataset, column: str) -> Iterator[str]:
    """Yield the paths of the rows that have no bytes."""
    for chunk in table.data.column(column).chunks:
        paths = chunk.field("path").filter(pc.is_null(chunk.field("bytes")))
        yield from paths.drop_null().to_pylist()
