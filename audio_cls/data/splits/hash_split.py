"""The official split of Speech Commands: by a hash of who spoke, so that it never changes.

A file is called `SPEAKER_nohash_NUMBER.wav`. What follows `_nohash_` is left out of the hash, so
that all a speaker says is on one side, also when files are added later: `which_set` of the data
set's own README (Warden 2018, arXiv:1804.03209, section 7).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import DataConfig
from audio_cls.data.splits.train_test_split import Rows

MAX_WAVS = 2**27 - 1  # MAX_NUM_WAVS_PER_CLASS there


def hash_name(name: str) -> float:
    """Return a file's place between 0 and 1 by the SHA-1 of its name up to `_nohash_`.

    >>> hash_name("yes/bobby_nohash_0.wav") == hash_name("no/bobby_nohash_7.wav")
    True
    """
    hashed = re.sub(r"_nohash_.*$", "", PurePosixPath(name).name)
    number = int(hashlib.sha1(hashed.encode(), usedforsecurity=False).hexdigest(), 16)
    return number % (MAX_WAVS + 1) / MAX_WAVS


def split_by_hash(
    rows: Rows, ids: NDArray[np.str_], role: str, cfg: DataConfig
) -> tuple[Rows, Rows]:
    """Cut the clips off whose hash says validation (the lowest share) or test (the next one).

    Args:
        rows: Rows to cut from.
        ids: Id of every row of the pool: a file name.
        role: "validation" or "test".
        cfg: `validation_size` and `test_size`; 0.1 each gives the official split.

    Returns:
        The rows that stay and the rows cut off.
    """
    places = np.array([hash_name(str(name)) for name in ids[rows]])
    low = 0.0 if role == "validation" else cfg.validation_size
    high = low + (cfg.validation_size if role == "validation" else cfg.test_size)
    is_cut = (places >= low) & (places < high)
    return rows[~is_cut], rows[is_cut]
