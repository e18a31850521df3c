"""Labels: the classes of a task, and the label ids or multi-label targets of every clip.

A label that cannot be used (null, empty, -1, out of range) becomes `UNUSABLE` and is counted; such
clips are never trained on. In a multi-label task an empty list is usable: the clip has no class.
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
from audio_cls.data.labels.filter import LEFT_OUT, count_clips, filter_labels
from audio_cls.data.labels.find_column import find_label_column, largest_tables
from audio_cls.data.labels.label_columns import name_label_column
from audio_cls.data.labels.label_text import normalize_names
from audio_cls.data.labels.parse import EMPTY, LabelColumn, LabelParser, Names, parse_label_column
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.sources.naming_schemes import suggest_label_pattern
from audio_cls.errors import DatasetError, count_of, list_names
from audio_cls.run_warnings import warn

UNUSABLE = -1

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labels:
    """The classes of a task, and the class or classes of each clip."""

    column: str
    names: Names
    ids: dict[str, NDArray[np.int64]]  # split -> (number of clips,), UNUSABLE where there is none
    # Split -> (number of clips, number of classes) float32, 1 where a clip has the class; None in a
    # single-label task. `ids` are then each clip's first class, and the number of classes where a
    # clip has none of them.
    targets: dict[str, NDArray[np.float32]] | None = None
    parser: LabelParser | None = None  # of the column's cells, for streamed clips

    @property
    def is_multilabel(self) -> bool:
        """Return whether a clip may have several classes, or none."""
        return self.targets is not None


def read_label_column(dataset: LoadedDataset, cfg: DataConfig) -> LabelColumn:
    """Find the label column of a data set and parse it, unless an earlier step has.

    Args:
        dataset: The data set; a split may lack the label column.
        cfg: `label_column` and others that name it, and `label_separator`.

    Raises:
        DatasetError: There is no label column, more than one candidate, or its cells are no labels.
    """
    if dataset.label_column is not None:
        return dataset.label_column
    column = find_label_column(dataset.splits, name_label_column(cfg))
    return parse_label_column(dataset.splits, column, cfg.label_separator)


def parse_labels(dataset: LoadedDataset, cfg: DataConfig) -> Labels:
    """Return the class of every clip, after the label filter of the settings.

    Args:
        dataset: The data set; a split may lack the label column.
        cfg: `label_column` (None to find it), `label_separator`, `problem_type`, `keep_labels`,
            `drop_labels`, `min_clips_per_label` and `merge_rare_into`.

    Raises:
        DatasetError: See `read_label_column`; or the column has fewer than two classes, or clips
            have several labels in a single-label task.
    """
    labels = read_label_column(dataset, cfg)
    column = labels.name
    if cfg.streaming:
        labels = _fix_classes(labels, largest_tables(dataset.splits)[column], cfg)
    labels = filter_labels(labels, cfg)
    _check_classes(labels, dataset.splits)
    _warn_of_similar_names(labels)
    is_multilabel = _is_multilabel(labels, cfg.problem_type)
    if is_multilabel:
        labels = _accept_empty(labels)
    elif cfg.label_separator is not None:
        warn(
            logger,
            f"--label-separator {cfg.label_separator} has no effect: no cell of '{column}' names"
            " several labels.",
        )
    id_of = {name: number for number, name in enumerate(labels.classes)}
    ids = {
        split: np.array([id_of[names[0]] if names else UNUSABLE for names in clips], dtype=np.int64)
        for split, clips in labels.clips.items()
    }
    _report_unusable(labels)
    if not is_multilabel:
        return Labels(column, labels.classes, ids, parser=labels.parser)
    num_classes = len(labels.classes)
    ids = {
        split: np.where((first == UNUSABLE) & labels.is_empty[split], num_classes, first)
        for split, first in ids.items()
    }
    targets = {split: make_targets(clips, labels.classes) for split, clips in labels.clips.items()}
    return Labels(column, labels.classes, ids, targets, labels.parser)


def _report_unusable(labels: LabelColumn) -> None:
    """Log the number of clips of classes that are left out, and warn of clips without a label."""
    num_clips = sum(map(len, labels.clips.values()))
    clips, num_left_out = count_of(num_clips, "clip"), labels.unusable[LEFT_OUT]
    if num_left_out:
        are = count_of(num_left_out, f"of {clips} is", f"of {clips} are")
        logger.info("%s of classes that the settings leave out.", are)
    faults = labels.unusable - Counter({LEFT_OUT: num_left_out})
    if faults:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in faults.most_common())
        warn(
            logger,
            f"Left out: {faults.total():,} of {clips}, without a usable label in '{labels.name}'"
            f" ({reasons}).",
        )


def _is_multilabel(labels: LabelColumn, problem_type: str) -> bool:
    """Return whether the task is multi-label: by the settings, else if a clip has several."""
    several = sum(len(names) > 1 for clips in labels.clips.values() for names in clips)
    if several and problem_type == "single-label":
        raise DatasetError(
            f"{count_of(several, 'clip has', 'clips have')} several labels in '{labels.name}',"
            " and --problem-type"
            " single-label allows one. Leave it out, or choose another --label-column."
        )
    return problem_type == "multi-label" or (problem_type == "auto" and several > 0)


def _accept_empty(labels: LabelColumn) -> LabelColumn:
    """Count the clips whose cell is an empty list as usable, and log their number."""
    count = int(sum(is_empty.sum() for is_empty in labels.is_empty.values()))
    if count == 0:
        return labels
    logger.info(
        "Used as negative examples of every label: %s without a label.", count_of(count, "clip")
    )
    return replace(labels, unusable=labels.unusable - Counter({EMPTY: count}))


def _fix_classes(labels: LabelColumn, table: Dataset, cfg: DataConfig) -> LabelColumn:
    """Return the labels with the classes of a stream: the declared ones, or those to keep.

    Raises:
        DatasetError: The column has texts or numbers, and the settings do not list the classes.
    """
    kind = table.features[labels.name]
    if isinstance(kind.feature if isinstance(kind, List) else kind, ClassLabel):
        return labels
    if not cfg.keep_labels:
        raise DatasetError(
            f"Column '{labels.name}' holds {kind.dtype if isinstance(kind, Value) else 'lists'},"
            " and the classes of a stream must be known before training: list all of them with"
            f" --keep-labels. The splits for evaluation have {list_names(labels.classes)}."
        )
    classes = tuple(dict.fromkeys((*normalize_names(cfg.keep_labels), *labels.classes)))
    return replace(labels, classes=classes)


def make_targets(clips: Sequence[Names], classes: Names) -> NDArray[np.float32]:
    """Return the multi-label targets (N, L): 1 where a clip has the class.

    >>> make_targets([("b",), ("a", "b"), ()], ("a", "b")).tolist()
    [[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]
    """
    id_of = {name: number for number, name in enumerate(classes)}
    targets = np.zeros((len(clips), len(classes)), dtype=np.float32)
    for row, names in enumerate(clips):
        targets[row, [id_of[name] for name in names]] = 1
    return targets


def _check_classes(labels: LabelColumn, splits: Mapping[str, Dataset]) -> None:
    """Refuse fewer than two classes with clips; warn of declared classes without clips."""
    counts = count_clips(labels)
    present = [name for name in labels.classes if counts[name]]
    if len(present) < 2:
        only = list_names(present) or "nothing"
        place = f"Column '{labels.name}'"
        advice = (
            "Choose another by --label-column, add clips of another class, or read every"
            f" configuration by --dataset-config all.{_suggest_pattern(splits)}"
        )
        if labels.name.startswith("--"):  # the labels are made by this option
            place, advice = labels.name, "Change its value, or add clips of another class."
        raise DatasetError(
            f"{place} has {count_of(len(present), 'class')} ({only}): a classifier needs two or"
            f" more. {advice}"
        )
    absent = [name for name in labels.classes if not counts[name]]
    if absent:
        warn(
            logger,
            f"Without a clip: {count_of(len(absent), 'class')} of '{labels.name}'"
            f" ({list_names(absent)}). --min-clips-per-label 1 leaves such classes out.",
        )


def _suggest_pattern(splits: Mapping[str, Dataset]) -> str:
    """Return a sentence on labels in file names, where the tables have these; else nothing."""
    tables = [table for table in splits.values() if "file" in table.column_names]
    return suggest_label_pattern([str(name) for table in tables for name in table["file"][:]])


def _warn_of_similar_names(labels: LabelColumn) -> None:
    """Warn of classes whose names differ only in case, blanks or Unicode form."""
    similar: dict[str, list[str]] = {}
    for name in labels.classes:
        plain = "".join(unicodedata.normalize("NFKC", name).casefold().split())
        similar.setdefault(plain, []).append(name)
    pairs = [" / ".join(map(repr, names)) for names in similar.values() if len(names) > 1]
    if pairs:
        warn(
            logger,
            f"Names of classes in '{labels.name}' differ only in upper and lower case, blanks or"
            f" Unicode form: {list_names(pairs)}. They are different classes: correct the names in"
            " the data set if they mean the same.",
        )
