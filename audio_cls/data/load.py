"""Load a data set by its id: a folder, a file, a URL or a repository of the Hub."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from urllib.parse import urlparse

from datasets import Audio

from audio_cls.config import DataConfig
from audio_cls.data.keyword_spotting.relabel import relabel_keywords
from audio_cls.data.labels.label_columns import add_fields, add_label_column
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.sources.columns.audio_column import find_audio_column
from audio_cls.data.sources.columns.sample_arrays import encode_arrays
from audio_cls.data.sources.hub import read_repository
from audio_cls.data.sources.local_folder import read_file, read_folder
from audio_cls.data.sources.parquet.shards import Shards
from audio_cls.data.sources.source import LoadedTables, find_local_path, is_url
from audio_cls.data.sources.streaming import index_streaming_dataset
from audio_cls.data.sources.tables.segment_columns import WHOLE_FILES
from audio_cls.data.sources.url import HubPath, parse_hub_place, read_hub_place, read_url
from audio_cls.errors import DatasetError
from audio_cls.storage.process_memory import release_pages

NO_DATASET = "No data set was given. Name a Hub id or a folder by --dataset, or try --preset demo."


def load_dataset(cfg: DataConfig) -> LoadedDataset:
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
    return LoadedDataset(
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
    path = None if is_url(dataset) else find_local_path(dataset)
    place = parse_hub_place(dataset) if is_url(dataset) else None
    if cfg.streaming:
        name, cfg = _name_streamed(dataset, place, cfg)
        found, shards = index_streaming_dataset(name, path, cfg)
        return (path.resolve().stem if path else name), path is not None, found, shards
    if is_url(dataset):
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
    if is_url(dataset):
        raise DatasetError(
            f"--streaming reads a Hub id or a folder of parquet files, not a part or an address:"
            f" '{dataset}'. Give OWNER/NAME with --dataset-config, or leave --streaming out."
        )
    return dataset, cfg
