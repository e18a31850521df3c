"""A folder or file on this disk -> tables.

Parquet is read by `datasets`; class folders and tables with a path column (tables.py) by ourselves,
since `datasets` 5 cannot read audio files without torchcodec.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import datasets
from datasets import (
    Audio,
    Dataset,
    DatasetDict,
    get_dataset_config_names,
    load_dataset,
    load_from_disk,
)

from audio_cls.config import DataConfig
from audio_cls.data.found import (
    ALL_CONFIGS,
    AUDIO_SUFFIXES,
    LOAD_ERRORS,
    SOUND_TABLES,
    SPLIT_OF_NAME,
    TABLE_SUFFIXES,
    Found,
    explain_load_error,
    holds_sound,
    merge_configs,
)
from audio_cls.data.tables import ROW_SUFFIXES, PathTables, read_path_tables
from audio_cls.errors import DatasetError, list_names

SAVED_MARKS = ("dataset_dict.json", "state.json")  # what save_to_disk leaves in its folder

logger = logging.getLogger(__name__)


def read_folder(folder: Path, cfg: DataConfig) -> Found:
    """Open a folder of tables, of one sub-folder of clips a class, or of `save_to_disk`.

    Raises:
        DatasetError: The folder holds none of them, or its tables make no sense.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and _is_shown(path, folder))
    key = content_key(folder, files)
    is_saved = any((folder / mark).is_file() for mark in SAVED_MARKS)
    if not is_saved and any(holds_sound(path.name) for path in files):
        return Found(_load_parquet(folder, cfg, key), key, config=cfg.dataset_config)
    if cfg.dataset_config not in (None, ALL_CONFIGS):
        raise DatasetError(
            f"'{folder}' has no configurations, so none is called '{cfg.dataset_config}': leave"
            " --dataset-config out, or point --dataset at the sub-folder."
        )
    if is_saved:
        return Found(_load_saved(folder), key)
    clips = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    tables = [path for path in files if path.suffix.lower() in ROW_SUFFIXES]
    listed = read_path_tables(tables, folder, cfg) if tables else PathTables({}, "", "")
    if listed.splits:
        return Found(listed.splits, content_key(folder, files, listed.key))
    if clips:
        if listed.problem.startswith("; none"):
            logger.warning("The clips' folders are their labels%s.", listed.problem)
        if cfg.label_pattern is not None and cfg.label_column is None:
            return Found(read_clip_files(folder, clips), key)
        return Found(read_class_folders(folder, clips), key)
    raise DatasetError(
        f"The folder '{folder}' holds neither tables ({list_names(TABLE_SUFFIXES)}) nor clips"
        f" ({list_names(AUDIO_SUFFIXES)}){listed.problem}. Point --dataset at the folder that"
        " holds them."
    )


def read_file(path: Path, cfg: DataConfig, suffix: str | None = None) -> Found:
    """Open one table file: parquet with its sound inside, or CSV, TSV, JSON with a path column.

    Args:
        path: The file.
        cfg: Settings.
        suffix: What it is, when its name does not say so (a download).

    Raises:
        DatasetError: It is no table, or no column of it holds paths of clips.
    """
    key = content_key(path.parent, [path])
    suffix = suffix or path.suffix.lower()
    if suffix in SOUND_TABLES:
        return Found(load_files(suffix[1:], {"train": [str(path)]}, key), key)
    if suffix not in ROW_SUFFIXES:
        raise DatasetError(
            f"The file '{path}' is no table: {list_names(TABLE_SUFFIXES)} are. For clips, give the"
            " folder that holds a sub-folder a class."
        )
    listed = read_path_tables([path], path.parent, cfg, suffix)
    if not listed.splits:
        raise DatasetError(
            f"'{path}' has no column of paths{listed.problem}. Name it by --audio-column."
        )
    return Found(listed.splits, content_key(path.parent, [path], listed.key))


def content_key(folder: Path, files: Iterable[Path], more: str = "") -> str:
    """Return a key that changes when one of the files does: from names, sizes and times.

    Args:
        folder: The names are taken relative to it, so that a moved folder keeps its key.
        files: Files below it.
        more: What else the content depends on.
    """
    digest = hashlib.sha256(more.encode())
    for path in files:
        state = path.stat()
        name = path.relative_to(folder)
        digest.update(f"{name}\0{state.st_size}\0{state.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:40]


def read_class_folders(folder: Path, clips: Sequence[Path]) -> DatasetDict:
    """Make tables from `[SPLIT/]LABEL/clip.wav`: columns audio, label and file (the relative path).

    Folders that all clips share (`Data/genres_original/`) are passed over.

    Raises:
        DatasetError: No clip lies in a sub-folder.
    """
    rows: dict[str, dict[str, list[str]]] = {}
    outside = 0
    names = [path.relative_to(folder).parts for path in clips]
    depth = _count_shared_folders(names)
    for path, whole in zip(clips, names, strict=True):
        parts = whole[depth:]
        named = SPLIT_OF_NAME.get(parts[0].lower()) if len(parts) > 2 else None
        label = "/".join(parts[1:-1] if named else parts[:-1])
        if not label:
            outside += 1
            continue
        table = rows.setdefault(named or "train", {"audio": [], "label": [], "file": []})
        for column, value in zip(table, (str(path), label, "/".join(whole)), strict=True):
            table[column].append(value)
    if outside and rows:
        logger.warning("%d clips lie in no class folder of '%s': left out.", outside, folder)
    if not rows:
        raise DatasetError(
            f"The clips of '{folder}' lie in no sub-folder, and a clip's folder is its label."
            " Arrange them as LABEL/clip.wav or train/LABEL/clip.wav, or list them in a CSV file."
        )
    undecoded = Audio(decode=False)
    return DatasetDict(
        {
            split: Dataset.from_dict(table).cast_column("audio", undecoded)
            for split, table in rows.items()
        }
    )


def read_clip_files(folder: Path, clips: Sequence[Path]) -> DatasetDict:
    """Make tables of clips whose folders are no labels: columns audio and file (relative path).

    A clip is in the split that the first folder below the shared ones names, else in train.
    """
    rows: dict[str, dict[str, list[str]]] = {}
    names = [path.relative_to(folder).parts for path in clips]
    depth = _count_shared_folders(names)
    for path, parts in zip(clips, names, strict=True):
        split = SPLIT_OF_NAME.get(parts[depth].lower(), "train")
        table = rows.setdefault(split, {"audio": [], "file": []})
        table["audio"].append(str(path))
        table["file"].append("/".join(parts))
    undecoded = Audio(decode=False)
    return DatasetDict(
        {
            split: Dataset.from_dict(table).cast_column("audio", undecoded)
            for split, table in rows.items()
        }
    )


def load_files(kind: str, data_files: dict[str, list[str]], key: str) -> DatasetDict:
    """Let `datasets` read files of one kind into a cache named after their content."""
    try:
        return load_dataset(kind, data_files=data_files, cache_dir=_table_cache(key))
    except LOAD_ERRORS as error:
        raise explain_load_error(list_names(data_files), None, error) from error


def _count_shared_folders(names: Sequence[tuple[str, ...]]) -> int:
    """Count leading folders that all paths share, leaving each path a folder; splits are kept."""
    deepest = min((len(parts) for parts in names), default=0) - 2
    for depth in range(max(0, deepest)):
        shared = {parts[depth] for parts in names}
        if len(shared) > 1 or next(iter(shared)).lower() in SPLIT_OF_NAME:
            return depth
    return max(0, deepest)


def _is_shown(path: Path, folder: Path) -> bool:
    """Tell whether no part of the path below the folder starts with a dot."""
    return not any(part.startswith(".") for part in path.relative_to(folder).parts)


def _load_saved(folder: Path) -> dict[str, Dataset]:
    """Open what `save_to_disk` wrote; a single table becomes the split train."""
    try:
        loaded = load_from_disk(str(folder))
    except LOAD_ERRORS as error:
        raise explain_load_error(str(folder), None, error) from error
    return dict(loaded) if isinstance(loaded, DatasetDict) else {"train": loaded}


def _load_parquet(folder: Path, cfg: DataConfig, key: str) -> dict[str, Dataset]:
    """Let `datasets` read the folder, into a cache of its own.

    Where a card names the data files, `datasets` 5.2 keys its cache by the folder's base name and
    those names alone, so that another folder of that name, or the same one with new files, would
    give stale rows. A cache folder named after the content cannot.
    """
    place, wanted, cache = str(folder), cfg.dataset_config, _table_cache(key)
    try:
        if wanted == ALL_CONFIGS and ALL_CONFIGS not in (names := get_dataset_config_names(place)):
            return merge_configs({n: load_dataset(place, n, cache_dir=cache) for n in names})
        return dict(load_dataset(place, wanted, cache_dir=cache))
    except DatasetError:
        raise
    except LOAD_ERRORS as error:
        raise explain_load_error(place, wanted, error) from error


def _table_cache(key: str) -> str:
    """Return the cache folder of tables with this content."""
    return str(Path(datasets.config.HF_DATASETS_CACHE) / "audio_cls" / "tables" / key)
