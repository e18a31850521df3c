"""Columns and file names that say which clips belong together, or their label, and are not used.

Used for one warning in training and for a section of `audio-cls inspect`. Nothing is decided here:
a data set is cut as the settings say, and the text has the flags that would change it.
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
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.sources.naming_schemes import NO_HASH, NUMBERED, SCHEMES, search_all
from audio_cls.data.sources.split_names import SPLIT_NAMES, SPLIT_OF_NAME
from audio_cls.data.sources.tables.split_column import are_splits
from audio_cls.data.splits.clip_index import read_texts
from audio_cls.run_warnings import warn

# Columns, in lower case, that say who or what was recorded: clips of one belong in one split only.
GROUP_COLUMNS = (
    *("speaker", "speaker_id", "speakerid", "spk_id", "client_id", "actor", "actor_id"),
    *("subject", "subject_id", "patient", "patient_id", "participant", "participant_id"),
    *("singer", "singer_id", "artist", "artist_id", "album", "track", "track_id", "user_id"),
    *("session", "session_id", "recording", "recording_id", "src_file", "source_file", "fsid"),
)
FOLD_COLUMNS = ("fold", "folds", "fold_id", "fold_number", "cv_fold")
MAX_FOLDS = 20  # a column with more values is no column of folds or splits

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Unused:
    """What a data set says of its clips, and no setting uses."""

    kind: Literal["fold", "group", "split", "label"]
    where: str  # "column 'speaker'" or "file names"
    num_values: int
    flags: tuple[str, ...]  # words of the command line that would use it; empty where none would

    def describe(self) -> str:
        """Return where, how many and the flags, such as "column 'fold' (5 folds; --fold ...)"."""
        use = shlex.join(self.flags) or "save each of them as a split of its own"
        return f"{self.where} ({self.num_values} {self.kind}s: {use})"


def find_unused(dataset: LoadedDataset, labels: Labels | None, cfg: DataConfig) -> list[Unused]:
    """List likely columns of folds, groups and splits, and likely file names, that are not used.

    Columns are known by their names, those of splits by their values. Groups that the given splits
    keep apart already, or that nearly every class has only one of, are left out: nothing could be
    gained by them.

    Args:
        dataset: The data set.
        labels: Its labels, or None where it has none.
        cfg: Settings; what they name counts as used.
    """
    if cfg.streaming:
        return []
    taken = {cfg.label_column, *cfg.label_columns, dataset.audio_column, labels and labels.column}
    columns = [
        name
        for name in dict.fromkeys(n for t in dataset.splits.values() for n in t.column_names)
        if name not in taken
    ]
    ids = dataset.ids
    found = _find_labels(ids, dataset, labels, cfg)
    if cfg.fold_column or cfg.split_files:
        return found
    is_cut = len(dataset.splits) < 3  # into splits, by this program
    if is_cut:
        found += _find_splits([name for name in columns if name != cfg.group_column], dataset)
    if cfg.group_column or cfg.group_pattern or cfg.split_method == "hash":
        return found
    if is_cut:
        found += _find_folds(columns, dataset)
    own = _join_labels(dataset, labels)
    for name in (name for name in columns if name.lower() in GROUP_COLUMNS):
        texts = read_column(dataset, name)
        if _can_group(texts, own, dataset):
            flags = ("--group-column", name)
            found.append(Unused("group", f"column '{name}'", len(set(texts) - {""}), flags))
    if not any(one.kind == "group" for one in found):
        found += _find_group_names(ids, own, dataset, has_label=bool(found))
    return found


def warn_of_unused_columns(dataset: LoadedDataset, labels: Labels, cfg: DataConfig) -> None:
    """Warn once of what `find_unused` lists, with the flags that would use it."""
    found = find_unused(dataset, labels, cfg)
    if found:
        warn(logger, describe_unused(found))


def describe_unused(found: Sequence[Unused]) -> str:
    """Write what is not used in two sentences or less."""
    labels = [one.describe() for one in found if one.kind == "label"]
    others = [one.describe() for one in found if one.kind != "label"]
    sentences = []
    if labels:
        sentences.append(f"Not used, and likely the label: {', '.join(labels)}.")
    if others:
        sentences.append(
            f"Not used, and likely to say which clips belong together: {', '.join(others)}. Without"
            " it, clips of one speaker or recording can be in training and in test, and the scores"
            " are too high."
        )
    return " ".join(sentences)


def read_column(dataset: LoadedDataset, column: str) -> list[str]:
    """Return a column of all splits as text, '' where a split lacks it or a cell is null."""
    texts = read_texts(dataset, column, "--group-column")
    return [] if texts is None else [str(text) for text in texts]


def _find_folds(columns: Sequence[str], dataset: LoadedDataset) -> list[Unused]:
    """Return the first column of folds, with the flags that test on each fold in turn."""
    for name in (name for name in columns if name.lower() in FOLD_COLUMNS):
        values = {text.removesuffix(".0") for text in read_column(dataset, name)} - {""}
        if 1 < len(values) <= MAX_FOLDS:
            flags = ("--fold-column", name, "--folds", str(len(values)))
            return [Unused("fold", f"column '{name}'", len(values), flags)]
    return []


def _find_splits(columns: Sequence[str], dataset: LoadedDataset) -> list[Unused]:
    """Return the columns, whatever their names, whose values name splits, and such as `is_test`."""
    found = []
    for name in columns:
        is_mark = name.lower().removeprefix("is_") in SPLIT_OF_NAME and name.lower() != "is_valid"
        values = _list_values(dataset, name, is_any_type=is_mark)
        if len(values) < 2:
            continue
        is_mark &= len(values) == 2
        if is_mark or are_splits(value.strip().lower() for value in values):
            flags = () if is_mark else _use_splits(name, values)
            found.append(Unused("split", f"column '{name}'", len(values), flags))
    return found


def _list_values(dataset: LoadedDataset, column: str, *, is_any_type: bool) -> set[str]:
    """Return the different values, but empty ones, of a column of text, or of any type.

    None are returned where they are more than `MAX_FOLDS`.
    """
    values: set[str] = set()
    for table in dataset.splits.values():
        kind = table.features.get(column)
        is_text = isinstance(kind, Value) and kind.dtype in ("string", "large_string")
        if is_text or isinstance(kind, ClassLabel) or (is_any_type and isinstance(kind, Value)):
            cells = table.data.column(column).unique()
            if len(cells) > MAX_FOLDS:
                return set()
            given = [cell for cell in cells.to_pylist() if cell is not None and cell != ""]
            if isinstance(kind, ClassLabel):
                given = [kind.int2str(cell) for cell in given if cell >= 0]
            values |= set(map(str, given))
    return values


def _use_splits(column: str, values: set[str]) -> tuple[str, ...]:
    """Return the flags that take a column's splits; none where validation or a name is missing."""
    roles = {SPLIT_OF_NAME.get(value.strip().lower()): value for value in values}
    if set(roles) != set(SPLIT_NAMES) or len(values) > 3:
        return ()
    test, validation = roles["test"], roles["validation"]
    return ("--group-column", column, "--test-groups", test, "--validation-groups", validation)


def _join_labels(dataset: LoadedDataset, labels: Labels | None) -> NDArray[np.int64] | None:
    """Return the label id of each clip of all splits."""
    return None if labels is None else np.concatenate([labels.ids[s] for s in dataset.splits])


def _can_group(
    texts: Sequence[str],
    own: NDArray[np.int64] | None,
    dataset: LoadedDataset,
    *,
    is_checked: bool = True,
) -> bool:
    """Return whether cutting by these groups is possible and changes anything.

    Args:
        texts: The group of each clip, '' for none.
        own: The label id of each clip.
        dataset: Its splits may keep the groups apart already.
        is_checked: Whether most classes must have several groups.
    """
    groups = set(texts) - {""}
    if not 1 < len(groups) < sum(text != "" for text in texts):
        return False
    places = np.repeat(np.arange(len(dataset.splits)), [len(t) for t in dataset.splits.values()])
    is_shared = len({(t, int(p)) for t, p in zip(texts, places, strict=True) if t}) > len(groups)
    if len(dataset.splits) >= 3 and not is_shared:
        return False
    if own is None or not is_checked:
        return True
    pairs = {
        (int(label), t) for label, t in zip(own, texts, strict=True) if label != UNUSABLE and t
    }
    counts = np.unique([label for label, _ in pairs], return_counts=True)[1]
    return bool(len(counts)) and bool(np.median(counts) >= 2)


def _find_labels(
    ids: NDArray[np.str_], dataset: LoadedDataset, labels: Labels | None, cfg: DataConfig
) -> list[Unused]:
    """Return the label in file names of a known scheme, unless the label in use is the same."""
    if cfg.label_pattern is not None or cfg.label_columns:
        return []
    given = ids.tolist()
    for scheme in SCHEMES:
        texts = search_all(scheme.label_pattern, given)
        if not texts or not search_all(scheme.group_pattern, given) or len(set(texts)) < 2:
            continue
        own = _join_labels(dataset, labels)
        if own is not None:
            num_pairs = len(set(zip(own.tolist(), texts, strict=True)))
            if num_pairs == len(set(texts)) or num_pairs == len(set(own.tolist())):
                return []  # one says the other
        where = f"file names as in {scheme.name}"
        return [Unused("label", where, len(set(texts)), ("--label-pattern", scheme.label_pattern))]
    return []


def _find_group_names(
    ids: NDArray[np.str_], own: NDArray[np.int64] | None, dataset: LoadedDataset, *, has_label: bool
) -> list[Unused]:
    """Return the group that all file names have, by a known scheme or a numbered word."""
    if len(dataset.splits) < 3 and np.mean([NO_HASH in name for name in ids]) > 0.5:
        speakers = {re.sub(r".*/", "", name).split(NO_HASH)[0] for name in ids if NO_HASH in name}
        where = "file names as in Speech Commands"
        return [Unused("group", where, len(speakers), ("--split-method", "hash"))]
    given = ids.tolist()
    names = {scheme.group_pattern: f" as in {scheme.name}" for scheme in SCHEMES}
    for pattern, known in {**names, NUMBERED: ""}.items():
        texts = search_all(pattern, given)
        if texts and _can_group(texts, own, dataset, is_checked=not has_label):
            flags = ("--group-pattern", pattern)
            return [Unused("group", f"file names{known}", len(set(texts)), flags)]
    return []
