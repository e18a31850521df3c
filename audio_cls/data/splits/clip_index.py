"""All clips of a data set's given splits in one row of columns, before train and test are made."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_cls.data.keyword_spotting.sampling import Fillers
from audio_cls.data.labels.labels import UNUSABLE
from audio_cls.data.splits.train_test_split import Groups, Marks, Rows
from audio_cls.data.streaming.clips import StreamClips
from audio_cls.run_warnings import warn

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pool:
    """All clips of the given splits, one after the other; N of them."""

    labels: NDArray[np.int64]  # (N,), UNUSABLE where a clip has no label
    ids: NDArray[np.str_]  # (N,), each once
    groups: Groups | None  # (N,), the group column as text
    folds: NDArray[np.str_] | None  # (N,), the fold column as text, empty where there is none
    given: dict[str, Rows]  # split name -> its rows
    # For keyword spotting: what each piece of silence was cut from, (N,), '' for other clips, and
    # how many unknown words and pieces of silence there are to be.
    recordings: NDArray[np.str_] | None = None
    fillers: Fillers | None = None
    stream: StreamClips | None = None  # the training clips, where they are streamed
    targets: NDArray[np.float32] | None = None  # (N, L), 1 where a clip has the label; multi-label
    names: tuple[str, ...] = ()  # of the L classes

    @property
    def marks(self) -> Marks:
        """Return the labels to balance by: ids (N,), or rows of marks (N, L) if multi-label."""
        return self.labels if self.targets is None else self.targets


def keep_labelled(rows: Rows, pool: Pool) -> Rows:
    """Leave out clips without a usable label."""
    kept: Rows = rows[pool.labels[rows] != UNUSABLE]
    return kept


def restrict_pool(pool: Pool, is_usable: NDArray[np.bool_]) -> Pool:
    """Return the pool in which the other clips have no label, so that no split takes them."""
    cut_from = pool.recordings
    return dataclasses.replace(
        pool,
        labels=np.where(is_usable, pool.labels, UNUSABLE),
        recordings=None if cut_from is None else np.where(is_usable, cut_from, ""),
    )


def join_shared_groups(
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
