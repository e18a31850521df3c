"""Derived columns: fields of structs, and the label of `--label-columns` or `--label-pattern`.

`--label-columns` makes one column of lists from several columns of 0 and 1; `--label-pattern` takes
the label from a text column or from the clip id by a regular expression.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, List, Value
from numpy.typing import NDArray

from audio_cls.config import DataConfig
from audio_cls.data.labels.find_column import largest_tables, list_fields
from audio_cls.data.loaded_dataset import FROM_COLUMNS, FROM_PATTERN, LoadedDataset
from audio_cls.errors import DatasetError, count_of, list_names, suggest_name
from audio_cls.run_warnings import warn
from audio_cls.storage.arrow import copy_columns

BINARY = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}  # text in lower case -> value

Tables = dict[str, Dataset]

logger = logging.getLogger(__name__)


def name_label_column(cfg: DataConfig) -> str | None:
    """Return the label column that the settings name or make; None to find it."""
    if cfg.label_columns:
        return FROM_COLUMNS
    return FROM_PATTERN if cfg.label_pattern is not None else cfg.label_column


def add_columns(dataset: LoadedDataset, cfg: DataConfig) -> LoadedDataset:
    """Add the columns that the settings ask for and the tables do not have.

    Args:
        dataset: The data set.
        cfg: `label_column`, `label_columns`, `group_column` and `fold_column` may name fields of
            structs; `label_columns` and `label_pattern` make a label column.

    Raises:
        DatasetError: A named column is missing or has other values than 0 and 1, or the pattern is
            no regular expression with a group, or matches in no clip.
    """
    named = (cfg.label_column, *cfg.label_columns, cfg.group_column, cfg.fold_column)
    known = set(list_fields(dataset.splits))
    fields = list(dict.fromkeys(name for name in named if name in known))
    splits = {split: _add_fields(table, fields) for split, table in dataset.splits.items()}
    if cfg.label_columns:
        splits = _join_columns(splits, cfg.label_columns)
    elif cfg.label_pattern is not None:
        splits = _search_texts(splits, dataset.ids, cfg.label_pattern, cfg.label_column)
    return replace(dataset, splits=splits)


def _add_fields(table: Dataset, names: Sequence[str]) -> Dataset:
    """Add fields of structs, where the table has them, by their full names."""
    for name in names:
        column, *path = name.split(".")
        kind: Any = table.features.get(column)
        for key in path:
            kind = kind.get(key) if isinstance(kind, dict) else None
        if name in table.column_names or kind is None:
            continue
        values = pc.struct_field(copy_columns(table, [column])[column], path)
        table = table.add_column(name, values, feature=kind)
    return table


def _join_columns(splits: Tables, columns: Sequence[str]) -> Tables:
    """Make one column of lists from columns of 0 and 1; the column names are the classes."""
    known = list(largest_tables(splits))
    missing = [name for name in columns if name not in known]
    if missing:
        raise DatasetError(
            f"--label-columns: there is no column '{missing[0]}': the columns are"
            f" {list_names(known)}.{suggest_name(missing[0], known)}"
        )
    kind = List(ClassLabel(names=list(columns)))
    joined = {}
    for split, table in splits.items():
        if not set(columns) <= set(table.column_names):  # such as a test split without labels
            joined[split] = table
            continue
        cells = copy_columns(table, columns)
        values = [
            [_parse_binary(name, cell) for cell in cells[name].to_pylist()] for name in columns
        ]
        rows = [
            None if None in row else [place for place, value in enumerate(row) if value]
            for row in zip(*values, strict=True)
        ]
        lists = pa.array(rows, pa.list_(pa.int64()))
        joined[split] = table.add_column(FROM_COLUMNS, lists, feature=kind)
    return joined


def _parse_binary(column: str, cell: object) -> int | None:
    """Parse one cell of 0 or 1; None where it is empty.

    Raises:
        DatasetError: It has another value.
    """
    text = str(cell).strip().lower()
    if cell is None or text in ("", "nan"):
        return None
    if text not in BINARY:
        raise DatasetError(
            f"--label-columns: column '{column}' holds '{cell}', and only 0 and 1 (or false and"
            " true) are possible there. Remove the column from the list, or choose another with"
            " --label-column."
        )
    return BINARY[text]


def _search_texts(
    splits: Tables, ids: NDArray[np.str_], pattern: str, column: str | None
) -> Tables:
    """Make a column of what the first group of a pattern matches in a column or the clip ids."""
    texts = _read_texts(splits, ids, column)
    expression = compile_pattern(pattern, "--label-pattern", "label")
    labels = {s: [find_first(expression, text) for text in cells] for s, cells in texts.items()}
    unmatched = [
        text
        for split, found in labels.items()
        for text, label in zip(texts[split], found, strict=True)
        if label is None
    ]
    num_clips = sum(map(len, texts.values()))
    where = "clip ids" if column is None else f"column '{column}'"
    if len(unmatched) == num_clips:
        raise DatasetError(
            f"--label-pattern {pattern} finds no label in any of {count_of(num_clips, 'clip')}"
            f" ({where}:"
            f" {list_names(unmatched[:3])}). Change the expression so that its first (...)"
            " matches the label."
        )
    if unmatched:
        warn(
            logger,
            f"--label-pattern finds no label in {len(unmatched):,} of"
            f" {count_of(num_clips, 'clip')}.",
            names=unmatched,
        )
    kind = Value("string")
    return {
        split: table.add_column(FROM_PATTERN, pa.array(labels[split], pa.string()), feature=kind)
        for split, table in splits.items()
    }


def _read_texts(splits: Tables, ids: NDArray[np.str_], column: str | None) -> dict[str, list[str]]:
    """Return the texts in which the pattern is searched: a column, or the clip ids."""
    if column is not None and column not in largest_tables(splits):
        known = list(largest_tables(splits))
        raise DatasetError(
            f"There is no column '{column}' for --label-pattern: the columns are"
            f" {list_names(known)}.{suggest_name(column, known)}"
        )
    if column is None:
        ends = np.cumsum([len(table) for table in splits.values()])
        return dict(zip(splits, map(np.ndarray.tolist, np.split(ids, ends[:-1])), strict=True))
    return {
        split: ["" if cell is None else str(cell) for cell in table[column][:]]
        if column in table.column_names
        else [""] * len(table)
        for split, table in splits.items()
    }


def compile_pattern(pattern: str, flag: str, what: str) -> re.Pattern[str]:
    """Compile a regular expression whose first (...) matches a label or a group.

    Args:
        pattern: The regular expression.
        flag: The flag, for the message.
        what: "label" or "group", for the message.

    Raises:
        DatasetError: It is no regular expression, or has no (...).
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise DatasetError(
            f"{flag} {pattern} is not a valid regular expression ({error}). Correct it."
        ) from error
    if expression.groups < 1:
        raise DatasetError(
            f"{flag} {pattern} has no (...) group, which marks the {what}. Put (...) around that"
            " part."
        )
    return expression


def find_first(expression: re.Pattern[str], text: str) -> str | None:
    """Return what the first (...) matches; None for no match or an empty one."""
    match = expression.search(text)
    return (match[1] or None) if match else None
