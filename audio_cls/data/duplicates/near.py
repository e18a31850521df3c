"""Near duplicates among the clips of the splits: one recording, encoded or cut in two ways.

They are told, not dropped: two clips of one drone or one jingle may be alike and still both belong.
"""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy  # type: ignore[import-untyped]
import sklearn
from datasets import Dataset
from numpy.typing import NDArray

from audio_cls.audio.fingerprint import BANDS, Fingerprint
from audio_cls.audio.waveform import Wave
from audio_cls.data.clips.clips import Clips, hash_audio
from audio_cls.data.duplicates.exact import KEEPING_ORDER, rows_by_split_priority
from audio_cls.data.duplicates.similarity import Pairs, find_near_duplicates, waveform_correlation
from audio_cls.data.splits.train_test_split import Rows
from audio_cls.run_warnings import warn
from audio_cls.storage.arrow import MappedRows
from audio_cls.storage.cache import cache_json, read_cached_json
from audio_cls.storage.files import open_replaced
from audio_cls.storage.keys import make_key

VERSION = 2  # raise it when another way of comparing finds other pairs
LIBRARIES = [np.__version__, scipy.__version__, sklearn.__version__]  # that compare
PAIRS_PER_PROCESS = 4096  # of waves to be compared: fewer are not worth a process

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NearDuplicate:
    """Two clips that sound nearly the same, though not sample for sample."""

    id: str
    split: str
    like: str  # id of the other
    like_split: str
    likeness: float  # correlation of the waves

    @property
    def is_leak(self) -> bool:
        """Tell whether the two are in different splits."""
        return self.split != self.like_split


def find_near_pairs(
    parts: Mapping[str, Rows], every: Clips, sounds: NDArray[np.int64]
) -> list[NearDuplicate]:
    """List the near duplicates among clips that are not exact ones.

    Args:
        parts: Split -> rows of the decoded table; one row may be in validation and test.
        every: All of that table.
        sounds: Number of the sound of each of its rows, -1 for none.
    """
    rows, orders = rows_by_split_priority(parts, sounds)
    _, first = np.unique(sounds[rows], return_index=True)
    first = first[np.argsort(rows[first])]
    rows, orders = rows[first], orders[first]
    pairs = _find_once(rows, every)
    return [
        NearDuplicate(
            str(every.ids[rows[one]]), KEEPING_ORDER[orders[one]],
            str(every.ids[rows[two]]), KEEPING_ORDER[orders[two]], round(likeness, 4),
        )
        for one, two, likeness in pairs
    ]  # fmt: skip


def _find_once(rows: Rows, every: Clips) -> list[tuple[int, int, float]]:
    """Compare the clips, or read what was found where that was done before. Writes a cache."""
    key = make_key(version=VERSION, libraries=LIBRARIES, sound=hash_audio(every, rows))
    found = read_cached_json("near", key)
    if found is not None:
        return [(one, two, likeness) for one, two, likeness in found]
    prints = _Prints(MappedRows(every.table, "fingerprint"), rows)
    pairs = find_near_duplicates(prints, lambda places: _compare_rows(rows[places], every))
    cache_json("near", key, pairs)
    return pairs


class _Prints(Sequence[Fingerprint]):
    """The pictures of some rows of the decoded table, each read when it is looked at."""

    def __init__(self, texts: MappedRows, rows: Rows) -> None:
        self.texts, self.rows = texts, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: Any) -> Any:  # noqa: ANN401 (a picture, but for a slice)
        if isinstance(place, slice):
            return _Prints(self.texts, self.rows[place])
        text = self.texts[int(self.rows[place])]
        self.texts.pages.note(text.nbytes)
        return read_print(text)


def _compare_rows(pairs: Pairs, every: Clips) -> NDArray[np.float64]:
    """Compare the waves of each two rows, on all cores where they are many."""
    num_processes = min(os.cpu_count() or 1, len(pairs) // PAIRS_PER_PROCESS)
    if num_processes <= 1:
        return _compare_batch(pairs, every)
    found = Dataset.from_dict({"pair": pairs}).map(
        lambda some: {"likeness": _compare_batch(np.array(some), every)},
        batched=True,
        input_columns="pair",
        remove_columns="pair",
        num_proc=num_processes,
        keep_in_memory=True,
        new_fingerprint="likeness",  # what would be hashed is large, and nothing is kept
        desc="Comparing",
    )
    return np.array(found["likeness"])


def _compare_batch(pairs: Pairs, every: Clips) -> NDArray[np.float64]:
    """Compare the waves of each two rows."""

    def read_wave(row: int) -> Wave:
        return every.read_wave(row, 0, int(every.lengths[row]))

    return waveform_correlation(read_wave, every.sampling_rate, pairs)


def read_print(text: bytes | NDArray[np.uint8]) -> Fingerprint:
    """Return the picture that bytes hold, (F, BANDS)."""
    return np.frombuffer(text, np.uint8).reshape(-1, BANDS)


def announce_near_pairs(pairs: Sequence[NearDuplicate]) -> None:
    """Say in one line how many pairs there are, those across splits first."""
    if not pairs:
        return
    first = min(pairs, key=lambda pair: not pair.is_leak)
    text = (
        f"{len(pairs)} pairs of clips sound nearly the same ({sum(p.is_leak for p in pairs)} across"
        " splits): one recording encoded or cut in two ways? See near_duplicates.csv."
    )
    warn(logger, text, [f"first: {first.id} in {first.split}, {first.like} in {first.like_split}"])


def save_near_pairs(path: Path, pairs: Sequence[NearDuplicate]) -> None:
    """Write a row a pair: id, split, like, like_split, likeness."""
    with open_replaced(path) as file:
        writer = csv.writer(file)
        writer.writerow(["id", "split", "like", "like_split", "likeness"])
        writer.writerows(
            [pair.id, pair.split, pair.like, pair.like_split, pair.likeness] for pair in pairs
        )
