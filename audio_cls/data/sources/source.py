"""Source: the protocol of the places that data sets are loaded from, and what they return.

A new kind of source is one module with a class that has `matches` and `load`, and one entry of
`SOURCES` in data/load.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from datasets import Dataset

from audio_cls.audio.files import suggest_path
from audio_cls.config import DataConfig
from audio_cls.data.sources.parquet.shards import Shards
from audio_cls.data.sources.tables.segment_columns import WHOLE_FILES
from audio_cls.demo_data import locate_builtin
from audio_cls.errors import DatasetError
from audio_cls.storage.cache import CacheEntry
from audio_cls.storage.short_names import TABLE_SUFFIXES

# NAME or OWNER/NAME: letters, digits and _ . - (not at the start), as the Hub allows them.
HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*(?:/[\w.-]+)?", re.ASCII)


@dataclass(frozen=True)
class LoadedTables:
    """The tables of a data set, as its source returns them.

    The audio column may be of any type that `find_audio_column` accepts: Audio, structs of bytes
    and path, or decoded samples.
    """

    splits: dict[str, Dataset]  # split name -> table, all with the same columns
    revision: str  # commit on the Hub, or a key of the content of local files
    config: str | None = None  # the configuration that was read
    license: str | None = None  # as on the Hub's card, such as "cc-by-4.0"
    key: str | None = None  # cache key of the clips, where revision and config are not enough
    recordings: str | None = None  # column with the recording that a segment is cut from
    layout: Literal["audio", "paths", "folders"] = "audio"  # tables of audio or paths, or folders
    entry: CacheEntry | None = None  # cache entry of the tables, in use as long as this object
    shards: Shards | None = None  # the streamed training split, which `splits` does not have
    name: str | None = None  # short name to show; None for the data set id
    is_local: bool = True  # not a repository of the Hub: the id is never published


class Source(Protocol):
    """A place that data sets are loaded from."""

    def matches(self, dataset: str, cfg: DataConfig) -> bool:
        """Return whether this source loads the data set; the sources are asked in order.

        Args:
            dataset: Data set id: what `--dataset` names.
            cfg: Settings.
        """
        ...

    def load(self, dataset: str, cfg: DataConfig) -> LoadedTables:
        """Open the tables of all splits; no clip is decoded.

        Args:
            dataset: Data set id for which `matches` is true.
            cfg: Settings, such as the configuration, the revision and the audio column.

        Raises:
            DatasetError: The data set does not exist or cannot be read.
        """
        ...


def check_settings(tables: LoadedTables, name: str, cfg: DataConfig) -> None:
    """Refuse settings that apply to another kind of data set only.

    Args:
        tables: What was loaded.
        name: The name of the data set in messages.
        cfg: `label_level`, `audio_root`, `dataset_config`, `dataset_revision`, `start_column`.

    Raises:
        DatasetError: A setting would have no effect.
    """
    if cfg.label_level is not None and tables.layout != "folders":
        raise DatasetError(
            f"--label-level has no effect: the labels of '{name}' are in a table, not in"
            " folders. Remove it, or give the folder of the clips with --dataset."
        )
    if cfg.audio_root is not None and tables.layout != "paths":
        raise DatasetError(
            f"--audio-root has no effect: '{name}' is not a table of paths. Remove it, or give"
            " the CSV, TSV or JSON file with --dataset."
        )
    is_read = {"--dataset-config": tables.config is not None, "--dataset-revision": False}
    versions = {"--dataset-config": cfg.dataset_config, "--dataset-revision": cfg.dataset_revision}
    for flag, value in versions.items():
        if value is not None and tables.is_local and not is_read[flag]:
            raise DatasetError(
                f"{flag} {value} has no effect: it selects a part or a version of a data set on"
                f" the Hub, and '{name}' is on this machine. Remove it."
            )
    if cfg.start_column not in (None, WHOLE_FILES) and tables.layout != "paths":
        raise DatasetError(
            f"--start-column cuts segments of files that a table lists, and '{name}' is not such"
            " a table. Remove it, or write a CSV with the columns path, start, end and label."
        )


def find_local_path(dataset: str) -> Path | None:
    """Return the existing folder or file that a data set id names; None for an id of the Hub.

    Raises:
        DatasetError: The id is written as a path, and there is no such folder or file.
    """
    path = locate_builtin(dataset) or Path(dataset).expanduser().absolute()
    if path.exists():
        return path
    if looks_like_path(dataset):
        raise DatasetError(
            f"There is no folder or file '{dataset}'. Give one that exists, or a Hub id"
            f" (owner/name).{suggest_path(path)}"
        )
    return None


def looks_like_path(dataset: str) -> bool:
    """Return whether a data set id is written as a path, whether or not the path exists.

    A text that cannot be a Hub id, such as one with a space or an equals sign, is a path.

    >>> looks_like_path("./clips"), looks_like_path("clips.csv"), looks_like_path("owner/set")
    (True, True, False)
    >>> looks_like_path("my clips"), looks_like_path("rate=16k/clips")
    (True, True)
    """
    is_path = is_windows_path(dataset) or HUB_ID.fullmatch(dataset) is None
    return is_path or dataset.lower().endswith(TABLE_SUFFIXES)


def is_windows_path(dataset: str) -> bool:
    r"""Return whether a data set id has a drive or backslashes, which no Hub id has.

    >>> is_windows_path(r"D:\clips"), is_windows_path("D:/clips"), is_windows_path("owner/set")
    (True, True, False)
    """
    return "\\" in dataset or re.match(r"[A-Za-z]:(?:/|$)", dataset) is not None
