"""What the Hub said before, for when it cannot be asked: commits, files and opened tables.

Written beside the cache of `datasets` whenever the Hub answers, and read only when it does not.
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
    """Keep what the Hub said of a data set. Writes the cache."""
    card = info.card_data
    _keep(
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
    """Return what the Hub said of a data set, or None when it was never asked."""
    kept = _recall(f"info/{key}")
    if kept is None:
        return None
    return SimpleNamespace(
        sha=kept["sha"],
        siblings=[SimpleNamespace(rfilename=name) for name in kept["files"]],
        card_data={"license": kept["license"]},
        gated=False,
    )


def cached_tables(key: str, load: Callable[[], Tables]) -> Tables:
    """Open tables that lie in the cache by the same key, else load them and keep where they lie.

    Args:
        key: What identifies the tables, their commit included.
        load: Makes the tables; what it makes is kept when it lies in files whole.
    """
    files = _recall(f"tables/{key}")
    if files is not None and all(Path(file).is_file() for own in files.values() for file in own):
        return {
            split: concatenate_datasets([Dataset.from_file(file) for file in own])
            for split, own in files.items()
        }
    tables = load()
    lying = {split: [file["filename"] for file in t.cache_files] for split, t in tables.items()}
    if all(lying.values()) and all(table._indices is None for table in tables.values()):
        _keep(f"tables/{key}", lying)
    return tables


def cached_config_names(key: str, ask: Callable[[], list[str]]) -> list[str]:
    """Return names that the Hub gave before for the same key, else ask it and keep the answer."""
    names = _recall(f"names/{key}")
    if names is None:
        names = ask()
        _keep(f"names/{key}", names)
    return [str(name) for name in names]


def _keep(key: str, value: object) -> None:
    cache_json("hub", _make_key(key), value)


def _recall(key: str) -> Any:  # noqa: ANN401 (what JSON holds)
    return read_cached_json("hub", _make_key(key))


def _make_key(key: str) -> str:
    """Return the key of an answer: it depends on who was asked."""
    return make_key(hub=constants.ENDPOINT, answer=key)
