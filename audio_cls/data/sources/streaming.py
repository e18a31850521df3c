"""StreamingSource: the training split stays in remote parquet files, the other splits are loaded.

With `--streaming` only the footers of the files of the training split are read here; its row groups
are fetched while training.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from audio_cls.data.sources.hub_info import read_license
from audio_cls.data.sources.parquet.class_labels import check_classes
from audio_cls.data.sources.parquet.hub_copy import (
    find_parquet_copy,
    list_converted,
    load_converted,
)
from audio_cls.data.sources.parquet.shards import index_shards
from audio_cls.data.sources.source import LoadedTables, find_local_path
from audio_cls.data.sources.split_names import ROLES, is_test_validation, resolve_roles
from audio_cls.data.sources.url import parse_hub_url
from audio_cls.errors import DatasetError, count_of, list_names
from audio_cls.storage.cache import CacheEntry
from audio_cls.storage.short_names import is_url

ADVICE = "Leave --streaming out, or make parquet of it (Dataset.push_to_hub does)."

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ParquetFiles:
    """The parquet files of a data set."""

    files: Mapping[str, list[str]]  # split -> paths, or hf:// URLs at one commit
    revision: str
    config: str | None
    license: str | None
    features: Features | None  # columns as the card declares them, if it does


class StreamingSource:
    """Parquet files of a repository, a folder or one file, read with `--streaming`."""

    def matches(self, dataset: str, cfg: DataConfig) -> bool:
        """Return whether the settings ask for streaming."""
        return cfg.streaming

    def load(self, dataset: str, cfg: DataConfig) -> LoadedTables:
        """Load the splits for evaluation, and index the split for training. Downloads.

        Raises:
            DatasetError: The data set is not parquet, or lacks a split for training or evaluation.
        """
        if is_url(dataset):
            dataset, cfg = _parse_repository_url(dataset, cfg)
            path = None
        else:
            path = find_local_path(dataset)
        listing = list_repository(dataset, cfg) if path is None else list_folder(path, cfg)
        roles = resolve_roles(list(listing.files), cfg)
        _check_roles(dataset, roles, listing, cfg)
        train = roles.pop("train")
        shards = index_shards(listing.files[train], train, listing.features)
        entry = hold_tables(listing.revision) if path is not None else None
        splits = _load_splits(list(dict.fromkeys(roles.values())), listing, entry)
        logger.info(
            "Streaming %s of '%s' from %s in %s.",
            *(count_of(len(shards), "clip"), train, count_of(len(shards.files), "file")),
            count_of(len(shards.groups), "row group"),
        )
        return LoadedTables(
            splits,
            listing.revision,
            listing.config,
            listing.license,
            entry=entry,
            shards=shards,
            name=path.resolve().stem if path else dataset,
            is_local=path is not None,
        )


def _parse_repository_url(url: str, cfg: DataConfig) -> tuple[str, DataConfig]:
    """Return the id of the repository that a URL names, and the settings with its revision.

    Raises:
        DatasetError: The URL names a part of a repository, or is of another server.
    """
    place = parse_hub_url(url)
    if place is None or place.path is not None:
        raise DatasetError(
            f"--streaming reads a Hub id or a folder of parquet files, not a part or an address:"
            f" '{url}'. Give OWNER/NAME with --dataset-config, or leave --streaming out."
        )
    return place.id, replace(cfg, dataset_revision=cfg.dataset_revision or place.revision)


def list_repository(dataset: str, cfg: DataConfig) -> ParquetFiles:
    """List the parquet files of a repository, or of its copy on the convert branch."""
    info = read_info(dataset, cfg.dataset_revision)
    license_id = read_license(info)
    copy = find_parquet_copy(dataset, info)
    if copy is not None:
        files, config = list_converted(dataset, copy, cfg)
        return ParquetFiles(files, copy.sha, config, license_id, None)
    files, features = _list_built(dataset, info.sha, cfg)
    return ParquetFiles(files, info.sha, cfg.dataset_config, license_id, features)


def list_folder(path: Path, cfg: DataConfig) -> ParquetFiles:
    """List the parquet files of a folder; one file is the training split."""
    if path.is_file() and path.suffix == ".parquet":
        key = content_key([path])
        return ParquetFiles({"train": [str(path)]}, key, None, None, None)
    if path.is_file() or not any(path.rglob("*.parquet")):
        raise DatasetError(
            f"'{path}' contains no parquet files, and only these can be streamed; clips in files"
            " are on this disk already. Remove --streaming."
        )
    files, features = _list_built(str(path), None, cfg)
    paths = [file for split in files.values() for file in split]
    check_classes(paths, features)
    key = content_key([Path(file) for file in paths])
    return ParquetFiles(files, key, cfg.dataset_config, None, features)


def _list_built(
    dataset: str, revision: str | None, cfg: DataConfig
) -> tuple[dict[str, list[str]], Features | None]:
    """List the files of each split as `datasets` finds them, by the card or by their names."""
    try:
        builder = load_dataset_builder(dataset, cfg.dataset_config, revision=revision)
    except LOAD_ERRORS as error:
        raise explain_load_error(dataset, cfg.dataset_config, error) from error
    files = {str(name): list(split) for name, split in (builder.config.data_files or {}).items()}
    others = [file for split in files.values() for file in split if not file.endswith(".parquet")]
    if not files or others:
        raise DatasetError(
            f"'{dataset}' cannot be streamed: it holds {list_names(others[:3]) or 'no tables'}, and"
            f" only parquet can. {ADVICE}"
        )
    return files, builder.info.features


def _check_roles(
    dataset: str, roles: Mapping[str, str], listing: ParquetFiles, cfg: DataConfig
) -> None:
    """Refuse roles without a split, as a stream is not split, and files that have two roles.

    Args:
        dataset: Data set id, for messages.
        roles: See `resolve_roles`.
        listing: The files of each split.
        cfg: `test_split`: with "validation" the test clips are the validation clips.
    """
    optional = {"test"} if is_test_validation(roles, cfg) and "validation" in roles else set()
    missing = [role for role in ROLES if role not in {*roles, *optional}]
    if missing:
        raise DatasetError(
            f"--streaming makes no splits, and '{dataset}' has {list_names(listing.files)}, but no"
            f" split for {list_names(missing)}. {_advise_splits(missing, roles)}"
        )
    train = set(listing.files[roles["train"]])
    others = [split for role, split in roles.items() if role != "train"]
    shared = [file for split in others for file in listing.files[split] if file in train]
    if shared:
        raise DatasetError(
            f"'{dataset}' lists the same files for training and for evaluation, such as"
            f" {shared[0]}. Choose other splits by --validation-split and --test-split."
        )


def _advise_splits(missing: Sequence[str], roles: Mapping[str, str]) -> str:
    """Return what to do where a stream has no split for validation, test or both."""
    flags = list_names(f"--{role}-split" for role in missing)
    advice = f"Give another one with {flags}, or remove --streaming."
    if len(missing) > 1 or missing == ["train"]:
        return advice
    other = "test" if missing == ["validation"] else "validation"
    both = "--test-split validation"
    if missing == ["validation"]:
        both = f"--validation-split {roles['test']} {both}"
    return (
        f"{advice} Or use '{roles[other]}' for both with {both}: the best epoch is then chosen on"
        " the test clips, so the test score is too high."
    )


def _load_splits(
    names: Sequence[str], listing: ParquetFiles, entry: CacheEntry | None
) -> dict[str, Dataset]:
    """Load whole splits; local files into a cache entry."""
    files = {name: listing.files[name] for name in names}
    if entry is not None:
        tables = dict(load_files("parquet", files, entry))
    else:
        tables = load_converted("the splits for evaluation", files)
    if listing.features is None:
        return tables
    return {name: table.cast(listing.features) for name, table in tables.items()}
