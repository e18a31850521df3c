"""Which column holds the label, and what its values mean: names <-> ids.

In: the tables of a `LoadedDataset`. Out: `Labels`, with one integer a clip, and in a multi-label
task a row of marks a clip. A label that cannot be used (null, empty, -1, out of range) becomes
`UNUSABLE` and is counted, never trained on; in a multi-label task an empty list is no fault, but a
clip in which nothing is to be found.
"""

from __future__ import annotations

import logging
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from datasets import ClassLabel, Dataset, List, Value
from numpy.typing import NDArray

from audio_cls.config import DataConfig
from audio_cls.data.labels.filter import count_clips, filter_labels
from audio_cls.data.labels.find_column import find_label_column, largest_tables
from audio_cls.data.labels.label_columns import name_label_column
from audio_cls.data.labels.label_text import normalize_names
from audio_cls.data.labels.parse import EMPTY, LabelColumn, Names, parse_label_column
from audio_cls.data.sources.naming_schemes import suggest_label_pattern
from audio_cls.errors import DatasetError, list_names
from audio_cls.run_warnings import warn

UNUSABLE = -1

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labels:
    """The classes of a task and each clip's class, or classes."""

    column: str
    names: Names
    ids: dict[str, NDArray[np.int64]]  # split -> (number of clips,), UNUSABLE where there is none
    # Split -> (number of clips, number of classes) float32, 1 where a clip has the class; None in a
    # single-label task. `ids` then hold each clip's first class, and the number of classes where a
    # clip has none of them.
    targets: dict[str, NDArray[np.float32]] | None = None

    @property
    def is_multilabel(self) -> bool:
        """Tell whether a clip may have several classes, or none."""
        return self.targets is not None

    def count_unusable(self) -> int:
        """Count the clips of all splits whose label cannot be used."""
        return int(sum((ids == UNUSABLE).sum() for ids in self.ids.values()))


def parse_labels(splits: dict[str, Dataset], cfg: DataConfig) -> Labels:
    """Find the label column and read every clip's class, restricted as the settings say.

    Args:
        splits: Tables; a test split may lack the label column.
        cfg: `label_column` (None to find the only one that can be meant), `label_separator`,
            `problem_type`, `keep_labels`, `drop_labels`, `min_clips_per_label` and
            `merge_rare_into`.

    Raises:
        DatasetError: No column, several, a column with fewer than two classes, or several labels a
            clip where one was asked for.
    """
    column = find_label_column(splits, name_label_column(cfg))
    cells = parse_label_column(splits, column, cfg.label_separator)
    if cfg.streaming:
        cells = _fix_names(cells, largest_tables(splits)[column], column, cfg)
    cells = filter_labels(cells, cfg)
    _check_classes(column, cells, splits)
    _warn_of_similar_names(column, cells)
    is_multilabel = _may_have_several(column, cells, cfg.problem_type)
    if is_multilabel:
        cells = _accept_bare(cells)
    elif cfg.label_separator is not None:
        warn(
            logger,
            f"--label-separator {cfg.label_separator} has no effect: no cell of '{column}' names"
            " several labels.",
        )
    index = {name: number for number, name in enumerate(cells.order)}
    ids = {
        split: np.array([index[own[0]] if own else UNUSABLE for own in clips], dtype=np.int64)
        for split, clips in cells.clips.items()
    }
    if cells.faults:
        reasons = ", ".join(f"{count} {reason}" for reason, count in cells.faults.most_common())
        num_clips = sum(map(len, cells.clips.values()))
        warn(
            logger,
            f"{cells.faults.total()} of {num_clips} clips have no usable label in '{column}'"
            f" ({reasons}): set aside.",
        )
    if not is_multilabel:
        return Labels(column, cells.order, ids)
    ids = {
        split: np.where((own == UNUSABLE) & cells.is_bare[split], len(cells.order), own)
        for split, own in ids.items()
    }
    targets = {split: make_targets(clips, cells.order) for split, clips in cells.clips.items()}
    return Labels(column, cells.order, ids, targets)


def _may_have_several(column: str, cells: LabelColumn, problem_type: str) -> bool:
    """Tell whether the task is multi-label: as asked for, else when some clip has several."""
    several = sum(len(own) > 1 for clips in cells.clips.values() for own in clips)
    if several and problem_type == "single-label":
        raise DatasetError(
            f"{several} clips have several labels in '{column}', and --problem-type single-label"
            " allows one. Leave it out, or choose another --label-column."
        )
    return problem_type == "multi-label" or (problem_type == "auto" and several > 0)


def _accept_bare(cells: LabelColumn) -> LabelColumn:
    """Take clips whose cell lists nothing as clips without any of the labels, and say so."""
    count = int(sum(own.sum() for own in cells.is_bare.values()))
    if count == 0:
        return cells
    logger.info("%d clips have no label: they are heard as examples of none.", count)
    return replace(cells, faults=cells.faults - Counter({EMPTY: count}))


def _fix_names(cells: LabelColumn, table: Dataset, column: str, cfg: DataConfig) -> LabelColumn:
    """Say which classes there are before the stream is read: the column's own, or those to keep.

    Raises:
        DatasetError: The column holds words or numbers, and no list says which there are.
    """
    kind = table.features[column]
    if isinstance(kind.feature if isinstance(kind, List) else kind, ClassLabel):
        return cells
    if not cfg.keep_labels:
        raise DatasetError(
            f"Column '{column}' holds {kind.dtype if isinstance(kind, Value) else 'lists'}, and a"
            " stream cannot be listed before it is trained on: name its classes by --keep-labels."
            f" The splits for evaluation have {list_names(cells.order)}."
        )
    order = tuple(dict.fromkeys((*normalize_names(cfg.keep_labels), *cells.order)))
    return replace(cells, order=order)


def make_targets(clips: Sequence[Names], order: Names) -> NDArray[np.float32]:
    """Mark the classes of each clip.

    >>> make_targets([("b",), ("a", "b"), ()], ("a", "b")).tolist()
    [[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]
    """
    index = {name: number for number, name in enumerate(order)}
    targets = np.zeros((len(clips), len(order)), dtype=np.float32)
    for row, names in enumerate(clips):
        targets[row, [index[name] for name in names]] = 1
    return targets


def _check_classes(column: str, cells: LabelColumn, splits: Mapping[str, Dataset]) -> None:
    """Refuse fewer than two classes with clips, and say which declared ones have none."""
    counts = count_clips(cells)
    present = [name for name in cells.order if counts[name]]
    if len(present) < 2:
        only = list_names(present) or "nothing"
        classes = "class" if len(present) == 1 else "classes"
        raise DatasetError(
            f"Column '{column}' has {len(present)} {classes} ({only}): a classifier needs two or"
            " more. Choose another by --label-column, add clips of another class, or read every"
            f" configuration by --dataset-config all.{_suggest_names(splits)}"
        )
    absent = [name for name in cells.order if not counts[name]]
    if absent:
        warn(
            logger,
            f"{len(absent)} classes of '{column}' have no clip ({list_names(absent)});"
            " --min-clips-per-label 1 leaves them out.",
        )


def _suggest_names(splits: Mapping[str, Dataset]) -> str:
    """Return a sentence on labels in the files' names, where a column has these; or nothing."""
    tables = [table for table in splits.values() if "file" in table.column_names]
    return suggest_label_pattern([str(name) for table in tables for name in table["file"][:]])


def _warn_of_similar_names(column: str, cells: LabelColumn) -> None:
    """Warn of classes whose names differ only in case, blanks or Unicode form."""
    similar: dict[str, list[str]] = {}
    for name in cells.order:
        plain = "".join(unicodedata.normalize("NFKC", name).casefold().split())
        similar.setdefault(plain, []).append(name)
    pairs = [" / ".join(map(repr, names)) for names in similar.values() if len(names) > 1]
    if pairs:
        warn(
            logger,
            f"Names of classes in '{column}' differ only in upper and lower case, blanks or Unicode"
            f" form: {list_names(pairs)}. They are different classes: correct the names in the data"
            " set if they mean the same.",
        )
