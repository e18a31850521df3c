"""Final splits: rows of usable clips, optionally without duplicates, checked to share nothing."""

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
    drop_duplicates,
    find_duplicates,
    warn_of_duplicates,
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
class DecodeResult:
    """Result of decoding for the rows of a clip index; N rows."""

    is_usable: NDArray[np.bool_]  # (N,), decoded and usable
    audio_ids: NDArray[np.int64]  # (N,), equal for equal audio; -1 for silence and no audio
    bad: dict[str, str]  # id of an unusable clip -> reason


@dataclass(frozen=True)
class FinalSplits:
    """The splits of a run."""

    splits: Splits  # before caps and the removal of duplicates
    # Role -> its clips before caps and duplicates; includes unusable ones unless the split was cut.
    num_available: dict[str, int]
    rows: dict[str, Rows]  # role -> rows of the index
    duplicates: list[Duplicate]  # clips whose audio another clip has
    check: dict[str, Any]  # see `check_splits`


def cap_splits(splits: Splits, index: ClipIndex, cfg: DataConfig) -> dict[str, Rows]:
    """Return the rows of each split, limited by --max-train-samples and --max-eval-samples."""
    rows = {
        role: limit_rows(split_rows, index.stratify_targets, cfg.max_eval_samples, cfg.split_seed)
        for role, split_rows in splits.items()
    }
    mix = read_keyword_mix(index.names, cfg)
    return {**rows, "train": cap_training(splits.train, index.stratify_targets, mix, cfg)}


def finalize_splits(
    splits: Splits, rows: dict[str, Rows], index: ClipIndex, result: DecodeResult, cfg: DataConfig
) -> FinalSplits:
    """Leave out unusable clips, and check that no two splits share a clip or a group.

    If a clip is unusable, splits that are cut from train are cut again from the usable clips: every
    class has its share, and the splits are those of the data set without the unusable clips.
    Capped splits are not cut again, because their other clips were not decoded.

    Args:
        splits: Output of `make_splits`.
        rows: The same, capped.
        index: All clips.
        result: Result of decoding `rows`.
        cfg: Settings.

    Raises:
        DatasetError: A split is empty, or see `check_splits`.
    """
    is_whole = all(len(rows[role]) == len(split_rows) for role, split_rows in splits.items())
    available = {role: len(split_rows) for role, split_rows in splits.items()}
    if result.bad and splits.is_cut and is_whole:
        splits = make_splits(restrict_index(index, result.is_usable), cfg)
        rows = dict(splits.items())
        cut = ["train", *(role for role, how in splits.methods.items() if how.endswith(" cut"))]
        available |= {role: len(rows[role]) for role in cut}
    announce_splits(splits)
    usable = {role: split_rows[result.is_usable[split_rows]] for role, split_rows in rows.items()}
    used, duplicates = _handle_duplicates(usable, splits, index, result.audio_ids, cfg)
    is_streamed = index.streamed_split is not None
    left_out = {"train"} if is_streamed else set()
    left_out |= set() if splits.has_validation else {"validation"}
    decoded = {role: split_rows for role, split_rows in used.items() if role not in left_out}
    _check_not_empty(decoded, result.bad)
    if not is_streamed:
        for text in warn_of_classes(used, splits.methods, index):
            warn(logger, text)
    official = [
        role
        for role, split_rows in splits.items()
        if role in splits.official and len(rows[role]) == len(split_rows)
        and len(used[role]) == len(usable[role])
    ]  # fmt: skip
    return FinalSplits(
        dataclasses.replace(splits, official=frozenset(official)),
        available,
        used,
        duplicates,
        check_splits(
            decoded, index, result.audio_ids, is_test_validation=splits.test_is_validation
        ),
    )


def _handle_duplicates(
    rows: dict[str, Rows],
    splits: Splits,
    index: ClipIndex,
    audio_ids: NDArray[np.int64],
    cfg: DataConfig,
) -> tuple[dict[str, Rows], list[Duplicate]]:
    """Find clips of equal audio, warn of them, and leave them out with --deduplicate.

    If test and validation are the same clips, both keep all of them.
    """
    parts = dict(rows)
    if splits.test_is_validation:
        del parts["validation"]
    duplicates = find_duplicates(parts, audio_ids, index.ids, index.stratify_targets)
    warn_of_duplicates(duplicates, are_dropped=cfg.deduplicate)
    kept = drop_duplicates(parts, index.ids, duplicates) if cfg.deduplicate else parts
    return {**rows, **kept}, duplicates


def _check_not_empty(rows: dict[str, Rows], bad: dict[str, str]) -> None:
    """Refuse a split without a usable clip."""
    for name, split_rows in rows.items():
        if len(split_rows) == 0:
            first = list_names(f"{clip} ({reason})" for clip, reason in bad.items())
            raise DatasetError(
                f"No clip of the {name} split can be used (first: {first or 'none'}). Repair the"
                f" files, or choose another split with --{name}-split."
            )
