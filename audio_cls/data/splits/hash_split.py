"""Hash split of Speech Commands: by the SHA-1 of the speaker in the file name.

A file is called `SPEAKER_nohash_NUMBER.wav`; only the part before `_nohash_` is hashed, so that all
clips of a speaker are in one split, also when files are added later. It is `which_set` in the
README of the data set (Warden 2018, arXiv:1804.03209, section 7).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import DataConfig
from audio_cls.data.splits.train_test_split import Rows

MAX_WAVS = 2**27 - 1  # MAX_NUM_WAVS_PER_CLASS in `which_set`


def hash_name(name: str) -> float:
    """Return a number from 0 to 1: the SHA-1 of a file's name up to `_nohash_`.

    >>> hash_name("yes/bobby_nohash_0.wav") == hash_name("no/bobby_nohash_7.wav")
    True
    """
    hashed = re.sub(r"_nohash_.*$", "", PurePosixPath(name).name)
    number = int(hashlib.sha1(hashed.encode(), usedforsecurity=False).hexdigest(), 16)
    return number % (MAX_WAVS + 1) / MAX_WAVS


def split_by_hash(
    rows: Rows, ids: NDArray[np.str_], role: str, cfg: DataConfig
) -> tuple[Rows, Rows]:
    """Split off the clips of validation (the lowest hashes) or test (the next ones).

    Args:
        rows: The rows to split.
        ids: Id of every row of the index: a file name.
        role: "validation" or "test".
        cfg: `validation_size` and `test_size`; 0.1 each gives the official split.

    Returns:
        The other rows, and the rows of `role`.
    """
    hashes = np.array([hash_name(str(name)) for name in ids[rows]])
    low = 0.0 if role == "validation" else cfg.validation_size
    high = low + (cfg.validation_size if role == "validation" else cfg.test_size)
    is_cut = (hashes >= low) & (hashes < high)
    return rows[~is_cut], rows[is_cut]
