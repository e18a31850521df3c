"""Whether a list of clips belongs to a data set: some of its clips are compared by their content.

Ids alone do not tell: two data sets may both have a clip `c0.wav`.
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

NUM_SAMPLED = 16  # clips of a list whose content is compared
MAX_BYTES = 2**20  # of each, from the beginning of the encoded file
HASH_BYTES = 6  # an integer that JSON holds exactly


def make_dataset_fingerprint(
    dataset: LoadedDataset, index: ClipIndex, ids: Sequence[str]
) -> list[int]:
    """Return hashes of some of the listed clips, at equal distances in the list.

    Args:
        dataset: The data set.
        index: Its clips.
        ids: The list, all of them ids of the index.

    Returns:
        At most `NUM_SAMPLED` integers of 48 bits, of the id and the encoded content of a clip each.
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
        fingerprint: Of that list, see `make_dataset_fingerprint`.

    Returns:
        True where most of the sampled clips that the data set has by id have the same content: a
        few files may have been replaced or removed since.
    """
    place, table = _place_ids(index), dataset.concatenate_audio()
    pairs = [(n, h) for n, h in zip(_sample(ids), fingerprint, strict=False) if n in place]
    same = [_hash_clip(table, dataset, place[name], name) == own for name, own in pairs]
    return 2 * sum(same) > len(same)


def _sample(ids: Sequence[str]) -> list[str]:
    """Return ids of a list at equal distances."""
    places = np.linspace(0, len(ids) - 1, min(NUM_SAMPLED, len(ids))).astype(int)
    return [str(ids[place]) for place in places]


def _place_ids(index: ClipIndex) -> dict[str, int]:
    """Return the row of each id."""
    return {str(name): row for row, name in enumerate(index.ids)}


def _hash_clip(table: Dataset, dataset: LoadedDataset, row: int, name: str) -> int:
    """Hash a clip's id and the beginning of its encoded content; of a lost file only the id."""
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
