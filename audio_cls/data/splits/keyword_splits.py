"""Silence and unknown words join the splits, after the keywords are split. Pure.

Pieces of one recording are never on two sides: a recording goes whole to one split, unless the data
set itself or a list of ids says where its pieces belong.
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
from audio_cls.errors import list_names
from audio_cls.run_warnings import warn

NEEDING_ORDER = ("train", "test", "validation")  # who gets a recording when there are few

logger = logging.getLogger(__name__)


def mask_silence_pieces(pool: ClipIndex, cfg: DataConfig) -> ClipIndex:
    """Take the label from pieces of silence that are still to be dealt; lists say where they go."""
    if pool.recordings is None or cfg.split_files is not None:
        return pool
    labels = np.where(pool.recordings != "", UNUSABLE, pool.labels)
    return dataclasses.replace(pool, labels=labels)


def add_silence_and_unknown(
    parts: dict[str, Rows], origins: dict[str, str], pool: ClipIndex, cfg: DataConfig
) -> tuple[dict[str, Rows], dict[str, str]]:
    """Deal silence to the splits that lack it, and thin what is no keyword in validation and test.

    Listed splits stay as they are.
    """
    fillers = read_keyword_mix(pool.names, cfg)
    if not fillers.shares or cfg.split_files is not None:
        return parts, origins
    if pool.recordings is not None:
        seed = cfg.split_seed
        parts = assign_silence_to_splits(parts, pool.recordings, pool.labels, fillers, seed)
    for role in ("validation", "test"):
        if role in parts:
            parts[role] = subsample_non_keywords(parts[role], pool.labels, fillers, cfg.split_seed)
    told = "keywords with unknown words and silence by share, of "
    return parts, {role: told + origin for role, origin in origins.items()}


def assign_silence_to_splits(
    parts: Mapping[str, Rows],
    recordings: NDArray[np.str_],
    labels: NDArray[np.int64],
    fillers: KeywordMix,
    seed: int,
) -> dict[str, Rows]:
    """Deal pieces of silence to the splits that have none, a recording whole to one split.

    Each split gets pieces by its keyword clips, and at least one recording where there are enough.

    Args:
        parts: Role -> rows, without the pieces.
        recordings: What each row of the pool was cut from, (N,); empty for other clips.
        labels: Class of every row of the pool, (N,).
        fillers: Which label is silence.
        seed: Chooses which recording goes where.
    """
    roles = [
        role
        for role in NEEDING_ORDER
        if role in parts and not (labels[parts[role]] == fillers.silence).any()
    ]
    names, sizes = np.unique(recordings[recordings != ""], return_counts=True)
    if not roles or len(names) == 0:
        return dict(parts)
    words = {role: fillers.count_words(labels[parts[role]]) for role in roles}
    if len(names) < len(roles):
        text = (
            f"There are {len(names)} recordings of silence for {len(roles)} splits:"
            f" {list_names(roles[len(names) :])} gets none."
        )
        warn(logger, text, names=names)
    roles = roles[: len(names)]
    order = np.random.default_rng((seed, DRAW_STREAM)).permutation(len(names))
    order = order[np.argsort(sizes[order], kind="stable")]
    dealt = {role: [int(order[place])] for place, role in enumerate(reversed(roles))}
    total = sum(words[role] for role in roles) or 1
    lacks = {role: sizes.sum() * words[role] / total - sizes[dealt[role]].sum() for role in roles}
    for number in order[len(roles) :][::-1]:
        role = max(lacks, key=lambda one: lacks[one])
        dealt[role].append(int(number))
        lacks[role] -= sizes[number]
    return {
        role: np.sort(np.append(rows, np.flatnonzero(np.isin(recordings, names[dealt[role]]))))
        if role in dealt
        else rows
        for role, rows in parts.items()
    }
