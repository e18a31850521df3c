"""Data set id or folder -> one table of undecoded clips a split.

In: `DataConfig.dataset` and its neighbours. Out: a `Source`, whose splits are `datasets.Dataset`
tables with the audio column still as `{"bytes", "path"}`; nothing is decoded, so neither FFmpeg nor
torchcodec is needed. folder.py reads this disk, repository.py the Hub, remote.py addresses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse

from datasets import Audio, Dataset

from audio_cls.config import DataConfig
from audio_cls.data.keyword_spotting.relabel import relabel_keywords
from audio_cls.data.labels.label_columns import add_fields, add_label_column
from audio_cls.data.sources.dataset_tables import TABLE_SUFFIXES, LoadedTables
from audio_cls.data.sources.hub import read_repository
from audio_cls.data.sources.local import read_file, read_folder
from audio_cls.data.sources.parquet.shards import Shards
from audio_cls.data.sources.sample_arrays import (
    RATE_COLUMNS,
    encode_arrays,
    find_rate_column,
    holds_array,
    holds_samples,
)
from audio_cls.data.sources.streaming import index_streaming_dataset
from audio_cls.data.sources.tables.segment_columns import WHOLE_FILES
from audio_cls.data.sources.url import (
    HubPath,
    is_remote,
    parse_hub_place,
    read_hub_place,
    read_url,
)
from audio_cls.demo_data import locate_builtin
from audio_cls.errors import DatasetError, list_names, suggest_name
from audio_cls.storage.cache import CacheEntry
from audio_cls.storage.process_memory import release_pages

NO_DATASET = "No data set was given. Name a Hub id or a folder by --dataset, or try --preset demo."


@dataclass(frozen=True)
class Source:
    """A data set as it was found, before any clip is decoded."""

    id: str  # what the user typed
    name: str  # for people: the id, or a folder's base name
    is_local: bool
    config: str | None
    revision: str
    content_key: str  # what the clips depend on, for caches
    license: str | None
    audio_column: str
    splits: dict[str, Dataset]  # all with the same columns
    shards: Shards | None = None  # the training split, where it is streamed; `splits` lack it
    recordings: str | None = None  # the column that names the recordings that clips are cut from
    entry: CacheEntry | None = None  # that the tables are in: not deleted while this is in use


def load_source(cfg: DataConfig) -> Source:
    """Find the data set and open its splits without decoding a clip. Downloads.

    For keyword spotting the labels are renamed and pieces of silence added (keywords.py).

    Raises:
        DatasetError: There is no such data set, configuration or audio column, or the Hub says no.
    """
    if not cfg.dataset:
        raise DatasetError(NO_DATASET)
    name, is_local, found, shards = _find(cfg.dataset, cfg)
    _check_layout(name, found, cfg, is_local=is_local)
    column = find_audio_column(next(iter(found.splits.values())).features, cfg.audio_column)
    undecoded = Audio(decode=False)
    tables = encode_arrays(found.splits, column, is_streamed=shards is not None)
    splits = {key: table.cast_column(column, undecoded) for key, table in tables.items()}
    splits = add_label_column(add_fields(splits, cfg), column, cfg)
    key = f"{found.key or found.revision}/{found.config}/{column}"
    splits = relabel_keywords(splits, column, cfg)
    for table in splits.values():
        release_pages(table.data.column(column))  # that were mapped while the files were opened
    return Source(
        id=cfg.dataset if is_local else name,
        name=name,
        is_local=is_local,
        config=found.config,
        revision=found.revision,
        content_key=key,
        license=found.license,
        audio_column=column,
        splits=splits,
        shards=shards,
        recordings=found.recordings,
        entry=found.entry,
    )


def _check_layout(name: str, found: LoadedTables, cfg: DataConfig, *, is_local: bool) -> None:
    """Refuse settings that are for another kind of data set, and would have no effect."""
    if cfg.label_level is not None and found.layout != "folders":
        raise DatasetError(
            f"--label-level has no effect: the labels of '{name}' are in a table, not in folders."
            " Leave it out, or give the folder of the clips by --dataset."
        )
    if cfg.audio_root is not None and found.layout != "paths":
        raise DatasetError(
            f"--audio-root has no effect: '{name}' is no table of paths. Leave it out, or give the"
            " CSV, TSV or JSON file by --dataset."
        )
    is_read = {"--dataset-config": found.config is not None, "--dataset-revision": False}
    versions = {"--dataset-config": cfg.dataset_config, "--dataset-revision": cfg.dataset_revision}
    for flag, value in versions.items():
        if value is not None and is_local and not is_read[flag]:
            raise DatasetError(
                f"{flag} {value} has no effect: it chooses a part or a version of a data set of the"
                f" Hub, and '{name}' is on this machine. Leave it out."
            )
    if cfg.start_column not in (None, WHOLE_FILES) and found.layout != "paths":
        raise DatasetError(
            f"--start-column cuts segments of files that a table lists, and '{name}' is no such"
            " table. Leave it out, or write a CSV with the columns path, start, end and label."
        )


def _find(dataset: str, cfg: DataConfig) -> tuple[str, bool, LoadedTables, Shards | None]:
    """Return the name for people, whether it is no repository, its tables and what is streamed."""
    path = None if is_remote(dataset) else locate_folder(dataset)
    place = parse_hub_place(dataset) if is_remote(dataset) else None
    if cfg.streaming:
        name, cfg = _name_streamed(dataset, place, cfg)
        found, shards = index_streaming_dataset(name, path, cfg)
        return (path.resolve().stem if path else name), path is not None, found, shards
    if is_remote(dataset):
        if place is not None:
            return place.id, False, read_hub_place(place, cfg), None
        return PurePosixPath(urlparse(dataset).path).stem, True, read_url(dataset, cfg), None
    if path is None:
        return dataset, False, read_repository(dataset, cfg), None
    if path.is_file():
        return path.stem, True, read_file(path, cfg), None
    return path.resolve().name, True, read_folder(path, cfg), None


def _name_streamed(dataset: str, place: HubPath | None, cfg: DataConfig) -> tuple[str, DataConfig]:
    """Return the id of what is to be streamed, and the settings with its revision."""
    if place is not None and place.path is None:
        revision = cfg.dataset_revision or place.revision
        return place.id, replace(cfg, dataset_revision=revision)
    if is_remote(dataset):
        raise DatasetError(
            f"--streaming reads a Hub id or a folder of parquet files, not a part or an address:"
            f" '{dataset}'. Give OWNER/NAME with --dataset-config, or leave --streaming out."
        )
    return dataset, cfg


def locate_folder(dataset: str) -> Path | None:
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


def name_source(dataset: str) -> str:
    r"""Return a short name of a data set: of an id, a path here or on Windows, or an address.

    >>> name_source("owner/set"), name_source(r"D:\sound\emodb.csv"), name_source("builtin:demo")
    ('set', 'emodb', 'demo')
    """
    if is_remote(dataset):
        dataset = re.split(r"[?#]", dataset)[0]
    elif re.fullmatch(r"[./\\]*", dataset):
        dataset = str(Path(dataset).resolve())
    name = read_base_name(dataset)
    suffix = next((end for end in TABLE_SUFFIXES if name.lower().endswith(end)), "")
    return name[: len(name) - len(suffix)] or name


def read_base_name(place: str) -> str:
    """Return what follows the last slash, backslash or colon."""
    return re.split(r"[/\\:]", place.rstrip("/\\"))[-1]


def find_audio_column(features: dict[str, Any], wanted: str | None) -> str:
    """Return the audio column: the wanted one, else the only one.

    Lists of samples are audio only where a column has their sampling rate.

    Raises:
        DatasetError: There is none, several, or not the wanted one; the text lists the columns.
    """
    holders = [name for name, kind in features.items() if _holds_audio(kind)]
    lists = [name for name, kind in features.items() if holds_samples(kind)]
    if (not holders or wanted in lists) and find_rate_column(features) is not None:
        holders += lists
    shown = f"the columns are {list_names(features)}"
    if lists and not holders:
        raise DatasetError(
            f"Column '{lists[0]}' holds lists of numbers, and no column has their sampling rate:"
            f" {shown}. Add a column '{RATE_COLUMNS[0]}' in Hz."
        )
    if wanted is not None and wanted not in holders:
        hint = suggest_name(wanted, holders)
        if holders and not hint:
            hint = f" Did you mean --audio-column {holders[0]}?"
        raise DatasetError(f"There is no audio in a column '{wanted}': {shown}.{hint}")
    if wanted is not None:
        return wanted
    if not holders:
        raise DatasetError(
            f"No column holds audio: {shown}. A column of type Audio, or of structs with 'bytes'"
            " and 'path' or with 'array' and 'sampling_rate', is needed."
        )
    if len(holders) > 1:
        raise DatasetError(
            f"Several columns hold audio: choose --audio-column of {list_names(holders)}."
        )
    return holders[0]


def _holds_audio(kind: Any) -> bool:  # noqa: ANN401 (a feature may be a class, a dict or a list)
    """Tell whether a feature is Audio, the struct that Audio is stored as, or decoded samples."""
    is_stored = isinstance(kind, dict) and {"bytes", "path"} <= set(kind)
    return isinstance(kind, Audio) or is_stored or holds_array(kind)
