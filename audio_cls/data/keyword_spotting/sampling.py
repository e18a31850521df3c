"""How many `_unknown_` and `_silence_` clips a split and an epoch have. Pure.

Speech Commands' 12-class test set has one clip of each for every ten keyword clips (408 and 408
beside 4,074 in v0.02), so shares are counted per keyword clip. Validation and test keep one fixed
sample; training draws another in every epoch, as a function of seed and epoch alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import DataConfig
from audio_cls.data.keyword_spotting.relabel import SILENCE, UNKNOWN
from audio_cls.data.splits.iterative_stratification import LabelArray
from audio_cls.data.splits.train_test_split import Rows, limit_rows

DRAW_STREAM = 4  # keeps the draw's random numbers apart from the order's


@dataclass(frozen=True)
class KeywordMix:
    """What a keyword spotter hears that is no keyword."""

    shares: dict[int, float]  # label id -> its clips per keyword clip
    others: tuple[int, ...]  # ids of all labels that are no keywords
    silence: int | None  # id of `_silence_`

    def count_keyword_clips(self, labels: NDArray[np.int64]) -> int:
        """Count the clips of keywords; a clip without a label is none."""
        return int(((labels >= 0) & ~np.isin(labels, self.others)).sum())

    def list_candidates(self, labels: NDArray[np.int64]) -> list[tuple[Rows, int]]:
        """Return the places of each thinned label's clips, and how many of them to take."""
        words = self.count_keyword_clips(labels)
        pools = []
        for label, share in sorted(self.shares.items()):
            places = np.flatnonzero(labels == label)
            pools.append((places, min(len(places), math.ceil(share * words))))
        return pools

    def count_epoch(self, labels: NDArray[np.int64]) -> int:
        """Count the clips that an epoch of training uses, of clips with these labels."""
        return len(labels) - sum(
            len(places) - count for places, count in self.list_candidates(labels)
        )


def read_keyword_mix(names: Sequence[str], cfg: DataConfig) -> KeywordMix:
    """Find the labels that are no keywords, and how many of their clips the settings ask for."""
    shares = {}
    if cfg.unknown_share is not None and UNKNOWN in names:
        shares[names.index(UNKNOWN)] = cfg.unknown_share
    if cfg.silence_from is not None and SILENCE in names:
        shares[names.index(SILENCE)] = cfg.silence_share
    others = tuple(number for number, name in enumerate(names) if name in (UNKNOWN, SILENCE))
    return KeywordMix(shares, others, names.index(SILENCE) if SILENCE in names else None)


def subsample_non_keywords(
    rows: Rows, labels: NDArray[np.int64], mix: KeywordMix, seed: int
) -> Rows:
    """Return rows of validation or test with a fixed sample of what is no keyword.

    Args:
        rows: Rows of the pool.
        labels: Class of every row of the pool.
        mix: How many to keep.
        seed: Chooses which.
    """
    rng = np.random.default_rng((seed, DRAW_STREAM))
    is_kept = np.ones(len(rows), dtype=bool)
    for places, count in mix.list_candidates(labels[rows]):
        is_kept[places] = False
        is_kept[rng.permutation(places)[:count]] = True
    return rows[is_kept]


def cap_training(rows: Rows, pool_labels: LabelArray, mix: KeywordMix, cfg: DataConfig) -> Rows:
    """Keep at most `--max-train-samples` rows, every class in the share that an epoch has of it.

    With keyword settings an epoch uses a part of the unknown words and of the silence. It is the
    clips of one epoch that are counted and capped: then every epoch uses the same clips.

    Args:
        rows: Training rows of the pool.
        pool_labels: Class of every row of the pool, or its marks.
        mix: Which classes an epoch has a part of.
        cfg: `max_train_samples` and `split_seed`.
    """
    limit, seed = cfg.max_train_samples, cfg.split_seed
    if mix.shares and pool_labels.ndim == 1:
        classes = pool_labels.astype(np.int64)
        if limit is None or mix.count_epoch(classes[rows]) <= limit:
            return rows
        rows = subsample_non_keywords(rows, classes, mix, seed)
    return limit_rows(rows, pool_labels, limit, seed)


@dataclass(frozen=True)
class EpochSubset:
    """Which training clips an epoch has, as a function of seed and epoch."""

    always: Rows  # numbers of the clips that every epoch has
    pools: tuple[tuple[Rows, int], ...]  # numbers to draw from, and how many

    def __len__(self) -> int:
        """Count the clips of an epoch."""
        return len(self.always) + sum(count for _, count in self.pools)

    def draw(self, seed: int, epoch: int) -> Rows:
        """Return the numbers of an epoch's clips, each once, in no order worth keeping."""
        rng = np.random.default_rng((seed, DRAW_STREAM, epoch))
        drawn = [rng.permutation(numbers)[:count] for numbers, count in self.pools]
        return np.concatenate([self.always, *drawn])


def take_epoch(labels: LabelArray, names: Sequence[str], cfg: DataConfig) -> LabelArray:
    """Return the labels of the clips that one epoch uses: every epoch has as many of each class.

    Args:
        labels: Class of each training clip, (N,), or marks (N, L).
        names: The classes.
        cfg: `unknown_share`, `silence_from` and `silence_share`.
    """
    plan = make_epoch_subset(labels, names, cfg)
    return labels if plan is None else labels[plan.draw(0, 0)]


def make_epoch_subset(
    labels: LabelArray, names: Sequence[str], cfg: DataConfig
) -> EpochSubset | None:
    """Return how the clips of an epoch are drawn; None when each has all of them.

    Args:
        labels: Class of each training clip, (N,); marks (N, L) have no class to thin.
        names: The classes.
        cfg: `unknown_share`, `silence_from` and `silence_share`.
    """
    mix = read_keyword_mix(names, cfg)
    if not mix.shares or labels.ndim > 1:
        return None
    classes = labels.astype(np.int64)
    is_always = ~np.isin(classes, list(mix.shares))
    return EpochSubset(np.flatnonzero(is_always), tuple(mix.list_candidates(classes)))
