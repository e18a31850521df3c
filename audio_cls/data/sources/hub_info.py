"""Offline cache of Hub metadata: commits, file lists, licences, and opened tables.

It is written next to the cache of `datasets` whenever the Hub answers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from datasets import Dataset, concatenate_datasets
from huggingface_hub import constants

from audio_cls.storage.cache import cache_json, read_cached_json
from audio_cls.storage.keys import make_key

Tables = dict[str, Dataset]


def cache_info(key: str, info: Any) -> None:  # noqa: ANN401 (untyped upstream)
    """Store commit, files and licence of a data set."""
    card = info.card_data
    _write(
        f"info/{key}",
        {
            "sha": info.sha,
            "files": [entry.rfilename for entry in info.siblings or []],
            "license": card.get("license") if card is not None else None,
        },
    )


def read_license(info: Any) -> str | None:  # noqa: ANN401 (untyped upstream)
    """Return the licence in the card of a data set, None where it has none or several."""
    license_id = info.card_data.get("license") if info.card_data is not None else None
    return license_id if isinstance(license_id, str) else None


def cached_info(key: str) -> Any:  # noqa: ANN401 (stands for an untyped one)
    """Return what `cache_info` stored of a data set, or None."""
    stored = _read(f"info/{key}")
    if stored is None:
        return None
    return SimpleNamespace(
        sha=stored["sha"],
        siblings=[SimpleNamespace(rfilename=name) for name in stored["files"]],
        card_data={"license": stored["license"]},
        gated=False,
    )


def cached_tables(key: str, load: Callable[[], Tables]) -> Tables:
    """Open tables from the cache files that are stored for a key, else load them.

    Args:
        key: Identifies the tables, their commit included.
        load: Loads the tables; their cache files are stored where they have all rows.
    """
    files = _read(f"tables/{key}")
    if files is not None and all(
        Path(file).is_file() for paths in files.values() for file in paths
    ):
        return {
            split: concatenate_datasets([Dataset.from_file(file) for file in paths])
            for split, paths in files.items()
        }
    tables = load()
    files = {split: [file["filename"] for file in t.cache_files] for split, t in tables.items()}
    if all(files.values()) and all(table._indices is None for table in tables.values()):
        _write(f"tables/{key}", files)
    return tables


def cached_config_names(key: str, load: Callable[[], list[str]]) -> list[str]:
    """Return the names of configurations that are stored for a key, else load and store them."""
    names = _read(f"names/{key}")
    if names is None:
        names = load()
        _write(f"names/{key}", names)
    return [str(name) for name in names]


def _write(key: str, value: object) -> None:
    cache_json("hub", _make_key(key), value)


def _read(key: str) -> Any:  # noqa: ANN401 (JSON)
    return read_cached_json("hub", _make_key(key))


def _make_key(key: str) -> str:
    """Return the cache key, which depends on the URL of the Hub."""
    return make_key(hub=constants.ENDPOINT, answer=key)
