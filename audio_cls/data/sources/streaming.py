"""Data set id or folder -> the parquet files of its training split, and tables of the others.

With `--streaming` only the splits for validation and test are fetched whole; of the training split
the footers are read, and the rest while training.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset, Features, load_dataset_builder

from audio_cls.config import DataConfig
from audio_cls.data.sources.dataset_tables import (
    LOAD_ERRORS,
    content_key,
    explain_load_error,
    hold_tables,
    load_files,
)
from audio_cls.data.sources.hub import read_info
from audio_cls.data.sources.parquet.class_labels import check_classes
from audio_cls.data.sources.parquet.hub_copy import (
    find_parquet_copy,
    list_converted,
    load_converted,
)
from audio_cls.data.sources.parquet.shards import Shards, index_shards
from audio_cls.data.sources.source import LoadedTables
from audio_cls.data.sources.split_names import ROLES, resolve_roles
from audio_cls.errors import DatasetError, list_names
from audio_cls.storage.cache import CacheEntry

ADVICE = "Leave --streaming out, or make parquet of it (Dataset.push_to_hub does)."

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ParquetFiles:
    """The parquet files of a data set."""

    files: Mapping[str, list[str]]  # split -> paths or hf:// addresses at one commit
    revision: str
    config: str | None
    license: str | None
    features: Features | None  # what the card says of the columns, if it does


def index_streaming_dataset(
    dataset: str, path: Path | None, cfg: DataConfig
) -> tuple[LoadedTables, Shards]:
    """Open the splits for evaluation as tables, and index the one for training. Downloads.

    Args:
        dataset: A Hub id, or what names `path`.
        path: A folder of parquet files or such a file; None to ask the Hub.
        cfg: Settings.

    Raises:
        DatasetError: The data set is no parquet, or lacks a split for training or evaluation.
    """
    listing = list_repository(dataset, cfg) if path is None else list_folder(path, cfg)
    roles = _name_roles(dataset, list(listing.files), cfg)
    heard = [name for role, name in roles.items() if role != "train"]
    twice = [f for name in heard for f in listing.files[name] if f in listing.files[roles["train"]]]
    if twice:
        raise DatasetError(
            f"'{dataset}' lists the same files for training and for evaluation, such as {twice[0]}."
            " Choose other splits by --validation-split and --test-split."
        )
    shards = index_shards(listing.files[roles["train"]], roles["train"], listing.features)
    wanted = {name: listing.files[name] for name in dict.fromkeys(heard)}
    entry = hold_tables(listing.revision) if path is not None else None
    tables = _load_tables(wanted, listing, entry)
    logger.info(
        "Streaming %d clips of '%s' from %d files in %d row groups.",
        *(len(shards), roles["train"], len(shards.files), len(shards.groups)),
    )
    found = LoadedTables(tables, listing.revision, listing.config, listing.license, entry=entry)
    return found, shards


def list_repository(dataset: str, cfg: DataConfig) -> ParquetFiles:
    """List the parquet files of a repository, or of its copy on the convert branch."""
    info = read_info(dataset, cfg.dataset_revision)
    license_id = info.card_data.get("license") if info.card_data is not None else None
    license_id = license_id if isinstance(license_id, str) else None
    copy = find_parquet_copy(dataset, info)
    if copy is not None:
        files, config = list_converted(dataset, copy, cfg)
        return ParquetFiles(files, copy.sha, config, license_id, None)
    files, features = _list_built(dataset, info.sha, cfg)
    return ParquetFiles(files, info.sha, cfg.dataset_config, license_id, features)


def list_folder(path: Path, cfg: DataConfig) -> ParquetFiles:
    """List the parquet files of a folder, or take one file as the training split."""
    if path.is_file() and path.suffix == ".parquet":
        key = content_key([path])
        return ParquetFiles({"train": [str(path)]}, key, None, None, None)
    if path.is_file() or not any(path.rglob("*.parquet")):
        raise DatasetError(
            f"'{path}' holds no parquet, and only parquet can be streamed; clips in files are on"
            " this disk already. Leave --streaming out."
        )
    files, features = _list_built(str(path), None, cfg)
    every = [Path(file) for own in files.values() for file in own]
    check_classes([str(file) for file in every], features)
    key = content_key(every)
    return ParquetFiles(files, key, cfg.dataset_config, None, features)


def _list_built(
    dataset: str, revision: str | None, cfg: DataConfig
) -> tuple[dict[str, list[str]], Features | None]:
    """Let `datasets` find the files of each split, by the card or by their names."""
    try:
        builder = load_dataset_builder(dataset, cfg.dataset_config, revision=revision)
    except LOAD_ERRORS as error:
        raise explain_load_error(dataset, cfg.dataset_config, error) from error
    files = {str(split): list(own) for split, own in (builder.config.data_files or {}).items()}
    others = [file for own in files.values() for file in own if not file.endswith(".parquet")]
    if not files or others:
        raise DatasetError(
            f"'{dataset}' cannot be streamed: it holds {list_names(others[:3]) or 'no tables'}, and"
            f" only parquet can. {ADVICE}"
        )
    return files, builder.info.features


def _name_roles(dataset: str, available: list[str], cfg: DataConfig) -> dict[str, str]:
    """Map train, validation and test to given splits.

    Raises:
        DatasetError: One is missing, as nothing is cut from a stream, or a split has two roles.
    """
    roles = resolve_roles(available, cfg)
    if cfg.test_split == "validation" and "test" not in roles and "validation" in roles:
        roles["test"] = roles["validation"]
    missing = [role for role in ROLES if role not in roles]
    if missing:
        again = ", or --test-split validation for the same clips again"
        raise DatasetError(
            f"--streaming cuts no split from the stream, and '{dataset}' ({list_names(available)})"
            f" has none for {list_names(missing)}. Name one by --{missing[0]}-split"
            f"{again if missing == ['test'] else ''}, or leave --streaming out."
        )
    return roles


def _load_tables(
    files: dict[str, list[str]], listing: ParquetFiles, entry: CacheEntry | None
) -> dict[str, Dataset]:
    """Fetch these splits whole."""
    if entry is not None:
        tables = dict(load_files("parquet", files, entry))
    else:
        tables = load_converted("the splits for evaluation", files)
    if listing.features is None:
        return tables
    return {name: table.cast(listing.features) for name, table in tables.items()}
