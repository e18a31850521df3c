"""The clips that training, validation and test use, once it is known which clips can be used.

In: the splits as they were made before decoding. Out: those of usable clips, without duplicates
where that was asked for, and the proof that they have nothing in common (split_check.py).
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import DataConfig
from audio_cls.data.duplicates.exact import (
    Duplicate,
    announce_duplicates,
    drop_duplicates,
    find_duplicates,
)
from audio_cls.data.keyword_spotting.sampling import cap_training, read_keyword_mix
from audio_cls.data.splits.clip_index import ClipIndex, restrict_index
from audio_cls.data.splits.split_check import check_splits
from audio_cls.data.splits.split_warnings import warn_of_classes
from audio_cls.data.splits.splits import Splits, announce_splits, make_splits
from audio_cls.data.splits.train_test_split import Rows, limit_rows
from audio_cls.errors import DatasetError, list_names
from audio_cls.run_warnings import warn

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DecodedPool:
    """What decoding found out about a pool of N clips."""

    is_good: NDArray[np.bool_]  # (N,), decoded and usable
    sounds: NDArray[np.int64]  # (N,), equal sounds share a number; -1 for silence and no sound
    faults: dict[str, str]  # clip id -> why it cannot be used


@dataclass(frozen=True)
class FinalSplits:
    """The splits of a run."""

    splits: Splits  # before caps and duplicates
    num_available: dict[
        str, int
    ]  # role -> its clips; of splits that are not cut all, usable or not
    rows: dict[str, Rows]  # role -> rows of the pool that are used
    duplicates: list[Duplicate]  # clips whose sound another clip has
    check: dict[str, Any]  # see `check_splits`


def cap_splits(splits: Splits, pool: ClipIndex, cfg: DataConfig) -> dict[str, Rows]:
    """Return the rows of each split, as many as --max-train-samples and --max-eval-samples say."""
    rows = {
        role: limit_rows(own, pool.stratify_targets, cfg.max_eval_samples, cfg.split_seed)
        for role, own in splits.items()
    }
    mix = read_keyword_mix(pool.names, cfg)
    return {**rows, "train": cap_training(splits.train, pool.stratify_targets, mix, cfg)}


def settle_splits(
    splits: Splits, rows: dict[str, Rows], pool: ClipIndex, found: DecodedPool, cfg: DataConfig
) -> FinalSplits:
    """Leave out what cannot be used, and check that no two splits share a clip or a group.

    Where a clip cannot be used, splits that are cut from train are cut again, from the clips that
    can: every class has its share, and the splits are those of a data set without the bad clips.
    Only capped splits are not cut again, because their other clips were not decoded.

    Args:
        splits: As `make_splits` makes them.
        rows: The same, capped.
        pool: All clips.
        found: What decoding `rows` found out.
        cfg: Settings.

    Raises:
        DatasetError: A split is left empty, or see `check_splits`.
    """
    is_whole = all(len(rows[role]) == len(own) for role, own in splits.items())
    available = {role: len(own) for role, own in splits.items()}
    if found.faults and splits.is_cut and is_whole:
        splits = make_splits(restrict_index(pool, found.is_good), cfg)
        rows = dict(splits.items())
        cut = ["train", *(role for role, how in splits.methods.items() if how.endswith(" cut"))]
        available |= {role: len(rows[role]) for role in cut}
    announce_splits(splits)
    usable = {role: own[found.is_good[own]] for role, own in rows.items()}
    used, duplicates = _find_repeats(usable, splits, pool, found.sounds, cfg)
    is_streamed = pool.streamed_split is not None
    here = {role: own for role, own in used.items() if role != "train" or not is_streamed}
    _check_not_empty(here, found.faults)
    if not is_streamed:
        for text in warn_of_classes(used, splits.methods, pool):
            warn(logger, text)
    is_again = splits.test_is_validation
    official = [
        role
        for role, own in splits.items()
        if role in splits.official and len(rows[role]) == len(own)
        and len(used[role]) == len(usable[role])
    ]  # fmt: skip
    return FinalSplits(
        dataclasses.replace(splits, official=frozenset(official)),
        available,
        used,
        duplicates,
        check_splits(here, pool, found.sounds, is_test_validation=is_again),
    )


def _find_repeats(
    rows: dict[str, Rows],
    splits: Splits,
    pool: ClipIndex,
    sounds: NDArray[np.int64],
    cfg: DataConfig,
) -> tuple[dict[str, Rows], list[Duplicate]]:
    """Look for clips that sound the same, say so, and leave them out if that was asked for.

    Where test and validation are the same clips, both keep them all.
    """
    parts = dict(rows)
    if splits.test_is_validation:
        del parts["validation"]
    duplicates = find_duplicates(parts, sounds, pool.ids, pool.stratify_targets)
    announce_duplicates(duplicates, are_dropped=cfg.deduplicate)
    left = drop_duplicates(parts, pool.ids, duplicates) if cfg.deduplicate else parts
    return {**rows, **left}, duplicates


def _check_not_empty(rows: dict[str, Rows], faults: dict[str, str]) -> None:
    """Refuse a split that lost all its clips."""
    for name, own in rows.items():
        if len(own) == 0:
            first = list_names(f"{clip} ({reason})" for clip, reason in faults.items())
            raise DatasetError(
                f"No clip of the {name} split can be used. Repair them, or choose another split;"
                f" set aside were {first or 'none'}."
            )
