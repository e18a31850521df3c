"""Keyword splits: silence and unknown words are added after the keyword clips are split.

All pieces of a recording of silence are in one split, unless the data set or a list of ids names
the split of each piece.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import DataConfig
from audio_cls.data.keyword_spotting.sampling import (
    DRAW_STREAM,
    KeywordMix,
    read_keyword_mix,
    subsample_non_keywords,
)
from audio_cls.data.labels.labels import UNUSABLE
from audio_cls.data.splits.clip_index import ClipIndex
from audio_cls.data.splits.train_test_split import Rows
from audio_cls.errors import count_of, list_names
from audio_cls.run_warnings import warn

NEEDING_ORDER = ("train", "test", "validation")  # the splits that get one of few recordings first

logger = logging.getLogger(__name__)


def mask_silence_pieces(index: ClipIndex, cfg: DataConfig) -> ClipIndex:
    """Remove the label of silence pieces that are assigned to splits later; not with lists."""
    if index.recordings is None or cfg.split_files is not None:
        return index
    labels = np.where(index.recordings != "", UNUSABLE, index.labels)
    return dataclasses.replace(index, labels=labels)


def add_silence_and_unknown(
    parts: dict[str, Rows], origins: dict[str, str], index: ClipIndex, cfg: DataConfig
) -> tuple[dict[str, Rows], dict[str, str]]:
    """Add silence to the splits without it, and subsample non-keywords in validation and test.

    Splits from lists of ids are not changed.

    Args:
        parts: Role -> rows.
        origins: Role -> description.
        index: All clips.
        cfg: Settings.

    Returns:
        Both, for the new splits.
    """
    mix = read_keyword_mix(index.names, cfg)
    if not mix.shares or cfg.split_files is not None:
        return parts, origins
    if index.recordings is not None:
        seed = cfg.split_seed
        parts = assign_silence_to_splits(parts, index.recordings, index.labels, mix, seed)
    for role in ("validation", "test"):
        if role in parts:
            parts[role] = subsample_non_keywords(parts[role], index.labels, mix, cfg.split_seed)
    prefix = "keywords with unknown words and silence by share, from: "
    return parts, {role: prefix + origin for role, origin in origins.items()}


def assign_silence_to_splits(
    parts: Mapping[str, Rows],
    recordings: NDArray[np.str_],
    labels: NDArray[np.int64],
    mix: KeywordMix,
    seed: int,
) -> dict[str, Rows]:
    """Assign whole recordings of silence to the splits that have no silence.

    The number of pieces of a split follows its number of keyword clips; where there are enough
    recordings, each split gets one at least.

    Args:
        parts: Role -> rows, without the pieces.
        recordings: Recording of each row of the index, (N,); '' for clips that are no pieces.
        labels: Class of every row of the index, (N,).
        mix: The label id of silence, and the labels that are no keywords.
        seed: Chooses the recordings of each split.
    """
    roles = [
        role
        for role in NEEDING_ORDER
        if role in parts and not (labels[parts[role]] == mix.silence).any()
    ]
    names, sizes = np.unique(recordings[recordings != ""], return_counts=True)
    if not roles or len(names) == 0:
        return dict(parts)
    keyword_clips = {role: mix.count_keyword_clips(labels[parts[role]]) for role in roles}
    if len(names) < len(roles):
        text = (
            f"{count_of(len(names), 'recording')} of silence for {count_of(len(roles), 'split')}:"
            f" none for {list_names(roles[len(names) :])}."
        )
        warn(logger, text, names=names)
    roles = roles[: len(names)]
    order = np.random.default_rng((seed, DRAW_STREAM)).permutation(len(names))
    order = order[np.argsort(sizes[order], kind="stable")]
    assigned = {role: [int(order[place])] for place, role in enumerate(reversed(roles))}
    total = sum(keyword_clips[role] for role in roles) or 1
    missing = {
        role: sizes.sum() * keyword_clips[role] / total - sizes[assigned[role]].sum()
        for role in roles
    }
    for number in order[len(roles) :][::-1]:
        role = max(missing, key=lambda one: missing[one])
        assigned[role].append(int(number))
        missing[role] -= sizes[number]
    return {
        role: np.sort(np.append(rows, np.flatnonzero(np.isin(recordings, names[assigned[role]]))))
        if role in assigned
        else rows
        for role, rows in parts.items()
    }
