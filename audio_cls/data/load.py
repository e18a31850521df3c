"""load_dataset: the factory that chooses the source of a data set and opens its tables."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from datasets import Audio

from audio_cls.config import DataConfig
from audio_cls.data.labels.label_columns import add_columns
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.sources.builtin import BuiltinSource
from audio_cls.data.sources.columns.audio_column import find_audio_column
from audio_cls.data.sources.columns.clip_ids import read_clip_ids
from audio_cls.data.sources.columns.foreign_paths import check_foreign_paths
from audio_cls.data.sources.columns.sample_arrays import encode_arrays
from audio_cls.data.sources.hub import HubSource
from audio_cls.data.sources.local_file import LocalFileSource
from audio_cls.data.sources.local_folder import LocalFolderSource
from audio_cls.data.sources.source import Source, check_settings, find_local_path
from audio_cls.data.sources.streaming import StreamingSource
from audio_cls.data.sources.url import UrlSource
from audio_cls.progress import ProgressReport
from audio_cls.storage.process_memory import release_pages
from audio_cls.storage.short_names import is_url

logger = logging.getLogger(__name__)

SOURCES: tuple[Source, ...] = (  # the first one that matches a data set loads it
    StreamingSource(),
    BuiltinSource(),
    UrlSource(),
    LocalFileSource(),
    LocalFolderSource(),
    HubSource(),
)


def check_dataset(cfg: DataConfig) -> None:
    """Check that a data set is given and, if it is a path, that it exists. Reads nothing.

    Raises:
        SettingError: None is given.
        DatasetError: There is no such path.
    """
    given = cfg.require_dataset()
    if not is_url(given):
        find_local_path(given)


def load_dataset(cfg: DataConfig, sources: Sequence[Source] = SOURCES) -> LoadedDataset:
    """Load the undecoded tables of a data set. Downloads.

    Args:
        cfg: Settings; `cfg.dataset` names the data set.
        sources: Where to load it from; the last one must match every data set.

    Returns:
        The tables with the audio column as `{"bytes", "path"}`, and the columns that the settings
        ask for: fields of structs, `--label-columns`, `--label-pattern`.

    Raises:
        SettingError: No data set is given.
        DatasetError: There is no such data set, configuration or audio column, the Hub refuses
            access, a data set of the Hub names files of this computer, or a setting does not apply
            to this kind of data set.
    """
    given = cfg.require_dataset()
    source = next(source for source in sources if source.matches(given, cfg))
    with ProgressReport("Loading the data set", None, logger):  # the libraries show more bars
        tables = source.load(given, cfg)
        name = tables.name or given
        check_settings(tables, name, cfg)
        column = find_audio_column(next(iter(tables.splits.values())).features, cfg.audio_column)
        splits = encode_arrays(tables.splits, column, is_streamed=tables.shards is not None)
    undecoded = Audio(decode=False)
    splits = {split: table.cast_column(column, undecoded) for split, table in splits.items()}
    if not tables.is_local:
        check_foreign_paths(splits, column, name, cfg.audio_root)
    ids = read_clip_ids(splits, column)
    for table in splits.values():
        release_pages(table.data.column(column))  # mapped while the tables were opened
    dataset = LoadedDataset(
        id=given if tables.is_local else name,
        name=name,
        is_local=tables.is_local,
        config=tables.config,
        revision=tables.revision,
        content_key=f"{tables.key or tables.revision}/{tables.config}/{column}",
        license=tables.license,
        audio_column=column,
        splits=splits,
        ids=ids,
        shards=tables.shards,
        recordings=tables.recordings,
        entry=tables.entry,
    )
    return add_columns(dataset, cfg)
