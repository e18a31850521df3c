"""LocalFileSource: one table file, with the audio inside or with a column of paths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from audio_cls.config import DataConfig
from audio_cls.data.sources.dataset_tables import (
    AUDIO_TABLES,
    content_key,
    hold_tables,
    load_files,
)
from audio_cls.data.sources.source import LoadedTables
from audio_cls.data.sources.tables.path_tables import read_path_tables
from audio_cls.data.sources.tables.table_files import ROW_SUFFIXES
from audio_cls.errors import DatasetError, list_names
from audio_cls.storage.short_names import TABLE_SUFFIXES


class LocalFileSource:
    """A parquet, arrow, CSV, TSV, JSON, JSONL or text file."""

    def matches(self, dataset: str, cfg: DataConfig) -> bool:
        """Return whether the id is the path of a file."""
        return Path(dataset).expanduser().is_file()

    def load(self, dataset: str, cfg: DataConfig) -> LoadedTables:
        """Open the file, see `read_file`."""
        path = Path(dataset).expanduser().absolute()
        return replace(read_file(path, cfg), name=path.stem)


def read_file(path: Path, cfg: DataConfig, suffix: str | None = None) -> LoadedTables:
    """Open one table file: parquet or arrow with the audio inside, or rows with a path column.

    Args:
        path: The file.
        cfg: Settings.
        suffix: Type of the file where its name does not have it (a download), such as ".csv".

    Raises:
        DatasetError: It is no table, has no rows, or no column of it holds paths of clips.
    """
    key = content_key([path])
    suffix = suffix or path.suffix.lower()
    if suffix in AUDIO_TABLES:
        entry = hold_tables(key)
        return LoadedTables(load_files(suffix[1:], {"train": [str(path)]}, entry), key, entry=entry)
    if suffix not in ROW_SUFFIXES:
        raise DatasetError(
            f"The file '{path}' is not a table ({list_names(TABLE_SUFFIXES)}). For clips, give"
            " the folder with one sub-folder per class."
        )
    listed = read_path_tables([path], path.parent, cfg, suffix, is_alone=True)
    if not listed.splits and not any(num_rows for _, num_rows in listed.unused):
        raise DatasetError(f"The table '{path}' has no rows: it needs one row for each clip.")
    if not listed.splits:
        raise DatasetError(
            f"'{path}' has no column of paths{listed.problem}. Name it by --audio-column."
        )
    key = content_key([path], listed.key)
    return LoadedTables(listed.splits, key, recordings=listed.recordings, layout="paths")
