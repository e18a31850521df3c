"""Dataset fingerprint: hashes of some listed clips, to check that a list belongs to a data set.

The ids are not enough, as two data sets may both have a clip `c0.wav`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from datasets import Dataset

from audio_cls.audio.segments import split_segment
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.splits.clip_index import ClipIndex

NUM_SAMPLED = 16  # clips of a list that are hashed
MAX_BYTES = 2**20  # of each encoded file, from its beginning
HASH_BYTES = 6  # an integer that JSON holds exactly


def make_dataset_fingerprint(
    dataset: LoadedDataset, index: ClipIndex, ids: Sequence[str]
) -> list[int]:
    """Return hashes of evenly spaced clips of a list.

    Args:
        dataset: The data set.
        index: Its clips.
        ids: The list; all ids are in the index.

    Returns:
        At most `NUM_SAMPLED` integers of 48 bits, each of the id and the encoded file of a clip.
    """
    place, table = _place_ids(index), dataset.concatenate_audio()
    return [_hash_clip(table, dataset, place[name], name) for name in _sample(ids)]


def has_clips(
    dataset: LoadedDataset, index: ClipIndex, ids: Sequence[str], fingerprint: Sequence[int]
) -> bool:
    """Return whether listed clips are clips of this data set.

    Args:
        dataset: The data set.
        index: Its clips.
        ids: The list.
        fingerprint: Fingerprint of the list, see `make_dataset_fingerprint`.

    Returns:
        True where most of the sampled clips that are in the data set by id have the same content: a
        few files may have been replaced or removed.
    """
    place, table = _place_ids(index), dataset.concatenate_audio()
    pairs = [(n, h) for n, h in zip(_sample(ids), fingerprint, strict=False) if n in place]
    same = [_hash_clip(table, dataset, place[name], name) == known for name, known in pairs]
    return 2 * sum(same) > len(same)


def _sample(ids: Sequence[str]) -> list[str]:
    """Return evenly spaced ids of a list."""
    places = np.linspace(0, len(ids) - 1, min(NUM_SAMPLED, len(ids))).astype(int)
    return [str(ids[place]) for place in places]


def _place_ids(index: ClipIndex) -> dict[str, int]:
    """Return the row of each id."""
    return {str(name): row for row, name in enumerate(index.ids)}


def _hash_clip(table: Dataset, dataset: LoadedDataset, row: int, name: str) -> int:
    """Return the hash of the id and the beginning of the file of a clip; of the id without one."""
    clip = table[row][dataset.audio_column] or {}
    content, path = clip.get("bytes"), clip.get("path")
    if content is None and path:
        try:
            with Path(split_segment(path)[0]).open("rb") as file:
                content = file.read(MAX_BYTES)
        except OSError:
            content = None
    digest = hashlib.sha256(name.encode() + b"\0" + (content or b"")[:MAX_BYTES]).digest()
    return int.from_bytes(digest[:HASH_BYTES], "big")
