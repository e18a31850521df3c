"""Clips with several labels each -> heaps in which every label has its share. Pure.

Iterative stratification after Sechidis, Tsoumakas and Vlahavas 2011 (On the stratification of
multi-label data, ECML PKDD, LNCS 6913, 145-158, algorithm 1), with two additions: clips without any
label are balanced as if that were a label, and clips of one group stay together and count as one
unit with the sum of their labels. Letters: N clips, L labels, U units, H heaps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Marks = NDArray[np.int64] | NDArray[np.float32]  # label ids (N,), or 1 where a clip has one, (N, L)


def count_classes(marks: Marks) -> NDArray[np.int64]:
    """Count the clips of each class, from label ids (N,) or marks (N, L).

    >>> count_classes(np.array([0, 2, 2])).tolist(), count_classes(np.eye(2)).tolist()
    ([1, 0, 2], [1, 1])
    """
    if marks.ndim == 1:
        return np.bincount(marks.astype(np.int64))
    return np.asarray(np.count_nonzero(marks, axis=0), dtype=np.int64)


def list_classes(marks: Marks) -> set[int]:
    """Return the classes that have clips."""
    return set(np.flatnonzero(count_classes(marks)).tolist())


def stratify_multilabel(
    marks: Marks,
    shares: Sequence[float],
    groups: NDArray[np.str_] | None,
    seed: int,
) -> NDArray[np.int64]:
    """Deal clips into heaps: the rarest label first, each clip to where its label is most wanted.

    Args:
        marks: 1 where a clip has the label, (N, L).
        shares: Of all clips that each heap is to get; they sum to 1.
        groups: Group of each clip (N,); a group is dealt as one. Without groups the heaps have
            exactly their shares, to the nearest clip.
        seed: Equal seeds give equal heaps.

    Returns:
        Heap of each clip, (N,).
    """
    rng = np.random.default_rng(seed)
    unit_of, counts, sizes = _make_units(np.not_equal(marks, 0), groups)
    bounds = np.round(np.cumsum([0, *shares]) * sizes.sum())
    room = np.diff(bounds)  # clips that each heap still takes, (H,)
    wanted = np.outer(room / sizes.sum(), counts.sum(axis=0))  # of each label, (H, L + 1)
    left, heap_of = counts.sum(axis=0), np.full(len(counts), -1)
    while (left > 0).any():
        label = int(np.argmin(np.where(left > 0, left, np.inf)))
        units = rng.permutation(np.flatnonzero((heap_of < 0) & (counts[:, label] > 0)))
        for unit in units[np.argsort(-counts[units, label], kind="stable")]:
            heap = _choose_heap(wanted[:, label], room, rng)
            heap_of[unit] = heap
            wanted[heap] -= counts[unit]
            room[heap] -= sizes[unit]
            left = left - counts[unit]
    return np.asarray(heap_of[unit_of])


def _make_units(
    marks: NDArray[np.bool_], groups: NDArray[np.str_] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the unit of each clip (N,), each unit's clips by label (U, L + 1), and its size (U,).

    The last column counts clips without a label.
    """
    whole = np.column_stack([marks, ~marks.any(axis=1)]).astype(np.int64)
    if groups is None:
        return np.arange(len(whole)), whole, np.ones(len(whole), dtype=np.int64)
    names, unit_of = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), whole.shape[1]), dtype=np.int64)
    np.add.at(counts, unit_of, whole)
    return unit_of, counts, np.bincount(unit_of)


def _choose_heap(
    wanted: NDArray[np.float64], room: NDArray[np.float64], rng: np.random.Generator
) -> int:
    """Return the heap that wants the label most, then the one with most room, then any of them."""
    is_open = room > 0 if (room > 0).any() else np.ones(len(room), dtype=np.bool_)
    for need in (wanted, room):
        most = need[is_open].max()
        is_open &= need >= most - 1e-9
    choices = np.flatnonzero(is_open)
    return int(choices[0] if len(choices) == 1 else rng.choice(choices))
