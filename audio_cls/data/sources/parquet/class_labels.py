"""Parquet files of one data set: whether they declare the same class labels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq
from datasets import ClassLabel, Features, load_dataset_builder

from audio_cls.data.sources.columns.column_types import get_value_kind
from audio_cls.errors import DatasetError, list_names


def check_folder_classes(folder: str, config: str | None, cache: str) -> None:
    """Refuse a local folder whose parquet files, or card, declare different class labels.

    `datasets` reads all files with the class labels of the card or of the first file and leaves the
    numbers of the others as they are, so that these would mean other classes.

    Args:
        folder: The data set.
        config: Its configuration, or None.
        cache: Where `datasets` may write.

    Raises:
        DatasetError: They differ; the text names the column and the files.
    """
    builder = load_dataset_builder(folder, config, cache_dir=cache)
    files = [str(file) for own in (builder.config.data_files or {}).values() for file in own]
    check_classes([file for file in files if file.endswith(".parquet")], builder.info.features)


def check_classes(files: Iterable[str], features: Features | None) -> None:
    """Refuse local parquet files that declare different class labels, in names or in order.

    Args:
        files: Their paths; a file that declares none is accepted.
        features: What the card of the data set declares, or None.

    Raises:
        DatasetError: They differ; the text names the column and the files.
    """
    found: dict[str, dict[tuple[str, ...], str]] = {}  # column -> names -> the first file with them
    sources = [
        (Path(file).name, Features.from_arrow_schema(pq.read_schema(file))) for file in files
    ]
    for place, own in [*sources, ("README.md", features or {})]:
        for column, kind in own.items():
            inner = get_value_kind(kind)
            if isinstance(inner, ClassLabel):
                found.setdefault(column, {}).setdefault(tuple(inner.names), place)
    for column, places in found.items():
        if len(places) > 1:
            shown = "; ".join(f"{list_names(own)} in {place}" for own, place in places.items())
            raise DatasetError(
                f"The files declare different class labels for '{column}', so that one number means"
                f" different classes: {shown}. Write the files with the same ClassLabel, or write"
                " the names as text."
            )
