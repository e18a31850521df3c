"""A folder on this disk -> tables: parquet, CSV and JSON by `datasets`, class folders by ourselves.

`datasets` 5 cannot read audio files without torchcodec, hence `read_class_folders`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path

import datasets
from datasets import Audio, Dataset, DatasetDict, load_dataset

from audio_cls.config import DataConfig
from audio_cls.data.found import AUDIO_SUFFIXES, TABLE_SUFFIXES, Found, explain_load_error
from audio_cls.errors import DatasetError, list_names

SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
SPLIT_OF_FOLDER = {alias: split for split, aliases in SPLIT_NAMES.items() for alias in aliases}

logger = logging.getLogger(__name__)


def read_folder(folder: Path, cfg: DataConfig) -> Found:
    """Open a folder of parquet (CSV, JSON) files, or of one sub-folder of clips a class.

    Raises:
        DatasetError: The folder holds neither, or `datasets` cannot make sense of its tables.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and _is_shown(path, folder))
    key = content_key(folder, files)
    if any(path.suffix.lower() in TABLE_SUFFIXES for path in files):
        return Found(_load_tables(folder, cfg, key), key, config=cfg.dataset_config)
    if any(path.suffix.lower() in AUDIO_SUFFIXES for path in files):
        return Found(read_class_folders(folder, files), key)
    raise DatasetError(
        f"The folder '{folder}' holds neither tables ({list_names(TABLE_SUFFIXES)}) nor clips"
        f" ({list_names(AUDIO_SUFFIXES)}). Point --dataset at the folder that holds them."
    )


def content_key(folder: Path, files: Iterable[Path]) -> str:
    """Return a key that changes when a file below the folder does: from names, sizes and times."""
    digest = hashlib.sha256()
    for path in files:
        state = path.stat()
        name = path.relative_to(folder)
        digest.update(f"{name}\0{state.st_size}\0{state.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:40]


def read_class_folders(folder: Path, files: Iterable[Path]) -> DatasetDict:
    """Make tables from `[SPLIT/]LABEL/clip.wav`: columns audio, label and file (the relative path).

    Raises:
        DatasetError: No clip lies in a sub-folder.
    """
    rows: dict[str, dict[str, list[str]]] = {}
    outside = 0
    for path in files:
        if path.suffix.lower() not in AUDIO_SUFFIXES:
            continue
        parts = path.relative_to(folder).parts
        named = SPLIT_OF_FOLDER.get(parts[0].lower()) if len(parts) > 2 else None
        label = "/".join(parts[1:-1] if named else parts[:-1])
        if not label:
            outside += 1
            continue
        table = rows.setdefault(named or "train", {"audio": [], "label": [], "file": []})
        for column, value in zip(table, (str(path), label, "/".join(parts)), strict=True):
            table[column].append(value)
    if outside and rows:
        logger.warning("%d clips lie in no class folder of '%s': left out.", outside, folder)
    if not rows:
        raise DatasetError(
            f"The clips of '{folder}' lie in no sub-folder, and a clip's folder is its label."
            " Arrange them as LABEL/clip.wav or train/LABEL/clip.wav."
        )
    undecoded = Audio(decode=False)
    return DatasetDict(
        {
            split: Dataset.from_dict(table).cast_column("audio", undecoded)
            for split, table in rows.items()
        }
    )


def _is_shown(path: Path, folder: Path) -> bool:
    """Tell whether no part of the path below the folder starts with a dot."""
    return not any(part.startswith(".") for part in path.relative_to(folder).parts)


def _load_tables(folder: Path, cfg: DataConfig, key: str) -> DatasetDict:
    """Let `datasets` read the folder, into a cache of its own.

    `datasets` 5.2 keys its cache by the folder's base name and its file names, so that another
    folder of that name would give stale rows. A cache folder named after the content cannot.
    """
    cache = Path(datasets.config.HF_DATASETS_CACHE) / "audio_cls" / "tables" / key
    try:
        return load_dataset(str(folder), cfg.dataset_config, cache_dir=str(cache))
    except (ValueError, OSError) as error:
        raise explain_load_error(str(folder), error) from error
