"""What the two places where data sets live, this disk and the Hub, have in common."""

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

from audio_cls.errors import DatasetError, list_names, suggest_name
from audio_cls.storage.cache import CacheEntry
from audio_cls.storage.keys import describe_file, make_key

AUDIO_TABLES = (".parquet", ".arrow")  # that hold the sound itself
PATH_TABLE = "metadata.parquet"  # the one that lists paths instead
TABLE_SUFFIXES = (".parquet", ".arrow", ".csv", ".tsv", ".json", ".jsonl")
ALL_CONFIGS = "all"  # --dataset-config all: every configuration, one after the other
# What `datasets` raises for files or a card that it cannot make sense of.
LOAD_ERRORS = (ValueError, OSError, RuntimeError, DatasetsError, yaml.YAMLError)
CONFIG_COLUMN = "config"  # what the configuration's name becomes then

logger = logging.getLogger(__name__)


def holds_audio(name: str) -> bool:
    """Tell whether a file is a table with the sound inside.

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
        f"'{dataset}' {problem}: choose --dataset-config of {choices}{several}.{hint}"
    )


def merge_configs(tables: Mapping[str, Mapping[str, Dataset]]) -> dict[str, Dataset]:
    """Put configurations one after the other, split by split; the name goes into a column `config`.

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
        logger.warning("Left out, as configurations differ in them: %s.", list_names(dropped))
    merged: dict[str, list[Dataset]] = {}
    for config, splits in tables.items():
        for split, table in splits.items():
            kept = table.select_columns(shared)
            if CONFIG_COLUMN not in shared:
                kept = kept.add_column(CONFIG_COLUMN, [config] * len(kept))
            merged.setdefault(split, []).append(kept)
    return {split: concatenate_datasets(parts) for split, parts in merged.items()}


def explain_load_error(dataset: str, wanted: str | None, error: Exception) -> DatasetError:
    """Say in one line why `datasets` could not load, with the next thing to try."""
    cause = error.__cause__ or error
    if isinstance(cause, CastError):
        return DatasetError(
            f"The tables of '{dataset}' do not fit together: one has the columns"
            f" {list_names(sorted(cause.table_column_names))}, the others"
            f" {list_names(sorted(cause.requested_column_names))}. Give the folder or file of one"
            " of them."
        )
    text = " ".join(str(cause).split())
    listed = re.search(r"available(?: configs)?: (\[.*?\])", text, flags=re.IGNORECASE)
    if listed:
        try:
            choose_config(dataset, ast.literal_eval(listed.group(1)), wanted)
        except DatasetError as explained:
            return explained
    return DatasetError(
        f"'{dataset}' cannot be loaded: {text[:300]}. Look at its files, and name what to read by"
        " --dataset-config, or give the folder of one configuration."
    )


def content_key(files: Sequence[Path], more: str = "") -> str:
    """Return a key that changes when one of the files does, from their paths and states.

    Args:
        files: They count by their absolute paths: another folder may hold other files of equal
            names, sizes and times.
        more: What else the content depends on.
    """
    states = np.array([describe_file(path.stat()) for path in files], np.int64)
    paths = pa.array([str(path.absolute()) for path in files], pa.string())
    return make_key(paths=paths, states=states, more=more)


def load_files(kind: str, data_files: dict[str, list[str]], entry: CacheEntry) -> DatasetDict:
    """Let `datasets` read files of one kind into a cache named after their content."""
    try:
        return load_dataset(kind, data_files=data_files, cache_dir=str(entry.path))
    except LOAD_ERRORS as error:
        raise explain_load_error(list_names(data_files), None, error) from error


def hold_tables(key: str) -> CacheEntry:
    """Return the cache of tables with this content, which nobody deletes while it is in use."""
    entry = CacheEntry("tables", key)
    entry.hold()
    return entry
