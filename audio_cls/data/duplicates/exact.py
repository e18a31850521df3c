"""What makes a test score too good: one sound in two splits, or a test set the model has heard.

Equal sounds are found by a hash of the decoded wave, so that a copy under another name or in
another lossless format is still a copy.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from audio_cls.data.splits.train_test_split import Rows
from audio_cls.run_warnings import warn
from audio_cls.storage.files import open_replaced

KEEPING_ORDER = ("test", "validation", "train")  # which split keeps a sound that two of them have

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Duplicate:
    """A clip whose sound another clip has as well."""

    id: str
    split: str
    same_as: str  # id of the clip that is kept
    same_as_split: str
    has_same_label: bool

    @property
    def is_leak(self) -> bool:
        """Tell whether the two clips are in different splits."""
        return self.split != self.same_as_split


def audio_group_ids(hashes: pa.ChunkedArray) -> NDArray[np.int64]:
    """Number the sounds of clips by their hashes: equal sounds share a number, -1 is no sound.

    >>> audio_group_ids(pa.chunked_array([["x", "y", "", "x"]])).tolist()
    [0, 1, -1, 0]
    """
    numbers = pc.index_in(hashes, hashes.unique()).to_numpy().astype(np.int64)
    return np.where(pc.equal(hashes, "").to_numpy(), -1, numbers)


def rows_by_split_priority(
    parts: Mapping[str, Rows], sounds: NDArray[np.int64]
) -> tuple[Rows, NDArray[np.int64]]:
    """Return the rows with a sound, those that keep it first, and each one's KEEPING_ORDER."""
    given = [(place, parts[split]) for place, split in enumerate(KEEPING_ORDER) if split in parts]
    rows = np.concatenate([own for _, own in given])
    orders = np.repeat([place for place, _ in given], [len(own) for _, own in given])
    is_heard = sounds[rows] >= 0
    return rows[is_heard], orders[is_heard]


def find_duplicates(
    parts: Mapping[str, Rows],
    sounds: NDArray[np.int64],
    ids: NDArray[np.str_],
    labels: NDArray[np.int64] | NDArray[np.float32],
) -> list[Duplicate]:
    """List the clips whose sound was met before, in test first, then validation, then train.

    Args:
        parts: Split -> rows of the three arrays below; one row may be in validation and test.
        sounds: Number of each row's sound, -1 for none.
        ids: Id of each row.
        labels: Class of each row, or its marks (L,).
    """
    rows, orders = rows_by_split_priority(parts, sounds)
    _, first, kinds = np.unique(sounds[rows], return_index=True, return_inverse=True)
    kept = first[kinds]  # place where each one's sound is met first
    return [
        Duplicate(
            str(ids[rows[place]]), KEEPING_ORDER[orders[place]],
            str(ids[rows[kept[place]]]), KEEPING_ORDER[orders[kept[place]]],
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


def announce_duplicates(duplicates: Sequence[Duplicate], *, are_dropped: bool) -> None:
    """Say in one line how many clips share their sound with another, in the run's results too."""
    if not duplicates:
        return
    leaks = sum(one.is_leak for one in duplicates)
    contradictions = sum(not one.has_same_label for one in duplicates)
    dropped = sum(one.split != "test" for one in duplicates)
    fate = f"{dropped} of train and validation are left out" if are_dropped else (
        "they are kept; --deduplicate leaves those of train and validation out"
    )  # fmt: skip
    text = (
        f"{len(duplicates)} clips sound the same as another ({leaks} in another split,"
        f" {contradictions} with another label): {fate}. See duplicates.csv."
    )
    warn(logger, text, names=[f"first: {duplicates[0].id} = {duplicates[0].same_as}"])


def save_duplicates(path: Path, duplicates: Sequence[Duplicate]) -> None:
    """Write a row a duplicate: id, split, same_as, same_as_split, same_label."""
    with open_replaced(path) as file:
        writer = csv.writer(file)
        writer.writerow(["id", "split", "same_as", "same_as_split", "same_label"])
        for one in duplicates:
            same_label = "yes" if one.has_same_label else "no"
            writer.writerow([one.id, one.split, one.same_as, one.same_as_split, same_label])
