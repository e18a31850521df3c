"""Sources of data sets: the tables that one returns, and what a data set id says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from datasets import Dataset

from audio_cls.data.sources.dataset_tables import TABLE_SUFFIXES
from audio_cls.demo_data import locate_builtin
from audio_cls.errors import DatasetError
from audio_cls.storage.cache import CacheEntry


def find_local_path(dataset: str) -> Path | None:
    """Return the folder or file that a data set id names, or None when it can only be a Hub id.

    Raises:
        DatasetError: The id is written as a path, and nothing is there.
    """
    folder = locate_builtin(dataset) or Path(dataset).expanduser().absolute()
    if folder.exists():
        return folder
    is_path = is_windows_path(dataset) or dataset.startswith((".", "/", "~"))
    if is_path or dataset.count("/") > 1 or dataset.lower().endswith(TABLE_SUFFIXES):
        raise DatasetError(
            f"There is no folder or file '{dataset}'. Give one that exists, or a Hub id"
            " (owner/name)."
        )
    return None


def is_windows_path(dataset: str) -> bool:
    r"""Tell whether an id has a drive or backslashes, which no id of the Hub has.

    >>> is_windows_path(r"D:\clips"), is_windows_path("D:/clips"), is_windows_path("owner/set")
    (True, True, False)
    """
    return "\\" in dataset or re.match(r"[A-Za-z]:(?:/|$)", dataset) is not None


def name_dataset(dataset: str) -> str:
    r"""Return a short name of a data set: of an id, a path here or on Windows, or an address.

    >>> name_dataset("owner/set"), name_dataset(r"D:\sound\emodb.csv"), name_dataset("builtin:demo")
    ('set', 'emodb', 'demo')
    """
    if is_url(dataset):
        dataset = re.split(r"[?#]", dataset)[0]
    elif re.fullmatch(r"[./\\]*", dataset):
        dataset = str(Path(dataset).resolve())
    name = read_base_name(dataset)
    suffix = next((end for end in TABLE_SUFFIXES if name.lower().endswith(end)), "")
    return name[: len(name) - len(suffix)] or name


def read_base_name(place: str) -> str:
    """Return what follows the last slash, backslash or colon."""
    return re.split(r"[/\\:]", place.rstrip("/\\"))[-1]


@dataclass(frozen=True)
class LoadedTables:
    """The tables that a place gave for a data set id."""

    splits: dict[str, Dataset]
    revision: str  # the Hub's commit, or a key of a folder's content
    config: str | None = None
    license: str | None = None
    key: str | None = None  # what the clips depend on, where that is more than revision and config
    recordings: str | None = None  # the column that names the recordings that clips are cut from
    layout: Literal["sound", "paths", "folders"] = "sound"  # tables with sound or paths, or folders
    entry: CacheEntry | None = None  # of the cache, that the tables are in


def is_url(dataset: str) -> bool:
    """Tell whether a data set is named by an address.

    >>> is_url("hf://datasets/ashraq/esc50"), is_url("ashraq/esc50")
    (True, False)
    """
    return dataset.startswith(("hf://", "http://", "https://"))
