"""Class labels of parquet files: all files of a data set must declare the same ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq
from datasets import ClassLabel, Features, load_dataset_builder

from audio_cls.data.sources.columns.column_types import get_value_kind
from audio_cls.errors import DatasetError, list_names


def check_folder_classes(folder: str, config: str | None, cache: str) -> None:
    """Refuse a local folder whose parquet files, or card, declare different class labels.

    `datasets` reads all files with the class labels of the card or of the first file, and does not
    convert the numbers of the others, which would then mean other classes.

    Args:
        folder: The data set.
        config: Its configuration, or None.
        cache: Cache folder for `datasets`.

    Raises:
        DatasetError: They differ; the text names the column and the files.
    """
    builder = load_dataset_builder(folder, config, cache_dir=cache)
    files = [str(file) for split in (builder.config.data_files or {}).values() for file in split]
    check_classes([file for file in files if file.endswith(".parquet")], builder.info.features)


def check_classes(files: Iterable[str], features: Features | None) -> None:
    """Refuse local parquet files that declare different class labels, in names or in order.

    Args:
        files: Their paths; a file without class labels is accepted.
        features: Features that the card of the data set declares, or None.

    Raises:
        DatasetError: They differ; the text names the column and the files.
    """
    found: dict[str, dict[tuple[str, ...], str]] = {}  # column -> names -> the first file with them
    declared = [
        (Path(file).name, Features.from_arrow_schema(pq.read_schema(file))) for file in files
    ]
    for file, columns in [*declared, ("README.md", features or {})]:
        for column, kind in columns.items():
            inner = get_value_kind(kind)
            if isinstance(inner, ClassLabel):
                found.setdefault(column, {}).setdefault(tuple(inner.names), file)
    for column, file_of in found.items():
        if len(file_of) > 1:
            shown = "; ".join(f"{list_names(names)} in {file}" for names, file in file_of.items())
            raise DatasetError(
                f"The files declare different class labels for '{column}', so that one number means"
                f" different classes: {shown}. Write the files with the same ClassLabel, or write"
                " the names as text."
            )
