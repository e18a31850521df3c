"""LoadedDataset: the undecoded tables of a data set, with its revision and licence."""

from __future__ import annotations

from dataclasses import dataclass

from datasets import Dataset

from audio_cls.data.sources.parquet.shards import Shards
from audio_cls.storage.cache import CacheEntry


@dataclass(frozen=True)
class LoadedDataset:
    """A data set as it was found, before any clip is decoded."""

    id: str  # what the user typed
    name: str  # for people: the id, or a folder's base name
    is_local: bool
    config: str | None
    revision: str
    content_key: str  # what the clips depend on, for caches
    license: str | None
    audio_column: str
    splits: dict[str, Dataset]  # all with the same columns
    shards: Shards | None = None  # the training split, where it is streamed; `splits` lack it
    recordings: str | None = None  # the column that names the recordings that clips are cut from
    entry: CacheEntry | None = None  # that the tables are in: not deleted while this is in use
