"""Data set id or folder -> one table of undecoded clips a split.

In: `DataConfig.dataset` and its neighbours. Out: a `Source`, whose splits are `datasets.Dataset`
tables with the audio column still as `{"bytes", "path"}`; nothing is decoded, so neither FFmpeg nor
torchcodec is needed. folder.py reads this disk, repository.py the Hub.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Audio, Dataset

from audio_cls.config import DataConfig
from audio_cls.data.folder import read_folder
from audio_cls.data.repository import read_repository
from audio_cls.demo_data import locate_builtin
from audio_cls.errors import DatasetError, list_names, suggest_name

NO_DATASET = "No data set was given. Name a Hub id or a folder by --dataset, or try --preset demo."


@dataclass(frozen=True)
class Source:
    """A data set as it was found, before any clip is decoded."""

    id: str  # what the user typed
    name: str  # for people: the id, or a folder's base name
    is_local: bool
    config: str | None
    revision: str
    license: str | None
    audio_column: str
    splits: dict[str, Dataset]  # all with the same columns

    @property
    def content_key(self) -> str:
        """What the clips depend on, for caches."""
        return f"{self.revision}/{self.config}/{self.audio_column}"


def load_source(cfg: DataConfig) -> Source:
    """Find the data set and open its splits without decoding a clip. Downloads.

    Raises:
        DatasetError: There is no such data set, configuration or audio column, or the Hub says no.
    """
    if not cfg.dataset:
        raise DatasetError(NO_DATASET)
    folder = locate_folder(cfg.dataset)
    if folder is not None:
        found, name = read_folder(folder, cfg), folder.resolve().name
    else:
        found, name = read_repository(cfg.dataset, cfg), cfg.dataset
    column = find_audio_column(next(iter(found.splits.values())).features, cfg.audio_column)
    undecoded = Audio(decode=False)
    return Source(
        id=cfg.dataset,
        name=name,
        is_local=folder is not None,
        config=found.config,
        revision=found.revision,
        license=found.license,
        audio_column=column,
        splits={key: table.cast_column(column, undecoded) for key, table in found.splits.items()},
    )


def locate_folder(dataset: str) -> Path | None:
    """Return the folder that a data set id names, or None when it can only be a Hub id.

    Raises:
        DatasetError: The id is written as a path, and no folder is there.
    """
    folder = locate_builtin(dataset) or Path(dataset).expanduser()
    if folder.is_dir():
        return folder
    if dataset.startswith((".", "/", "~")) or dataset.count("/") > 1:
        raise DatasetError(
            f"There is no folder '{dataset}'. Give an existing folder, or a Hub id (owner/name)."
        )
    return None


def find_audio_column(features: dict[str, Any], wanted: str | None) -> str:
    """Return the audio column: the wanted one, else the only one.

    Raises:
        DatasetError: There is none, several, or not the wanted one; the text lists the columns.
    """
    holders = [name for name, kind in features.items() if _holds_audio(kind)]
    shown = f"the columns are {list_names(features)}"
    if wanted is not None and wanted not in holders:
        hint = suggest_name(wanted, holders)
        if holders and not hint:
            hint = f" Did you mean --audio-column {holders[0]}?"
        raise DatasetError(f"There is no audio in a column '{wanted}': {shown}.{hint}")
    if wanted is not None:
        return wanted
    if not holders:
        raise DatasetError(
            f"No column holds audio: {shown}. A column of type Audio, or of structs with 'bytes'"
            " and 'path', is needed."
        )
    if len(holders) > 1:
        raise DatasetError(
            f"Several columns hold audio: choose --audio-column of {list_names(holders)}."
        )
    return holders[0]


def _holds_audio(kind: Any) -> bool:  # noqa: ANN401 (a feature may be a class, a dict or a list)
    """Tell whether a feature is Audio, or the struct of bytes and path that Audio is stored as."""
    return isinstance(kind, Audio) or (isinstance(kind, dict) and {"bytes", "path"} <= set(kind))
