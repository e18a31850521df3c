"""Exact duplicates: clips of equal audio, which make a test score too good if splits share them.

They are found by a hash of the decoded waveform, so that copies under other names or in other
lossless formats are found, too.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from audio_cls.data.splits.train_test_split import Rows
from audio_cls.errors import count_of
from audio_cls.run_warnings import warn
from audio_cls.storage.files import write_csv

SPLIT_PRIORITY = ("test", "validation", "train")  # the first of these keeps its clip

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Duplicate:
    """A clip whose audio another clip has, too."""

    id: str
    split: str
    same_as: str  # id of the clip that is kept
    same_as_split: str
    has_same_label: bool

    @property
    def is_leak(self) -> bool:
        """Return whether the two clips are in different splits."""
        return self.split != self.same_as_split


def audio_group_ids(hashes: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return a number per clip, equal for equal hashes; -1 for an empty hash.

    >>> audio_group_ids(pa.chunked_array([["x", "y", "", "x"]])).tolist()
    [0, 1, -1, 0]
    """
    numbers = pc.index_in(hashes, hashes.unique()).to_numpy().astype(np.int64)
    return np.where(pc.equal(hashes, "").to_numpy(), -1, numbers)


def rows_by_split_priority(
    parts: Mapping[str, Rows], audio_ids: NDArray[np.int64]
) -> tuple[Rows, NDArray[np.int64]]:
    """Return the rows with audio by SPLIT_PRIORITY, and the priority of each row's split."""
    given = [(place, parts[split]) for place, split in enumerate(SPLIT_PRIORITY) if split in parts]
    rows = np.concatenate([split_rows for _, split_rows in given])
    priorities = np.repeat(
        [place for place, _ in given], [len(split_rows) for _, split_rows in given]
    )
    has_audio = audio_ids[rows] >= 0
    return rows[has_audio], priorities[has_audio]


def find_duplicates(
    parts: Mapping[str, Rows],
    audio_ids: NDArray[np.int64],
    ids: NDArray[np.str_],
    labels: NDArray[np.int64] | NDArray[np.float32],
) -> list[Duplicate]:
    """List the clips whose audio an earlier clip has: of test, then validation, then train.

    Args:
        parts: Split -> rows of the three arrays below; one row may be in validation and test.
        audio_ids: Number of each row's audio, see `audio_group_ids`.
        ids: Id of each row.
        labels: Class of each row, or its targets (L,).
    """
    rows, priorities = rows_by_split_priority(parts, audio_ids)
    _, first, inverse = np.unique(audio_ids[rows], return_index=True, return_inverse=True)
    kept = first[inverse]  # place of the first clip with the same audio
    return [
        Duplicate(
            str(ids[rows[place]]), SPLIT_PRIORITY[priorities[place]],
            str(ids[rows[kept[place]]]), SPLIT_PRIORITY[priorities[kept[place]]],
            bool(np.array_equal(labels[rows[place]], labels[rows[kept[place]]])),
        )
        for place in np.flatnonzero(rows[kept] != rows).tolist()
    ]  # fmt: skip


def drop_duplicates(
    parts: Mapping[str, Rows], ids: NDArray[np.str_], duplicates: Sequence[Duplicate]
) -> dict[str, Rows]:
    """Leave the duplicates out of train and validation; test keeps all its clips."""
    left_out = {(one.split, one.id) for one in duplicates if one.split != "test"}
    return {
        split: np.array([row for row in rows if (split, str(ids[row])) not in left_out], np.int64)
        for split, rows in parts.items()
    }


def warn_of_duplicates(duplicates: Sequence[Duplicate], *, are_dropped: bool) -> None:
    """Warn of clips that have the audio of another clip."""
    if not duplicates:
        return
    leaks = sum(one.is_leak for one in duplicates)
    contradictions = sum(not one.has_same_label for one in duplicates)
    dropped = sum(one.split != "test" for one in duplicates)
    fate = f"{dropped} of train and validation left out" if are_dropped else (
        "kept; --deduplicate leaves those of train and validation out"
    )  # fmt: skip
    text = (
        f"{count_of(len(duplicates), 'clip has', 'clips have')} the same audio as another clip"
        f" ({leaks} in another split, {contradictions} with another label): {fate}. See"
        " duplicates.csv."
    )
    warn(logger, text, names=[f"first: {duplicates[0].id} = {duplicates[0].same_as}"])


def save_duplicates(path: Path, duplicates: Sequence[Duplicate]) -> None:
    """Write one row per duplicate: id, split, same_as, same_as_split, same_label."""
    rows = [
        [d.id, d.split, d.same_as, d.same_as_split, "yes" if d.has_same_label else "no"]
        for d in duplicates
    ]
    write_csv(path, ["id", "split", "same_as", "same_as_split", "same_label"], rows)
