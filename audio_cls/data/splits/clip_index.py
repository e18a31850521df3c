"""All clips of a data set's given splits in one row of columns, before train and test are made."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from datasets import ClassLabel
from numpy.typing import NDArray

from audio_cls.config import DataConfig
from audio_cls.data.keyword_spotting.relabel import IS_PIECE, RECORDING
from audio_cls.data.labels.label_columns import compile_pattern, find_first
from audio_cls.data.labels.labels import UNUSABLE, Labels
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.splits.iterative_stratification import Marks
from audio_cls.data.splits.kfold import with_folds
from audio_cls.data.splits.train_test_split import Groups, Rows
from audio_cls.errors import DatasetError, list_names, suggest_name
from audio_cls.run_warnings import warn
from audio_cls.storage.arrow import copy_columns

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipIndex:
    """All clips of the given splits, one after the other; N of them."""

    labels: NDArray[np.int64]  # (N,), UNUSABLE where a clip has no label
    ids: NDArray[np.str_]  # (N,), each once
    groups: Groups | None  # (N,), the group column as text
    folds: NDArray[np.str_] | None  # (N,), the fold column as text, empty where there is none
    split_rows: dict[str, Rows]  # split name -> its rows
    # For keyword spotting: recording that each piece of silence was cut from, (N,), '' for others.
    recordings: NDArray[np.str_] | None = None
    streamed_split: str | None = None  # name of the training split where it is streamed: no rows
    targets: NDArray[np.float32] | None = None  # (N, L), 1 where a clip has the label; multi-label
    names: tuple[str, ...] = ()  # of the L classes

    @property
    def stratify_targets(self) -> Marks:
        """Return the labels to stratify by: class ids (N,), or targets (N, L) if multi-label."""
        return self.labels if self.targets is None else self.targets


def drop_unlabelled(rows: Rows, pool: ClipIndex) -> Rows:
    """Leave out clips without a usable label."""
    kept: Rows = rows[pool.labels[rows] != UNUSABLE]
    return kept


def restrict_index(pool: ClipIndex, is_usable: NDArray[np.bool_]) -> ClipIndex:
    """Return the pool in which the other clips have no label, so that no split takes them."""
    cut_from = pool.recordings
    return dataclasses.replace(
        pool,
        labels=np.where(is_usable, pool.labels, UNUSABLE),
        recordings=None if cut_from is None else np.where(is_usable, cut_from, ""),
    )


def merge_splits_sharing_groups(
    names: dict[str, str], given: Mapping[str, Rows], groups: Groups
) -> tuple[dict[str, str], dict[str, Rows]]:
    """Merge the given splits into train when they share groups; else leave them as they are."""
    seen: dict[str, str] = {}
    shared: set[str] = set()
    for name in dict.fromkeys(names.values()):
        for group in np.unique(groups[given[name]]):
            if group and seen.setdefault(str(group), name) != name:
                shared.add(str(group))
    if not shared:
        return names, dict(given)
    text = f"The given splits share {len(shared)} groups: they are merged and cut anew by group."
    warn(logger, text, names=sorted(shared))
    pooled = np.concatenate([given[name] for name in dict.fromkeys(names.values())])
    label = "+".join(dict.fromkeys(names.values()))
    return {"train": label}, {label: np.sort(pooled)}


def build_clip_index(source: LoadedDataset, labels: Labels, cfg: DataConfig) -> ClipIndex:
    """Line the clips of all given splits up, with their ids, labels, groups and folds.

    Raises:
        DatasetError: The group or fold column does not exist.
    """
    given, start = {}, 0
    for name, table in source.splits.items():
        given[name] = np.arange(start, start + len(table))
        start += len(table)
    ids = source.ids
    pool = ClipIndex(
        labels=np.concatenate([labels.ids[name] for name in source.splits]),
        ids=ids,
        groups=_read_groups(source, ids, cfg),
        folds=read_texts(source, cfg.fold_column, "--fold-column"),
        split_rows=given,
        targets=None
        if labels.targets is None
        else np.concatenate([labels.targets[name] for name in source.splits]),
        recordings=_read_recordings(source),
        streamed_split=None if source.shards is None else source.shards.split,
        names=labels.names,
    )
    return with_folds(pool, cfg)


def read_texts(source: LoadedDataset, column: str | None, flag: str) -> NDArray[np.str_] | None:
    """Read a column of all splits as text: classes by name, 1.0 as '1', nothing as ''."""
    if column is None:
        return None
    columns = list(dict.fromkeys(name for t in source.splits.values() for name in t.column_names))
    if column not in columns:
        raise DatasetError(
            f"There is no column '{column}' for {flag}: the columns are"
            f" {list_names(columns)}.{suggest_name(column, columns)}"
        )
    texts: list[str] = []
    for table in source.splits.values():
        if column not in table.column_names:
            texts += [""] * len(table)
            continue
        cells = copy_columns(table, [column])[column].to_pylist()
        kind = table.features.get(column)
        names = kind.names if isinstance(kind, ClassLabel) else None
        texts += [_to_text(names[cell] if names and cell is not None else cell) for cell in cells]
    return np.array(texts, dtype=np.str_)


def _read_recordings(source: LoadedDataset) -> NDArray[np.str_] | None:
    """Read what pieces of silence were cut from, '' for other clips; None without such pieces."""
    tables = source.splits.values()
    if not all(RECORDING in table.column_names for table in tables):
        return None
    names = np.concatenate([np.array(table[RECORDING][:], dtype=np.str_) for table in tables])
    return names if (names != "").any() else None


def _read_groups(
    source: LoadedDataset, ids: NDArray[np.str_], cfg: DataConfig
) -> NDArray[np.str_] | None:
    """Return the group of each clip: the column's text, or what `--group-pattern` finds in it.

    Pieces of silence that the program made or cut have no group ('').

    Raises:
        DatasetError: The pattern is no regular expression with a group, or its group finds nothing
            in some clip.
    """
    texts = read_texts(source, cfg.group_column, "--group-column")
    if cfg.group_pattern is None:
        return texts
    pattern = compile_pattern(cfg.group_pattern, "--group-pattern", "group")
    given = (ids if texts is None else texts).tolist()
    groups = [find_first(pattern, text) or "" for text in given]
    pieces = _list_pieces(source)
    missing = [
        text
        for text, group, is_piece in zip(given, groups, pieces, strict=True)
        if not group and not is_piece
    ]
    if missing:
        raise DatasetError(
            f"--group-pattern {cfg.group_pattern} finds no group in {len(missing)} of"
            f" {len(given)} clips: {list_names(missing[:3])}. Change the expression so that its"
            " first (...) matches in every clip."
        )
    return np.array(
        ["" if is_piece else group for group, is_piece in zip(groups, pieces, strict=True)],
        dtype=np.str_,
    )


def _list_pieces(source: LoadedDataset) -> list[bool]:
    """Return for each clip whether it is a piece of silence that the program made or cut."""
    return [
        is_piece
        for table in source.splits.values()
        for is_piece in (
            table[IS_PIECE][:] if IS_PIECE in table.column_names else [False] * len(table)
        )
    ]


def _to_text(cell: object) -> str:
    """Write one cell.

    >>> _to_text(3.0), _to_text(None), _to_text("a b")
    ('3', '', 'a b')
    """
    if cell is None:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
