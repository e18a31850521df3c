"""ClipIndex: id, label, group and fold of every clip of a data set, before it is split."""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from datasets import ClassLabel
from numpy.typing import NDArray

from audio_cls.config import DataConfig
from audio_cls.data.labels.label_columns import compile_pattern, find_first
from audio_cls.data.labels.labels import UNUSABLE, Labels
from audio_cls.data.loaded_dataset import (
    IS_SILENCE_PIECE,
    SILENCE_RECORDING,
    LoadedDataset,
    list_columns,
)
from audio_cls.data.splits.iterative_stratification import LabelArray
from audio_cls.data.splits.kfold import with_folds
from audio_cls.data.splits.train_test_split import Groups, Rows
from audio_cls.errors import DatasetError, count_of, list_names, suggest_name
from audio_cls.run_warnings import warn
from audio_cls.storage.arrow import copy_columns

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipIndex:
    """The N clips of all splits of the data set, one split after the other."""

    labels: NDArray[np.int64]  # (N,), UNUSABLE where a clip has no label
    ids: NDArray[np.str_]  # (N,), unique
    groups: Groups | None  # (N,), group of each clip, '' for none
    folds: NDArray[np.str_] | None  # (N,), fold of each clip, '' for none
    split_rows: dict[str, Rows]  # split name -> its rows
    # Keyword spotting: recording that each piece of silence is cut from, (N,), '' for other clips.
    recordings: NDArray[np.str_] | None = None
    streamed_split: str | None = None  # name of the streamed training split, which has no rows
    targets: NDArray[np.float32] | None = None  # (N, L), 1 where a clip has the label; multi-label
    names: tuple[str, ...] = ()  # of the L classes

    @property
    def stratify_targets(self) -> LabelArray:
        """Return the labels to stratify by: class ids (N,), or targets (N, L) if multi-label."""
        return self.labels if self.targets is None else self.targets


def drop_unlabelled(rows: Rows, index: ClipIndex) -> Rows:
    """Leave out clips without a usable label."""
    kept: Rows = rows[index.labels[rows] != UNUSABLE]
    return kept


def restrict_index(index: ClipIndex, is_usable: NDArray[np.bool_]) -> ClipIndex:
    """Return the index without the labels of the other clips, so that they are in no split."""
    recordings = index.recordings
    return dataclasses.replace(
        index,
        labels=np.where(is_usable, index.labels, UNUSABLE),
        recordings=None if recordings is None else np.where(is_usable, recordings, ""),
    )


def merge_splits_sharing_groups(
    roles: dict[str, str], split_rows: Mapping[str, Rows], groups: Groups
) -> tuple[dict[str, str], dict[str, Rows]]:
    """Merge the training split and the splits of the data set that share groups with it.

    A split that shares no group with another is kept, such as the test split where validation and
    training share groups. Splits that share groups with each other only are merged with training,
    too, since all that is missing is split off from there.

    Args:
        roles: Role -> name of its split.
        split_rows: Split name -> its rows.
        groups: Group of each row.

    Returns:
        Both, unchanged where no two splits share a group.
    """
    names = list(dict.fromkeys(roles.values()))
    found = {name: set(groups[split_rows[name]].tolist()) - {""} for name in names}
    pairs = {
        pair: common
        for pair in itertools.combinations(names, 2)
        if (common := found[pair[0]] & found[pair[1]])
    }
    if not pairs:
        return roles, dict(split_rows)
    linked = {roles["train"], *itertools.chain.from_iterable(pairs)}
    shared = set.union(*pairs.values())
    kept = [name for name in names if name not in linked]
    number = count_of(len(shared), "group")
    which = f"splits {list_names(n for n in names if n in linked)}" if kept else "given splits"
    text = f"The {which} share {number}: they are merged and split again by group."
    if kept:
        text += f" {list_names(kept)} is used as it is given."
    warn(logger, text, names=sorted(shared))
    merged = "+".join(name for name in names if name in linked)
    rows = {merged: np.sort(np.concatenate([split_rows[n] for n in names if n in linked]))}
    return (
        {"train": merged, **{role: name for role, name in roles.items() if name in kept}},
        {**rows, **{name: split_rows[name] for name in kept}},
    )


def build_clip_index(dataset: LoadedDataset, labels: Labels, cfg: DataConfig) -> ClipIndex:
    """Build the index of all clips of a data set, with the folds of `with_folds`.

    Args:
        dataset: The data set.
        labels: Its labels.
        cfg: `group_column`, `group_pattern`, `fold_column`, `folds` and `split_seed`.

    Raises:
        DatasetError: The group or fold column does not exist, see also `with_folds`.
    """
    split_rows, start = {}, 0
    for name, table in dataset.splits.items():
        split_rows[name] = np.arange(start, start + len(table))
        start += len(table)
    index = ClipIndex(
        labels=np.concatenate([labels.ids[name] for name in dataset.splits]),
        ids=dataset.ids,
        groups=_read_groups(dataset, cfg),
        folds=read_texts(dataset, cfg.fold_column, "--fold-column"),
        split_rows=split_rows,
        targets=None
        if labels.targets is None
        else np.concatenate([labels.targets[name] for name in dataset.splits]),
        recordings=_read_recordings(dataset),
        streamed_split=None if dataset.shards is None else dataset.shards.split,
        names=labels.names,
    )
    return with_folds(index, cfg)


def read_texts(dataset: LoadedDataset, column: str | None, flag: str) -> NDArray[np.str_] | None:
    """Read a column of all splits as text: class labels by name, 1.0 as '1', null as ''.

    Args:
        dataset: The data set.
        column: Its column; None for none.
        flag: The flag that names the column, for the message.

    Returns:
        Shape (number of clips,), '' where a split lacks the column; None without a column.

    Raises:
        DatasetError: There is no such column.
    """
    if column is None:
        return None
    columns = list_columns(dataset.splits)
    if column not in columns:
        raise DatasetError(
            f"There is no column '{column}' for {flag}: the columns are"
            f" {list_names(columns)}.{suggest_name(column, columns)}"
        )
    texts: list[str] = []
    for table in dataset.splits.values():
        if column not in table.column_names:
            texts += [""] * len(table)
            continue
        cells = copy_columns(table, [column])[column].to_pylist()
        kind = table.features.get(column)
        names = kind.names if isinstance(kind, ClassLabel) else None
        texts += [_to_text(names[cell] if names and cell is not None else cell) for cell in cells]
    return np.array(texts, dtype=np.str_)


def _read_recordings(dataset: LoadedDataset) -> NDArray[np.str_] | None:
    """Return the recording that each piece of silence is cut from; None without such pieces."""
    tables = dataset.splits.values()
    if not all(SILENCE_RECORDING in table.column_names for table in tables):
        return None
    names = np.concatenate(
        [np.array(table[SILENCE_RECORDING][:], dtype=np.str_) for table in tables]
    )
    return names if (names != "").any() else None


def _read_groups(dataset: LoadedDataset, cfg: DataConfig) -> NDArray[np.str_] | None:
    """Return the group of each clip: the group column, or what `--group-pattern` finds.

    The pattern is searched in the group column, or in the clip ids without one. Pieces of silence
    that the program synthesised or cut have no group ('').

    Raises:
        DatasetError: There is no such column, or the pattern is no regular expression with a group,
            or does not match in every clip.
    """
    texts = read_texts(dataset, cfg.group_column, "--group-column")
    if cfg.group_pattern is None:
        return texts
    pattern = compile_pattern(cfg.group_pattern, "--group-pattern", "group")
    given = (dataset.ids if texts is None else texts).tolist()
    groups = [find_first(pattern, text) or "" for text in given]
    pieces = _list_pieces(dataset)
    missing = [
        text
        for text, group, is_piece in zip(given, groups, pieces, strict=True)
        if not group and not is_piece
    ]
    if missing:
        raise DatasetError(
            f"--group-pattern {cfg.group_pattern} finds no group in {len(missing)} of"
            f" {count_of(len(given), 'clip')}: {list_names(missing[:3])}. Change the expression"
            " so that its first (...) matches in every clip."
        )
    return np.array(
        ["" if is_piece else group for group, is_piece in zip(groups, pieces, strict=True)],
        dtype=np.str_,
    )


def _list_pieces(dataset: LoadedDataset) -> list[bool]:
    """Return for each clip whether it is silence that the program synthesised or cut."""
    return [
        is_piece
        for table in dataset.splits.values()
        for is_piece in (
            table[IS_SILENCE_PIECE][:]
            if IS_SILENCE_PIECE in table.column_names
            else [False] * len(table)
        )
    ]


def _to_text(cell: object) -> str:
    """Format one cell.

    >>> _to_text(3.0), _to_text(None), _to_text("a b")
    ('3', '', 'a b')
    """
    if cell is None:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
