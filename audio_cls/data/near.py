"""Near duplicates among the clips of the splits: one recording, encoded or cut in two ways.

They are told, not dropped: two clips of one drone or one jingle may be alike and still both belong.
"""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from audio_cls.data.audio import Wave
from audio_cls.data.clips import Clips
from audio_cls.data.cuts import Rows
from audio_cls.data.leaks import KEEPING_ORDER
from audio_cls.data.prints import BANDS, Pairs, Print, compare_waves, find_alike

VERSION = 2  # raise it when another way of comparing finds other pairs
PAIRS_PER_PROCESS = 4096  # of waves to be compared: fewer are not worth a process

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NearPair:
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


def find_near_pairs(parts: Mapping[str, Rows], every: Clips) -> list[NearPair]:
    """List the near duplicates among clips that are not exact ones.

    Args:
        parts: Split -> rows of the decoded table; one row may be in validation and test.
        every: All of that table.
    """
    split_of: dict[int, str] = {}
    hashes = every.table["hash"][:]
    seen = set()
    for split in KEEPING_ORDER:
        for row in parts.get(split, ()):
            if hashes[row] and hashes[row] not in seen:
                seen.add(hashes[row])
                split_of[int(row)] = split
    rows = sorted(split_of)
    pairs = _find_once(rows, every)
    return [
        NearPair(
            str(every.ids[rows[one]]), split_of[rows[one]],
            str(every.ids[rows[two]]), split_of[rows[two]], round(likeness, 4),
        )
        for one, two, likeness in pairs
    ]  # fmt: skip


def _find_once(rows: list[int], every: Clips) -> list[tuple[int, int, float]]:
    """Compare the clips, or read what was found where that was done before. Writes a cache."""
    key = f"{every.table._fingerprint}/{rows}/{VERSION}"
    name = f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
    cache = Path(datasets.config.HF_DATASETS_CACHE) / "audio_cls" / "near" / name
    if cache.is_file():
        return [(one, two, likeness) for one, two, likeness in json.loads(cache.read_text())]
    texts = every.table.select_columns(["print"]).select(rows)["print"][:] if rows else []
    prints = [read_print(text) for text in texts]
    pairs = find_alike(prints, lambda places: _compare_rows(np.array(rows)[places], every))
    cache.parent.mkdir(parents=True, exist_ok=True)
    part = cache.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(pairs))
    part.replace(cache)
    return pairs


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

    return compare_waves(read_wave, every.sampling_rate, pairs)


def read_print(text: bytes) -> Print:
    """Return the picture that bytes hold, (F, BANDS)."""
    return np.frombuffer(text, np.uint8).reshape(-1, BANDS)


def announce_near_pairs(pairs: Sequence[NearPair]) -> None:
    """Say in one line how many pairs there are, those across splits first."""
    if not pairs:
        return
    first = min(pairs, key=lambda pair: not pair.is_leak)
    logger.warning(
        "%d pairs of clips sound nearly the same (%d across splits; first: %s in %s, %s in %s): one"
        " recording encoded or cut in two ways? See near_duplicates.csv.",
        *(len(pairs), sum(pair.is_leak for pair in pairs)),
        *(first.id, first.split, first.like, first.like_split),
    )


def save_near_pairs(path: Path, pairs: Sequence[NearPair]) -> None:
    """Write a row a pair: id, split, like, like_split, likeness."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "split", "like", "like_split", "likeness"])
        writer.writerows(
            [pair.id, pair.split, pair.like, pair.like_split, pair.likeness] for pair in pairs
        )
