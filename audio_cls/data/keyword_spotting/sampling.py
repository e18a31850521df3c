"""Keyword sampling: the number of `_unknown_` and `_silence_` clips per split and per epoch.

The shares are clips per keyword clip: the 12-class test set of Speech Commands v0.02 has 408 of
each and 4,074 keyword clips. Validation and test keep one fixed sample; training draws a new one in
each epoch, which depends on seed and epoch only.
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

DRAW_STREAM = 4  # random stream of the sampling, different from that of the clip order


@dataclass(frozen=True)
class KeywordMix:
    """The number of unknown and silence clips per keyword clip."""

    shares: dict[int, float]  # id of a label that is subsampled -> its clips per keyword clip
    others: tuple[int, ...]  # ids of all labels that are no keywords
    silence: int | None  # id of `_silence_`

    def count_keyword_clips(self, labels: NDArray[np.int64]) -> int:
        """Count the keyword clips; clips without a label are not counted."""
        return int(((labels >= 0) & ~np.isin(labels, self.others)).sum())

    def list_candidates(self, labels: NDArray[np.int64]) -> list[tuple[Rows, int]]:
        """Return (positions, number to sample) of the clips of each label that is subsampled."""
        keyword_clips = self.count_keyword_clips(labels)
        candidates = []
        for label, share in sorted(self.shares.items()):
            places = np.flatnonzero(labels == label)
            candidates.append((places, min(len(places), math.ceil(share * keyword_clips))))
        return candidates

    def count_epoch(self, labels: NDArray[np.int64]) -> int:
        """Count the clips of one epoch, given the labels of all training clips."""
        return len(labels) - sum(
            len(places) - count for places, count in self.list_candidates(labels)
        )


def read_keyword_mix(names: Sequence[str], cfg: DataConfig) -> KeywordMix:
    """Return the shares of the labels that are no keywords, as the settings have them."""
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
    """Return rows of validation or test with a fixed sample of the clips that are no keywords.

    Args:
        rows: Rows of the index.
        labels: Class of every row of the index.
        mix: The shares.
        seed: Chooses the sample.
    """
    rng = np.random.default_rng((seed, DRAW_STREAM))
    is_kept = np.ones(len(rows), dtype=bool)
    for places, count in mix.list_candidates(labels[rows]):
        is_kept[places] = False
        is_kept[rng.permutation(places)[:count]] = True
    return rows[is_kept]


def cap_training(rows: Rows, labels: LabelArray, mix: KeywordMix, cfg: DataConfig) -> Rows:
    """Keep at most `--max-train-samples` rows, stratified.

    With keyword settings an epoch uses a sample of the unknown and silence clips. The limit applies
    to the clips of one epoch; where it is exceeded, all epochs use the same clips.

    Args:
        rows: Training rows of the index.
        labels: Class of every row of the index, or its targets.
        mix: The shares.
        cfg: `max_train_samples` and `split_seed`.
    """
    limit, seed = cfg.max_train_samples, cfg.split_seed
    if mix.shares and labels.ndim == 1:
        classes = labels.astype(np.int64)
        if limit is None or mix.count_epoch(classes[rows]) <= limit:
            return rows
        rows = subsample_non_keywords(rows, classes, mix, seed)
    return limit_rows(rows, labels, limit, seed)


@dataclass(frozen=True)
class EpochSubset:
    """The training clips of an epoch, as a function of seed and epoch."""

    always: Rows  # clip numbers that every epoch has
    sampled: tuple[tuple[Rows, int], ...]  # clip numbers to sample from, and how many

    def __len__(self) -> int:
        """Count the clips of an epoch."""
        return len(self.always) + sum(count for _, count in self.sampled)

    def draw(self, seed: int, epoch: int) -> Rows:
        """Return the clip numbers of an epoch, each once, in no particular order."""
        rng = np.random.default_rng((seed, DRAW_STREAM, epoch))
        drawn = [rng.permutation(numbers)[:count] for numbers, count in self.sampled]
        return np.concatenate([self.always, *drawn])


def take_epoch(labels: LabelArray, names: Sequence[str], cfg: DataConfig) -> LabelArray:
    """Return the labels of the clips of one epoch; all epochs have equal class counts.

    Args:
        labels: Class of each training clip, (N,), or targets (N, L).
        names: The classes.
        cfg: `unknown_share`, `silence_from` and `silence_share`.
    """
    subset = make_epoch_subset(labels, names, cfg)
    return labels if subset is None else labels[subset.draw(0, 0)]


def draw_first_epoch(
    labels: LabelArray, names: Sequence[str], cfg: DataConfig, seed: int
) -> Rows | None:
    """Return the training clips of the first epoch of a run; None where an epoch has all.

    Keyword spotting draws other clips without a keyword in each epoch.

    Args:
        labels: Class of each training clip, (N,), or targets (N, L).
        names: The classes.
        cfg: The keyword settings.
        seed: Of the run.
    """
    subset = make_epoch_subset(labels, names, cfg)
    return None if subset is None else subset.draw(seed, 0)


def make_epoch_subset(
    labels: LabelArray, names: Sequence[str], cfg: DataConfig
) -> EpochSubset | None:
    """Return how the clips of an epoch are sampled; None where each epoch has all clips.

    Args:
        labels: Class of each training clip, (N,); multi-label targets (N, L) are never subsampled.
        names: The classes.
        cfg: `unknown_share`, `silence_from` and `silence_share`.
    """
    mix = read_keyword_mix(names, cfg)
    if not mix.shares or labels.ndim > 1:
        return None
    classes = labels.astype(np.int64)
    is_always = ~np.isin(classes, list(mix.shares))
    return EpochSubset(np.flatnonzero(is_always), tuple(mix.list_candidates(classes)))
