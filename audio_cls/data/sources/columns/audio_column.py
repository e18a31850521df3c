"""The audio column of a table."""

from __future__ import annotations

from typing import Any

from datasets import Audio

from audio_cls.data.sources.columns.sample_arrays import (
    RATE_COLUMNS,
    find_rate_column,
    holds_array,
    holds_samples,
)
from audio_cls.errors import DatasetError, list_names, suggest_name


def find_audio_column(features: dict[str, Any], wanted: str | None) -> str:
    """Return the audio column: the wanted one, else the only one.

    Lists of samples are audio only where a column has their sampling rate.

    Raises:
        DatasetError: There is none, several, or not the wanted one; the text lists the columns.
    """
    holders = [name for name, kind in features.items() if _holds_audio(kind)]
    lists = [name for name, kind in features.items() if holds_samples(kind)]
    if (not holders or wanted in lists) and find_rate_column(features) is not None:
        holders += lists
    shown = f"the columns are {list_names(features)}"
    if lists and not holders:
        raise DatasetError(
            f"Column '{lists[0]}' holds lists of numbers, and no column has their sampling rate:"
            f" {shown}. Add a column '{RATE_COLUMNS[0]}' in Hz."
        )
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
            " and 'path' or with 'array' and 'sampling_rate', is needed."
        )
    if len(holders) > 1:
        raise DatasetError(
            f"Several columns hold audio: choose --audio-column of {list_names(holders)}."
        )
    return holders[0]


def _holds_audio(kind: Any) -> bool:  # noqa: ANN401 (a feature may be a class, a dict or a list)
    """Tell whether a feature is Audio, the struct that Audio is stored as, or decoded samples."""
    is_stored = isinstance(kind, dict) and {"bytes", "path"} <= set(kind)
    return isinstance(kind, Audio) or is_stored or holds_array(kind)
