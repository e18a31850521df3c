"""Iterative stratification of clips with several labels each (multi-label).

Sechidis, Tsoumakas and Vlahavas 2011 (On the stratification of multi-label data, ECML PKDD, LNCS
6913, 145-158, algorithm 1), with two additions: clips without a label are balanced as if that were
a label, and the clips of a group stay together, as one unit with the sum of their labels.
Symbols: N clips, L labels, U units, P parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LabelArray = NDArray[np.int64] | NDArray[np.float32]  # label ids (N,), or 0/1 targets (N, L)


def count_classes(labels: LabelArray) -> NDArray[np.int64]:
    """Count the clips of each class, from label ids (N,) or targets (N, L).

    >>> count_classes(np.array([0, 2, 2])).tolist(), count_classes(np.eye(2)).tolist()
    ([1, 0, 2], [1, 1])
    """
    if labels.ndim == 1:
        return np.bincount(labels.astype(np.int64))
    return np.asarray(np.count_nonzero(labels, axis=0), dtype=np.int64)


def list_classes(labels: LabelArray) -> set[int]:
    """Return the classes that have clips."""
    return set(np.flatnonzero(count_classes(labels)).tolist())


def stratify_multilabel(
    targets: LabelArray,
    shares: Sequence[float],
    groups: NDArray[np.str_] | None,
    seed: int,
) -> NDArray[np.int64]:
    """Assign clips to parts: the rarest label first, each clip to the part that lacks it most.

    Args:
        targets: 1 where a clip has the label, (N, L).
        shares: Share of the clips of each part, (P,); the sum is 1.
        groups: Group of each clip (N,); a group is in one part. Without groups the parts have
            exactly their shares, to the nearest clip.
        seed: Equal seeds give equal parts.

    Returns:
        Part of each clip, (N,).
    """
    rng = np.random.default_rng(seed)
    unit_of, counts, sizes = _make_units(np.not_equal(targets, 0), groups)
    bounds = np.round(np.cumsum([0, *shares]) * sizes.sum())
    missing = np.diff(bounds)  # clips that each part still needs, (P,)
    wanted = np.outer(missing / sizes.sum(), counts.sum(axis=0))  # of each label, (P, L + 1)
    left, part_of = counts.sum(axis=0), np.full(len(counts), -1)
    while (left > 0).any():
        label = int(np.argmin(np.where(left > 0, left, np.inf)))
        units = rng.permutation(np.flatnonzero((part_of < 0) & (counts[:, label] > 0)))
        for unit in units[np.argsort(-counts[units, label], kind="stable")]:
            part = _choose_part(wanted[:, label], missing, rng)
            part_of[unit] = part
            wanted[part] -= counts[unit]
            missing[part] -= sizes[unit]
            left = left - counts[unit]
    return np.asarray(part_of[unit_of])


def _make_units(
    targets: NDArray[np.bool_], groups: NDArray[np.str_] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the unit of each clip (N,), each unit's clips by label (U, L + 1), and its size (U,).

    The last column counts clips without a label.
    """
    whole = np.column_stack([targets, ~targets.any(axis=1)]).astype(np.int64)
    if groups is None:
        return np.arange(len(whole)), whole, np.ones(len(whole), dtype=np.int64)
    names, unit_of = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), whole.shape[1]), dtype=np.int64)
    np.add.at(counts, unit_of, whole)
    return unit_of, counts, np.bincount(unit_of)


def _choose_part(
    wanted: NDArray[np.float64], missing: NDArray[np.float64], rng: np.random.Generator
) -> int:
    """Return the part that lacks the label most, then the one that lacks most clips, then any."""
    is_open = missing > 0 if (missing > 0).any() else np.ones(len(missing), dtype=np.bool_)
    for need in (wanted, missing):
        most = need[is_open].max()
        is_open &= need >= most - 1e-9
    choices = np.flatnonzero(is_open)
    return int(choices[0] if len(choices) == 1 else rng.choice(choices))
