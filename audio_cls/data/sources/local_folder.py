"""LocalFolderSource: a folder of audio files or tables.

`datasets` reads parquet, arrow and `save_to_disk`; class folders and tables with a column of paths
are read by `tables/`, since `datasets` 5 needs torchcodec for audio files.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from datasets import (
    Dataset,
    DatasetDict,
    get_dataset_config_names,
    load_dataset,
    load_from_disk,
)

from audio_cls.audio.files import AUDIO_SUFFIXES, list_files
from audio_cls.config import DataConfig
from audio_cls.data.sources.dataset_tables import (
    ALL_CONFIGS,
    LOAD_ERRORS,
    content_key,
    explain_load_error,
    hold_tables,
    holds_audio,
    merge_configs,
)
from audio_cls.data.sources.parquet.class_labels import check_folder_classes
from audio_cls.data.sources.source import LoadedTables, find_local_path, looks_like_path
from audio_cls.data.sources.tables.class_folders import read_class_folders, read_clip_files
from audio_cls.data.sources.tables.path_tables import PathTables, read_path_tables
from audio_cls.data.sources.tables.table_files import ROW_SUFFIXES
from audio_cls.errors import DatasetError, count_of, list_names
from audio_cls.run_warnings import warn
from audio_cls.runs.run_files import WEIGHTS
from audio_cls.storage.cache import CacheEntry
from audio_cls.storage.short_names import TABLE_SUFFIXES

UNREAD_TABLES = (".xlsx", ".xls", ".ods", ".numbers", ".feather")  # not supported
NO_TABLES = PathTables({}, "", "", [])
SAVE_TO_DISK_FILES = ("dataset_dict.json", "state.json")  # one is in the folder

logger = logging.getLogger(__name__)


class LocalFolderSource:
    """A folder on this machine."""

    def matches(self, dataset: str, cfg: DataConfig) -> bool:
        """Return whether the id is an existing path, or is written as one."""
        return Path(dataset).expanduser().exists() or looks_like_path(dataset)

    def load(self, dataset: str, cfg: DataConfig) -> LoadedTables:
        """Open the folder, see `read_folder`.

        Raises:
            DatasetError: There is no such folder, or it cannot be read.
        """
        folder = find_local_path(dataset)
        assert folder is not None  # as the id exists or looks like a path
        return replace(read_folder(folder, cfg), name=folder.resolve().name)


def read_folder(folder: Path, cfg: DataConfig) -> LoadedTables:
    """Open a folder of tables, of audio files in class folders, or of `save_to_disk`.

    Tables that list clips, and label files next to recordings, have precedence over class folders:
    one that cannot be used is an error. `--label-level` asks for class folders.

    Raises:
        DatasetError: The folder holds none of them, or its tables cannot be used.
    """
    files = list_files(folder)
    key = content_key(files)
    is_saved = any((folder / name).is_file() for name in SAVE_TO_DISK_FILES)
    if not is_saved and any(holds_audio(path.name) for path in files):
        entry = hold_tables(key)
        splits = _load_parquet(folder, cfg, entry)
        return LoadedTables(splits, key, config=cfg.dataset_config, entry=entry)
    if cfg.dataset_config not in (None, ALL_CONFIGS):
        raise DatasetError(
            f"'{folder}' has no configurations, so none is called '{cfg.dataset_config}': leave"
            " --dataset-config out, or point --dataset at the sub-folder."
        )
    _refuse_model(folder, files)
    if is_saved:
        return LoadedTables(_load_saved(folder), key)
    clips = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    if clips and cfg.label_level is not None:
        tables = read_class_folders(folder, clips, cfg.label_level)
        return LoadedTables(tables, key, layout="folders")
    lists = [path for path in files if path.suffix.lower() in ROW_SUFFIXES]
    listed = read_path_tables(lists, folder, cfg) if lists else NO_TABLES
    _check_unused(folder, listed, files, 0 if cfg.label_pattern else len(clips))
    if listed.splits:
        key = content_key(files, listed.key)
        return LoadedTables(listed.splits, key, recordings=listed.recordings, layout="paths")
    if clips:
        if cfg.label_pattern is not None and cfg.label_column is None:
            return LoadedTables(read_clip_files(folder, clips), key, layout="folders")
        return LoadedTables(read_class_folders(folder, clips, None), key, layout="folders")
    raise DatasetError(
        f"The folder '{folder}' holds neither tables ({list_names(TABLE_SUFFIXES)}) nor clips"
        f" ({list_names(AUDIO_SUFFIXES)}){listed.problem}. Point --dataset at the folder that"
        " holds them."
    )


def _refuse_model(folder: Path, files: Sequence[Path]) -> None:
    """Refuse the folder of a run or of another model, whose tables are no data set.

    Raises:
        DatasetError: It holds the configuration and weights of a model, and no clips.
    """
    has_clips = any(path.suffix.lower() in AUDIO_SUFFIXES for path in files)
    if (folder / "config.json").is_file() and any(folder.glob(WEIGHTS)) and not has_clips:
        raise DatasetError(
            f"'{folder}' is the folder of a model, not of a data set. Give a folder of clips, a"
            " table or a Hub id with --dataset. The data set of a run is in its run_config.yaml."
        )


def _check_unused(folder: Path, listed: PathTables, files: Sequence[Path], num_clips: int) -> None:
    """Refuse a folder whose table seems to be about its clips and cannot be used.

    A warning lists other tables that are not used.

    Args:
        folder: The folder.
        listed: What its tables list.
        files: All its files.
        num_clips: Number of its audio files; 0 for no check.

    Raises:
        DatasetError: No table can be used, and one lists paths, has at least half as many rows as
            there are clips, or has a type that is not supported.
    """
    advice = (
        " Correct the table, name its column of paths by --audio-column, or take it out of the"
        " folder; --label-level -1 takes the clips' folders as labels instead."
    )
    if num_clips and not listed.splits:
        unread = [path for path in files if path.suffix.lower() in UNREAD_TABLES]
        if unread:
            raise DatasetError(
                f"'{unread[0]}' is a table in a format that is not supported. Save it as"
                f" CSV.{advice}"
            )
        if listed.problem.startswith("; none"):
            text = listed.problem.removeprefix("; ")
            raise DatasetError(f"{text[0].upper()}{text[1:]}.{advice}")
        about = [(path, num_rows) for path, num_rows in listed.unused if num_rows > 1]
        long = [path for path, num_rows in about if 2 * num_rows >= num_clips]
        if long:
            raise DatasetError(
                f"The table '{long[0]}' is next to the {count_of(num_clips, 'clip')} of '{folder}',"
                f" and none of its columns lists them{listed.problem}.{advice}"
            )
    unused = [path for path, num_rows in listed.unused if num_rows > 1]
    if unused:
        number = count_of(len(unused), "table")
        text = f"Not used: {number} of the data set without any of its clips."
        warn(logger, text, names=unused)


def _load_saved(folder: Path) -> dict[str, Dataset]:
    """Open a folder of `save_to_disk`; a single table becomes the split train."""
    try:
        loaded = load_from_disk(str(folder))
    except LOAD_ERRORS as error:
        raise explain_load_error(str(folder), None, error) from error
    return dict(loaded) if isinstance(loaded, DatasetDict) else {"train": loaded}


def _load_parquet(folder: Path, cfg: DataConfig, entry: CacheEntry) -> dict[str, Dataset]:
    """Load the folder by `datasets`, into a cache entry of its content.

    Where a card lists the data files, `datasets` 5.2 keys its cache by the base name of the folder
    and the names of the files only, so that another folder of that name, or new files, would give
    stale rows.
    """
    path, wanted, cache = str(folder), cfg.dataset_config, str(entry.path)
    try:
        if wanted == ALL_CONFIGS and ALL_CONFIGS not in (names := get_dataset_config_names(path)):
            for name in names:
                check_folder_classes(path, name, cache)
            tables = {n: load_dataset(path, n, cache_dir=cache) for n in names}  # nosec B615
            return merge_configs(tables)
        check_folder_classes(path, wanted, cache)
        return dict(load_dataset(path, wanted, cache_dir=cache))  # nosec B615 # a folder
    except DatasetError:
        raise
    except LOAD_ERRORS as error:
        raise explain_load_error(path, wanted, error) from error
