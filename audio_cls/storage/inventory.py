"""Inventory of the caches: list, measure and delete their entries."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audio_cls.errors import count_of
from audio_cls.storage.cache import (
    KINDS,
    LOCKS,
    REMOVED,
    CacheEntry,
    Kind,
    cache_path,
    cache_root,
    delete_path,
    measure_path,
)

SECONDS_PER_DAY = 24 * 3600


@dataclass(frozen=True)
class CacheItem:
    """An entry of a cache, or all JSON files of one kind."""

    kind: Kind | Literal[""]  # empty for folders of an older version
    path: Path
    what: str  # description
    num_bytes: int
    last_used: float  # seconds since 1970
    entry: CacheEntry | None  # None for JSON files, which are never in use

    @property
    def is_used(self) -> bool:
        """Return whether a process uses it now."""
        return self.entry is not None and self.entry.is_used()

    def remove(self) -> bool:
        """Delete it unless it is in use; return whether it is gone."""
        if self.entry is not None:
            return self.entry.remove()
        delete_path(self.path)
        return not self.path.exists()


def list_items(kinds: Sequence[Kind] = tuple(KINDS)) -> list[CacheItem]:
    """List the cached items by kind, last used first, without those being deleted."""
    items: list[CacheItem] = []
    for kind in kinds:
        found = [*_list_folders(kind), *_sum_files(kind)]
        items += sorted(found, key=lambda item: -item.last_used)
    return items


def list_unknown() -> list[CacheItem]:
    """List the folders of older versions, which are no longer used."""
    root = cache_root()
    folders = sorted(root.iterdir()) if root.is_dir() else []
    return [
        CacheItem("", path, "caches of an older version", measure_path(path), 0.0, None)
        for path in folders
        if path.name not in (*KINDS, LOCKS)
    ]


def select_unused(*, min_age_days: float = 0) -> list[CacheItem]:
    """List the items last used at least `min_age_days` ago and not in use now."""
    limit = time.time() - min_age_days * SECONDS_PER_DAY
    items = [*list_items(), *list_unknown()]
    return [item for item in items if item.last_used <= limit and not item.is_used]


def clear_items(items: Sequence[CacheItem]) -> list[CacheItem]:
    """Delete items, and what interrupted deletions have left.

    Returns:
        The items that are in use and were not deleted.
    """
    for kind in KINDS:
        for leftover in cache_path(kind).glob(f"{REMOVED}*"):
            delete_path(leftover)
    return [item for item in items if not item.remove()]


def _list_folders(kind: Kind) -> Iterator[CacheItem]:
    """Yield the entries of a kind, which are folders, and other files of older versions."""
    for path in _list_paths(kind):
        if path.suffix == ".json":
            continue
        entry = CacheEntry(kind, path.name)
        about = entry.read_about() or {}
        what = f"{KINDS[kind]}, {about['what']}" if "what" in about else KINDS[kind]
        yield CacheItem(kind, path, what, measure_path(path), _read_time(path), entry)


def _sum_files(kind: Kind) -> Iterator[CacheItem]:
    """Yield the JSON files of a kind as one item."""
    files = [path for path in _list_paths(kind) if path.suffix == ".json"]
    if files:
        num_bytes = sum(map(measure_path, files))
        what = f"{KINDS[kind]}, {count_of(len(files), 'file')}"
        yield CacheItem(
            kind, cache_path(kind), what, num_bytes, max(map(_read_time, files)), entry=None
        )


def _list_paths(kind: Kind) -> list[Path]:
    """List the files and folders of a kind, without hidden ones."""
    folder = cache_path(kind)
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in found if not path.name.startswith(".")]


def _read_time(path: Path) -> float:
    """Return the time of the last change of a path; 0 if it does not exist."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
