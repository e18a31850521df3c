"""Segments of one recording sound alike: they belong on one side of a split."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import DataConfig
from audio_cls.data.labels.labels import UNUSABLE, Labels
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.sources.split_names import is_test_validation, resolve_roles
from audio_cls.run_warnings import warn

logger = logging.getLogger(__name__)


def group_segments(source: LoadedDataset, labels: Labels, cfg: DataConfig) -> DataConfig:
    """Group segments by their recording when splits are cut, where there are enough recordings.

    Enough is: every class has segments in as many recordings as there are sides to cut it into
    (train, validation and test, or the folds). Else, and where given splits share a recording, a
    warning says that scores may be too high. Where the settings say already what belongs together
    (groups, folds of a column, lists, another way to split), nothing changes.

    Args:
        source: The data set; its `recordings` column names the recording of each segment.
        labels: The classes.
        cfg: Settings.

    Returns:
        The settings, with the recording as the group column if segments are grouped.
    """
    column = source.recordings
    is_told = cfg.group_column or cfg.group_pattern or cfg.fold_column or cfg.split_files
    if column is None or is_told:
        return cfg
    names = resolve_roles(list(source.splits), cfg)
    recordings = {split: set(source.splits[split][column][:]) for split in names.values()}
    num_shared = sum(map(len, recordings.values())) - len(set.union(*recordings.values()))
    if num_shared and len(recordings) > 1:
        warn(
            logger,
            f"{num_shared} recordings have segments in several splits of the data set: scores may"
            " be higher than on recordings that are new to the model.",
        )
        return cfg
    has_test = "test" in names or is_test_validation(names, cfg)
    num_sides = cfg.folds or 3 - int(has_test) - int("validation" in names)
    if num_sides == 1:
        return cfg
    num_recordings = count_recordings(source, labels, column)
    if cfg.split_method == "stratified" and int(num_recordings.min()) >= num_sides:
        logger.info("Segments are grouped by their recording (--group-column %s).", column)
        return replace(cfg, group_column=column)
    few = int((num_recordings < num_sides).sum())
    warn(
        logger,
        f"Segments of one recording can be in training and in test, so that scores may be higher"
        f" than on new recordings: {few} of {len(num_recordings)} classes have segments in fewer"
        f" than {num_sides} recordings. --group-column {column} keeps recordings apart.",
    )
    return cfg


def count_recordings(source: LoadedDataset, labels: Labels, column: str) -> NDArray[np.int64]:
    """Count the recordings of each class that has segments, in all splits together."""
    pairs: set[tuple[int, str]] = set()
    for split, table in source.splits.items():
        names = np.array(table[column][:])
        if labels.targets is not None:
            rows, classes = np.nonzero(labels.targets[split])
        else:
            rows = np.flatnonzero(labels.ids[split] != UNUSABLE)
            classes = labels.ids[split][rows]
        pairs |= set(zip(classes.tolist(), names[rows].tolist(), strict=True))
    return np.unique([label for label, _ in pairs], return_counts=True)[1]
