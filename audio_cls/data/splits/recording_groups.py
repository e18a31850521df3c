"""Recording groups: segments of one recording are kept in one split."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import DataConfig
from audio_cls.data.labels.labels import UNUSABLE, Labels
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.sources.split_names import is_test_validation, resolve_roles
from audio_cls.errors import count_of
from audio_cls.run_warnings import warn

logger = logging.getLogger(__name__)


def group_segments(dataset: LoadedDataset, labels: Labels, cfg: DataConfig) -> DataConfig:
    """Use the recordings of segments as groups where there are enough recordings.

    There are enough where every class has segments in at least one recording per part to split into
    (train, validation and test, or the folds). Where there are too few, and where splits of the
    data set share recordings, a warning is given. Nothing changes where the settings have groups, a
    fold column, lists of ids, or another split method.

    Args:
        dataset: The data set; its `recordings` column names the recording of each segment.
        labels: The classes.
        cfg: Settings.

    Returns:
        The settings, with the recordings as the group column if segments are grouped.
    """
    column = dataset.recordings
    is_set = cfg.group_column or cfg.group_pattern or cfg.fold_column or cfg.split_files
    if column is None or is_set:
        return cfg
    names = resolve_roles(list(dataset.splits), cfg)
    recordings = {split: set(dataset.splits[split][column][:]) for split in names.values()}
    num_shared = sum(map(len, recordings.values())) - len(set.union(*recordings.values()))
    if num_shared and len(recordings) > 1:
        warn(
            logger,
            f"{count_of(num_shared, 'recording has', 'recordings have')} segments in several"
            " splits of the data set: scores may be higher than on recordings that are new to the"
            " model.",
        )
        return cfg
    has_test = "test" in names or is_test_validation(names, cfg)
    num_parts = cfg.folds or 3 - int(has_test) - int("validation" in names)
    if num_parts == 1:
        return cfg
    num_recordings = count_recordings(dataset, labels, column)
    if cfg.split_method == "stratified" and int(num_recordings.min()) >= num_parts:
        logger.info("Segments are grouped by their recording (--group-column %s).", column)
        return replace(cfg, group_column=column)
    few = int((num_recordings < num_parts).sum())
    warn(
        logger,
        f"Segments of one recording can be in training and in test, so that scores may be higher"
        f" than on new recordings: {few} of {count_of(len(num_recordings), 'class')}"
        f" {'has' if few == 1 else 'have'} segments in fewer than {num_parts} recordings."
        f" --group-column {column} keeps recordings apart.",
    )
    return cfg


def count_recordings(dataset: LoadedDataset, labels: Labels, column: str) -> NDArray[np.int64]:
    """Count the recordings of each class that has segments, over all splits."""
    pairs: set[tuple[int, str]] = set()
    for split, table in dataset.splits.items():
        names = np.array(table[column][:])
        if labels.targets is not None:
            rows, classes = np.nonzero(labels.targets[split])
        else:
            rows = np.flatnonzero(labels.ids[split] != UNUSABLE)
            classes = labels.ids[split][rows]
        pairs |= set(zip(classes.tolist(), names[rows].tolist(), strict=True))
    return np.unique([label for label, _ in pairs], return_counts=True)[1]
