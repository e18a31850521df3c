"""Unused columns and file names: likely folds, groups, splits and labels that no setting uses.

They are listed in one warning of training and in the data set summary, with the flags that would
use them; the splits are not changed.
"""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from datasets import ClassLabel, Value
from numpy.typing import NDArray

from audio_cls.config import DataConfig
from audio_cls.data.labels.labels import UNUSABLE, Labels
from audio_cls.data.loaded_dataset import LoadedDataset, list_columns
from audio_cls.data.sources.naming_schemes import NAME_PARTS, NO_HASH, NUMBERED, SCHEMES, search_all
from audio_cls.data.sources.split_names import SPLIT_NAMES, SPLIT_OF_NAME
from audio_cls.data.sources.tables.split_column import are_splits
from audio_cls.data.splits.clip_index import read_texts
from audio_cls.errors import count_of
from audio_cls.run_warnings import warn

# Columns, in lower case, of speakers, recordings and so on: each of their values is a group.
GROUP_COLUMNS = (
    *("speaker", "speaker_id", "speakerid", "spk_id", "client_id", "actor", "actor_id"),
    *("subject", "subject_id", "patient", "patient_id", "participant", "participant_id"),
    *("singer", "singer_id", "artist", "artist_id", "album", "track", "track_id", "user_id"),
    *("session", "session_id", "recording", "recording_id", "src_file", "source_file", "fsid"),
)
FOLD_COLUMNS = ("fold", "folds", "fold_id", "fold_number", "cv_fold")
MIN_GROUPS = 3  # of training, validation and test
CLIPS_PER_GROUP = 4  # on average, for a part of a file name to be a group
MAX_FOLDS = 20  # a column with more values has no folds or splits

# Kind of an unused column -> what it likely is, and what follows where it is not used.
MEANINGS = {
    "label": ("the label", ""),
    "split": ("the splits of the data set", ""),
    "fold": ("the folds of the data set", ""),
    "group": (
        "a speaker or recording",
        " Without it, clips of one speaker or recording can be in training and in test, and the"
        " scores are too high.",
    ),
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Unused:
    """A column, or a pattern of file names, that no setting uses."""

    kind: Literal["fold", "group", "split", "label"]
    where: str  # "column 'speaker'" or "file names"
    num_values: int
    flags: tuple[str, ...]  # command line arguments that use it; empty if there are none

    def describe(self) -> str:
        """Return place, number and flags, such as "column 'fold' (5 folds: --fold-column ...)"."""
        use = shlex.join(self.flags) or "save each of them as a split of its own"
        return f"{self.where} ({count_of(self.num_values, self.kind)}: {use})"


def find_unused(dataset: LoadedDataset, labels: Labels | None, cfg: DataConfig) -> list[Unused]:
    """List likely columns of folds, groups and splits, and likely file names, that are not used.

    Columns are found by their names, those of splits by their values. Groups are left out where the
    splits of the data set are used as they are and keep them apart, or where most classes have only
    one group.

    Args:
        dataset: The data set.
        labels: Its labels, or None where it has none.
        cfg: Settings; columns that they name are used.
    """
    if cfg.streaming:
        return []
    used = {cfg.label_column, *cfg.label_columns, dataset.audio_column, labels and labels.column}
    columns = [name for name in list_columns(dataset.splits) if name not in used]
    found = _find_labels(dataset, labels, cfg)
    if cfg.fold_column or cfg.split_files:
        return found
    is_cut = len(dataset.splits) < 3  # so that splits are made
    if is_cut:
        found += _find_splits([name for name in columns if name != cfg.group_column], dataset)
    if cfg.group_column or cfg.group_pattern or cfg.split_method == "hash":
        return found
    if is_cut or cfg.folds is not None:
        found += _find_folds(columns, dataset)
    label_ids = join_labels(dataset, labels)
    for name in (name for name in columns if name.lower() in GROUP_COLUMNS):
        texts = read_column(dataset, name)
        if _can_group(texts, label_ids, dataset, cfg):
            flags = ("--group-column", name)
            found.append(Unused("group", f"column '{name}'", len(set(texts) - {""}), flags))
    if not any(one.kind == "group" for one in found):
        found += _find_group_names(label_ids, dataset, cfg, has_label=bool(found))
    return found


def warn_of_unused_columns(dataset: LoadedDataset, labels: Labels, cfg: DataConfig) -> None:
    """Warn of what `find_unused` lists, with the flags that would use it."""
    found = find_unused(dataset, labels, cfg)
    if found:
        warn(logger, describe_unused(found))


def describe_unused(found: Sequence[Unused]) -> str:
    """Return one sentence on each kind of unused columns and file names that there is."""
    sentences = []
    for kind, (meaning, effect) in MEANINGS.items():
        shown = [one.describe() for one in found if one.kind == kind]
        if shown:
            sentences.append(f"Not used, and likely {meaning}: {', '.join(shown)}.{effect}")
    return " ".join(sentences)


def read_column(dataset: LoadedDataset, column: str) -> list[str]:
    """Return a column of all splits as text, '' where a split lacks it or a cell is null."""
    texts = read_texts(dataset, column, "--group-column")
    return [] if texts is None else [str(text) for text in texts]


def _find_folds(columns: Sequence[str], dataset: LoadedDataset) -> list[Unused]:
    """Return the first column of folds, with the flags for cross-validation on them."""
    for name in (name for name in columns if name.lower() in FOLD_COLUMNS):
        values = {text.removesuffix(".0") for text in read_column(dataset, name)} - {""}
        if 1 < len(values) <= MAX_FOLDS:
            flags = ("--fold-column", name, "--folds", str(len(values)))
            return [Unused("fold", f"column '{name}'", len(values), flags)]
    return []


def _find_splits(columns: Sequence[str], dataset: LoadedDataset) -> list[Unused]:
    """Return the columns of any name whose values name splits, and flags such as `is_test`."""
    found = []
    for name in columns:
        is_flag = name.lower().removeprefix("is_") in SPLIT_OF_NAME and name.lower() != "is_valid"
        values = _list_values(dataset, name, is_any_type=is_flag)
        if len(values) < 2:
            continue
        is_flag &= len(values) == 2
        if is_flag or are_splits(value.strip().lower() for value in values):
            flags = () if is_flag else _use_splits(name, values)
            found.append(Unused("split", f"column '{name}'", len(values), flags))
    return found


def _list_values(dataset: LoadedDataset, column: str, *, is_any_type: bool) -> set[str]:
    """Return the distinct non-empty values of a column of text, or of any type.

    The set is empty where there are more than `MAX_FOLDS`.
    """
    values: set[str] = set()
    for table in dataset.splits.values():
        kind = table.features.get(column)
        is_text = isinstance(kind, Value) and kind.dtype in ("string", "large_string")
        if is_text or isinstance(kind, ClassLabel) or (is_any_type and isinstance(kind, Value)):
            cells = table.data.column(column).unique()
            if len(cells) > MAX_FOLDS:
                return set()
            filled = [cell for cell in cells.to_pylist() if cell is not None and cell != ""]
            if isinstance(kind, ClassLabel):
                filled = [kind.int2str(cell) for cell in filled if cell >= 0]
            values |= set(map(str, filled))
    return values


def _use_splits(column: str, values: set[str]) -> tuple[str, ...]:
    """Return the flags that use the splits in a column; none where a role has not one value."""
    roles = {SPLIT_OF_NAME.get(value.strip().lower()): value for value in values}
    if set(roles) != set(SPLIT_NAMES) or len(values) > 3:
        return ()
    test, validation = roles["test"], roles["validation"]
    return ("--group-column", column, "--test-groups", test, "--validation-groups", validation)


def join_labels(dataset: LoadedDataset, labels: Labels | None) -> NDArray[np.int64] | None:
    """Return the label id of each clip of all splits."""
    return None if labels is None else np.concatenate([labels.ids[s] for s in dataset.splits])


def _has_kept_splits(dataset: LoadedDataset, cfg: DataConfig) -> bool:
    """Return whether the data set has a split for each role, and no new folds are made."""
    is_given = (
        getattr(cfg, f"{role}_split") in dataset.splits
        or not set(SPLIT_NAMES[role]).isdisjoint(dataset.splits)
        for role in SPLIT_NAMES
    )
    return cfg.folds is None and len(dataset.splits) >= 3 and all(is_given)


def _can_group(
    texts: Sequence[str],
    label_ids: NDArray[np.int64] | None,
    dataset: LoadedDataset,
    cfg: DataConfig,
    *,
    is_checked: bool = True,
) -> bool:
    """Return whether a split by these groups is possible, and different from one without.

    Args:
        texts: Group of each clip, '' for none.
        label_ids: Label id of each clip.
        dataset: The data set, whose splits may keep the groups apart.
        cfg: Whether these splits are used as they are.
        is_checked: Whether most classes must have several groups.
    """
    groups = set(texts) - {""}
    if not 1 < len(groups) < sum(text != "" for text in texts):
        return False
    places = np.repeat(np.arange(len(dataset.splits)), [len(t) for t in dataset.splits.values()])
    is_shared = len({(t, int(p)) for t, p in zip(texts, places, strict=True) if t}) > len(groups)
    if _has_kept_splits(dataset, cfg) and not is_shared:
        return False
    return label_ids is None or not is_checked or have_several_groups(label_ids, texts)


def have_several_groups(label_ids: NDArray[np.int64], texts: Sequence[str]) -> bool:
    """Return whether most classes have several groups, so that a split by group is possible.

    Args:
        label_ids: Label id of each clip, (N,).
        texts: Group of each clip, '' for none.

    >>> have_several_groups(np.array([0, 0, 1, 1]), ["x", "x", "y", "y"])  # each is a class
    False
    """
    labelled = zip(label_ids, texts, strict=True)
    pairs = {(int(label), text) for label, text in labelled if label != UNUSABLE and text}
    counts = np.unique([label for label, _ in pairs], return_counts=True)[1]
    return bool(len(counts)) and bool(np.median(counts) >= 2)


def _find_labels(dataset: LoadedDataset, labels: Labels | None, cfg: DataConfig) -> list[Unused]:
    """Return the label in file names of a known scheme, unless it is equivalent to the labels."""
    if cfg.label_pattern is not None or cfg.label_columns:
        return []
    ids = dataset.ids.tolist()
    for scheme in SCHEMES:
        texts = search_all(scheme.label_pattern, ids)
        if not texts or not search_all(scheme.group_pattern, ids) or len(set(texts)) < 2:
            continue
        label_ids = join_labels(dataset, labels)
        if label_ids is not None:
            num_pairs = len(set(zip(label_ids.tolist(), texts, strict=True)))
            if num_pairs in (len(set(texts)), len(set(label_ids.tolist()))):
                return []  # one of them determines the other
        where = f"file names as in {scheme.name}"
        return [Unused("label", where, len(set(texts)), ("--label-pattern", scheme.label_pattern))]
    return []


def _find_group_names(
    label_ids: NDArray[np.int64] | None,
    dataset: LoadedDataset,
    cfg: DataConfig,
    *,
    has_label: bool,
) -> list[Unused]:
    """Return the group in all file names, by a known scheme or a numbered word."""
    ids = dataset.ids.tolist()
    if len(dataset.splits) < 3 and np.mean([NO_HASH in name for name in ids]) > 0.5:
        speakers = {re.sub(r".*/", "", name).split(NO_HASH)[0] for name in ids if NO_HASH in name}
        where = "file names as in Speech Commands"
        return [Unused("group", where, len(speakers), ("--split-method", "hash"))]
    names = {scheme.group_pattern: f" as in {scheme.name}" for scheme in SCHEMES}
    for pattern, known in {**names, NUMBERED: ""}.items():
        texts = search_all(pattern, ids)
        if texts and _can_group(texts, label_ids, dataset, cfg, is_checked=not has_label):
            flags = ("--group-pattern", pattern)
            return [Unused("group", f"file names{known}", len(set(texts)), flags)]
    for pattern in NAME_PARTS:
        texts = search_all(pattern, ids)
        if _are_speakers(texts) and _can_group(texts, label_ids, dataset, cfg):
            return [Unused("group", "file names", len(set(texts)), ("--group-pattern", pattern))]
    return []


def _are_speakers(texts: Sequence[str]) -> bool:
    """Return whether parts of file names can be speakers: words, each in several names.

    A number may be a speaker's or the clip's, so it is not taken.
    """
    names = set(texts)
    has_words = all(re.search(r"[^\W\d_]", name) for name in names)
    is_split = {name.lower() for name in names} <= set(SPLIT_OF_NAME)
    return MIN_GROUPS <= len(names) <= len(texts) / CLIPS_PER_GROUP and has_words and not is_split
