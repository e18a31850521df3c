"""What the two places where data sets live, this disk and the Hub, have in common."""

from __future__ import annotations

import re
from dataclasses import dataclass

from datasets import Dataset

from audio_cls.errors import DatasetError

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf")
TABLE_SUFFIXES = (".parquet", ".arrow", ".csv", ".tsv", ".json", ".jsonl")


@dataclass(frozen=True)
class Found:
    """The tables that a place gave for a data set id."""

    splits: dict[str, Dataset]
    revision: str  # the Hub's commit, or a key of a folder's content
    config: str | None = None
    license: str | None = None


def explain_load_error(dataset: str, error: Exception) -> DatasetError:
    """Say in one line why `datasets` could not load, with the next thing to try."""
    text = " ".join(str(error).split())
    listed = re.search(r"available(?: configs)?: (\[.*?\])", text, flags=re.IGNORECASE)
    if listed:
        return DatasetError(f"'{dataset}': choose --dataset-config of {listed.group(1)}.")
    return DatasetError(f"'{dataset}' cannot be loaded: {text[:300]}")
