"""The proof that the splits of a run share no clip and no group, and a count of equal sounds. Pure.

It looks at the clips that training, validation and test really use, after everything that chooses
clips: lists, folds, groups, cuts, keyword settings, caps, clips set aside, duplicates left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audio_cls.data.splits.clip_index import ClipIndex
from audio_cls.data.splits.train_test_split import Rows
from audio_cls.errors import DatasetError, list_names

Codes = NDArray[np.int64]

STREAMED = "streamed: its clips and their sound are not known before training"
NO_GROUPS = "no --group-column or --group-pattern was given"


def check_splits(
    parts: Mapping[str, Rows],
    pool: ClipIndex,
    sounds: NDArray[np.int64],
    *,
    is_test_validation: bool,
) -> dict[str, Any]:
    """Count what two splits have in common.

    Args:
        parts: Role -> rows of the pool, as they are used; train is missing where it is streamed.
        pool: All clips.
        sounds: Number of the sound of each row of the pool; equal sounds share one, -1 is unknown.
        is_test_validation: The test clips were asked to be the validation clips.

    Returns:
        The `split_check` part of results.json::

            {"verdict": "disjoint",  # or "equal audio in two splits", "test is validation"
             "checked": ["ids", "groups", "audio"], "not_checked": {what: reason},
             "num_clips": {role: clips}, "repeated_in_split": {role: clips that come up again},
             "shared": {"train+test": {"ids": 0, "groups": 0, "audio": 0}, ...}}

        `shared` counts clip ids, groups, recordings of silence, and different sounds.

    Raises:
        DatasetError: A clip or a group is in two splits, or a clip twice in one.
    """
    kinds = {"ids": _encode(pool.ids), "audio": sounds}
    if pool.groups is not None:
        kinds["groups"] = _encode(pool.groups)
    if pool.recordings is not None:
        kinds["recordings"] = _encode(pool.recordings)
    pairs = list(itertools.combinations(parts, 2))
    found = {
        f"{one}+{two}": {
            kind: _share(codes, parts[one], parts[two]) for kind, codes in kinds.items()
        }
        for one, two in pairs
    }
    repeated = {
        role: len(rows) - len(np.unique(kinds["ids"][rows])) for role, rows in parts.items()
    }
    _refuse_twice(parts, pool, repeated)
    apart = [name for name in found if not (is_test_validation and name == "validation+test")]
    _refuse_shared({name: found[name] for name in apart}, kinds, pool)
    remarks = ["test is validation"] if is_test_validation else []
    if any(len(found[name]["audio"]) for name in apart):
        remarks.append("equal audio in two splits")
    return {
        "verdict": ", ".join(remarks) or "disjoint",
        "checked": sorted(kinds),
        "not_checked": {
            **({"train": STREAMED} if pool.streamed_split is not None else {}),
            **({"groups": NO_GROUPS} if pool.groups is None else {}),
        },
        "num_clips": {role: len(rows) for role, rows in parts.items()},
        "repeated_in_split": repeated,
        "shared": {
            name: {kind: len(codes) for kind, codes in own.items()} for name, own in found.items()
        },
    }


def _encode(texts: NDArray[np.str_]) -> Codes:
    """Number texts: equal ones share a number, the empty text is -1."""
    codes = pa.array(texts).dictionary_encode().indices.to_numpy().astype(np.int64)
    return np.where(texts == "", -1, codes)


def _share(codes: Codes, one: Rows, two: Rows) -> Codes:
    """Return the numbers that rows of both splits have; -1 counts for nothing."""
    common = np.intersect1d(codes[one], codes[two])
    return np.asarray(common[common >= 0])


def _refuse_twice(parts: Mapping[str, Rows], pool: ClipIndex, repeated: Mapping[str, int]) -> None:
    """Refuse a clip that is twice in one split."""
    for role, count in repeated.items():
        if count:
            raise DatasetError(
                f"{count} clips are more than once in the {role} split. Check --split-files and the"
                " data set's tables for clips that they list twice."
            )


def _refuse_shared(
    found: Mapping[str, Mapping[str, Codes]], kinds: Mapping[str, Codes], pool: ClipIndex
) -> None:
    """Refuse clips and groups that two splits have."""
    for pair, own in found.items():
        places = " and ".join(pair.split("+"))
        for kind, texts in (("ids", pool.ids), ("groups", pool.groups)):
            shared = own.get(kind, ())
            if texts is None or len(shared) == 0:
                continue
            rows = [int(np.argmax(kinds[kind] == code)) for code in shared[:10]]
            what = "clips" if kind == "ids" else "groups"
            advice = (
                "Check --split-files, the splits' names and the data set's tables."
                if kind == "ids"
                else "The lists or folds that were given keep no group together: leave"
                " --group-column and --group-pattern out, or leave the lists or folds out, so that"
                " the splits are cut by group."
            )
            raise DatasetError(
                f"{len(shared)} {what} are in both {places} ({list_names(texts[rows])}). {advice}"
            )
