"""Near duplicates among the clips of the splits: one recording, encoded or cut in two ways.

They are told, not dropped: two clips of one drone or one jingle may be alike and still both belong.
"""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from audio_cls.config import Hertz
from audio_cls.data.audio import Wave
from audio_cls.data.cuts import Rows
from audio_cls.data.leaks import KEEPING_ORDER
from audio_cls.data.prints import BANDS, Print, find_alike

VERSION = 2  # raise it when another way of comparing finds other pairs

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


def find_near_pairs(
    parts: Mapping[str, Rows],
    decoded: Dataset,
    ids: NDArray[np.str_],
    read_wave: Callable[[int], Wave],
    sampling_rate: Hertz,
) -> list[NearPair]:
    """List the near duplicates among clips that are not exact ones.

    Args:
        parts: Split -> rows of `decoded`; one row may be in validation and test.
        decoded: Table of `decode_clips`.
        ids: Id of each row of it.
        read_wave: Gives the wave of a row.
        sampling_rate: Of the waves, in Hz.
    """
    split_of: dict[int, str] = {}
    hashes = decoded["hash"][:]
    seen = set()
    for split in KEEPING_ORDER:
        for row in parts.get(split, ()):
            if hashes[row] and hashes[row] not in seen:
                seen.add(hashes[row])
                split_of[int(row)] = split
    rows = sorted(split_of)
    pairs = _find_once(rows, decoded, read_wave, sampling_rate)
    return [
        NearPair(
            str(ids[rows[one]]), split_of[rows[one]],
            str(ids[rows[two]]), split_of[rows[two]], round(likeness, 4),
        )
        for one, two, likeness in pairs
    ]  # fmt: skip


def _find_once(
    rows: list[int], decoded: Dataset, read_wave: Callable[[int], Wave], sampling_rate: Hertz
) -> list[tuple[int, int, float]]:
    """Compare the clips, or read what was found where that was done before. Writes a cache."""
    key = f"{decoded._fingerprint}/{rows}/{VERSION}"
    name = f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
    cache = Path(datasets.config.HF_DATASETS_CACHE) / "audio_cls" / "near" / name
    if cache.is_file():
        return [(one, two, likeness) for one, two, likeness in json.loads(cache.read_text())]
    texts = decoded.select_columns(["print"]).select(rows)["print"][:] if rows else []
    prints = [read_print(text) for text in texts]
    pairs = find_alike(prints, lambda place: read_wave(rows[place]), sampling_rate)
    cache.parent.mkdir(parents=True, exist_ok=True)
    part = cache.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(pairs))
    part.replace(cache)
    return pairs


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
