"""Tables of data sets: file suffixes, configurations, load errors, and the cache of local files."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml
from datasets import Dataset, DatasetDict, concatenate_datasets, load_dataset
from datasets.exceptions import DatasetsError
from datasets.table import CastError
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from huggingface_hub.utils import httpx  # type: ignore[attr-defined] # of its own version

from audio_cls.errors import DatasetError, list_names, suggest_name
from audio_cls.storage.cache import CacheEntry
from audio_cls.storage.files import describe_file
from audio_cls.storage.keys import make_key

AUDIO_TABLES = (".parquet", ".arrow")  # with the audio inside
PATH_TABLE = "metadata.parquet"  # a parquet file with paths instead of audio
ALL_CONFIGS = "all"  # --dataset-config all: all configurations, one after the other
# Raised by `datasets` for files or cards that it cannot read, and by the client of the Hub.
LOAD_ERRORS = (
    *(ValueError, OSError, RuntimeError, DatasetsError, yaml.YAMLError, httpx.HTTPError),
)
HUB_ERRORS = (httpx.HTTPError, HfHubHTTPError, LocalEntryNotFoundError)
CONFIG_COLUMN = "config"  # column with the name of the configuration then

logger = logging.getLogger(__name__)


def holds_audio(name: str) -> bool:
    """Return whether a file is a table with the audio inside.

    >>> holds_audio("data/train-00000-of-00001.parquet"), holds_audio("train/metadata.parquet")
    (True, False)
    """
    return name.lower().endswith(AUDIO_TABLES) and not name.endswith(PATH_TABLE)


def choose_config(dataset: str, names: list[str], wanted: str | None) -> str:
    """Return the wanted configuration, else the only one.

    Raises:
        DatasetError: It does not exist, or there are several to choose from.
    """
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in names:
        return str(wanted)
    if wanted is None:
        problem, hint = "has several configurations", ""
    else:
        problem, hint = f"has no configuration '{wanted}'", suggest_name(wanted, names)
    choices = list_names(names)
    several = f", or '{ALL_CONFIGS}' for every one" if len(names) > 1 else ""
    raise DatasetError(
        f"'{dataset}' {problem}. Choose one with --dataset-config: {choices}{several}.{hint}"
    )


def merge_configs(tables: Mapping[str, Mapping[str, Dataset]]) -> dict[str, Dataset]:
    """Concatenate configurations, split by split; the name is in a new column `config`.

    Columns that the configurations do not share are left out, with a warning.

    Args:
        tables: Configuration -> split -> table.

    Raises:
        DatasetError: The configurations have no column in common.
    """
    every = [table for splits in tables.values() for table in splits.values()]
    shared = [
        name
        for name, kind in every[0].features.items()
        if all(name in table.features and table.features[name] == kind for table in every)
    ]
    dropped = sorted({name for table in every for name in table.column_names} - set(shared))
    if not shared:
        raise DatasetError(
            f"The configurations {list_names(tables)} have no column in common."
            " Choose one by --dataset-config."
        )
    if dropped:
        logger.warning(
            "Columns that not all configurations have are left out: %s.", list_names(dropped)
        )
    merged: dict[str, list[Dataset]] = {}
    for config, splits in tables.items():
        for split, table in splits.items():
            kept = table.select_columns(shared)
            if CONFIG_COLUMN not in shared:
                kept = kept.add_column(CONFIG_COLUMN, [config] * len(kept))
            merged.setdefault(split, []).append(kept)
    return {split: concatenate_datasets(parts) for split, parts in merged.items()}


def explain_load_error(dataset: str, wanted: str | None, error: Exception) -> DatasetError:
    """Return the error for a data set that `datasets` cannot load, with what to do.

    Args:
        dataset: Data set id, for the message.
        wanted: The configuration that was asked for, or None.
        error: What `datasets` raised.
    """
    cause = error.__cause__ or error
    if isinstance(cause, CastError):
        return DatasetError(
            f"The tables of '{dataset}' do not fit together: one has the columns"
            f" {list_names(sorted(cause.table_column_names))}, the others"
            f" {list_names(sorted(cause.requested_column_names))}. Give the folder or file of one"
            " of them."
        )
    text = " ".join(str(cause).split())
    is_hidden = "LocalEntryNotFoundError" in text  # `datasets` then reports no file
    if is_hidden or any(isinstance(one, HUB_ERRORS) for one in (error, cause)):
        text = text.rpartition("LocalEntryNotFoundError: ")[2]
        return DatasetError(
            f"'{dataset}' cannot be downloaded from the Hub: {text[:300].rstrip('.')}. Check the"
            " network, and repeat the command: what has arrived is kept."
        )
    listed = re.search(r"available(?: configs)?: (\[.*?\])", text, flags=re.IGNORECASE)
    if listed:
        try:
            choose_config(dataset, ast.literal_eval(listed.group(1)), wanted)
        except DatasetError as explained:
            return explained
    return DatasetError(
        f"'{dataset}' cannot be loaded: {text[:300]}. Check its files, choose a configuration"
        " with --dataset-config, or give the folder of one configuration."
    )


def content_key(files: Sequence[Path], more: str = "") -> str:
    """Return a key of the content of files: of their absolute paths, sizes and times.

    Args:
        files: The files.
        more: What the content depends on in addition.
    """
    states = np.array([describe_file(path.stat()) for path in files], np.int64)
    paths = pa.array([str(path.absolute()) for path in files], pa.string())
    return make_key(paths=paths, states=states, more=more)


def load_files(kind: str, data_files: dict[str, list[str]], entry: CacheEntry) -> DatasetDict:
    """Load files of one type by `datasets`, into a cache entry.

    Args:
        kind: "parquet" or "arrow".
        data_files: Split -> paths.
        entry: Cache entry, see `hold_tables`.

    Raises:
        DatasetError: They cannot be read.
    """
    try:
        # Files that are on this machine.
        return load_dataset(kind, data_files=data_files, cache_dir=str(entry.path))  # nosec B615
    except LOAD_ERRORS as error:
        raise explain_load_error(list_names(data_files), None, error) from error


def hold_tables(key: str) -> CacheEntry:
    """Return the cache entry of tables with this content key, marked as in use."""
    entry = CacheEntry("tables", key)
    entry.hold()
    return entry
