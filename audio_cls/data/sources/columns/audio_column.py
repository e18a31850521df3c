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

    Lists of samples are audio only where another column has their sampling rate.

    Args:
        features: Columns of the tables.
        wanted: `--audio-column`, or None.

    Raises:
        DatasetError: There is none, more than one, or not the wanted one; the text lists columns.
    """
    names = [name for name, kind in features.items() if _holds_audio(kind)]
    lists = [name for name, kind in features.items() if holds_samples(kind)]
    if (not names or wanted in lists) and find_rate_column(features) is not None:
        names += lists
    shown = f"the columns are {list_names(features)}"
    if lists and not names:
        raise DatasetError(
            f"Column '{lists[0]}' holds lists of numbers, and no column has their sampling rate:"
            f" {shown}. Add a column '{RATE_COLUMNS[0]}' in Hz."
        )
    if wanted is not None and wanted not in names:
        hint = suggest_name(wanted, names)
        if names and not hint:
            hint = f" Did you mean --audio-column {names[0]}?"
        raise DatasetError(f"There is no audio in column '{wanted}': {shown}.{hint}")
    if wanted is not None:
        return wanted
    if not names:
        raise DatasetError(
            f"No column holds audio: {shown}. A column of type Audio, or of structs with 'bytes'"
            " and 'path' or with 'array' and 'sampling_rate', is needed."
        )
    if len(names) > 1:
        raise DatasetError(
            f"Several columns hold audio ({list_names(names)}). Choose one with --audio-column."
        )
    return names[0]


def _holds_audio(kind: Any) -> bool:  # noqa: ANN401 (a feature may be a class, a dict or a list)
    """Return whether a feature is Audio, its storage struct, or a struct of decoded samples."""
    is_stored = isinstance(kind, dict) and {"bytes", "path"} <= set(kind)
    return isinstance(kind, Audio) or is_stored or holds_array(kind)
