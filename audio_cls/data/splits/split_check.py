"""Split check: no two splits of a run share a clip or a group; equal audio is counted.

Training and validation may share groups where lists or folds are given and test shares none: that
is reported, and measured by `audio_cls.evaluation.grouped_estimate`.

The clips that training, validation and test use are checked, after all steps that choose clips:
lists, folds, groups, splitting, keyword settings, limits, unusable clips, removed duplicates.
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
from audio_cls.errors import DatasetError, count_of, list_names

Codes = NDArray[np.int64]

STREAMED = "streamed: its clips and their sound are not known before training"
SHARED_GROUPS = "validation shares groups with training"  # in a verdict
NO_GROUPS = "no --group-column or --group-pattern was given"


def check_splits(
    parts: Mapping[str, Rows],
    index: ClipIndex,
    audio_ids: NDArray[np.int64],
    *,
    is_test_validation: bool,
) -> dict[str, Any]:
    """Count what each pair of splits shares.

    Args:
        parts: Role -> rows of the index that are used, without a streamed training split.
        index: All clips.
        audio_ids: Id of the audio of each row of the index; equal audio has equal ids, -1 unknown.
        is_test_validation: The test clips are the validation clips, as the settings ask.

    Returns:
        The `split_check` part of results.json::

            {"verdict": "disjoint",  # or SHARED_GROUPS, "equal audio in two splits", ...
             "checked": ["ids", "groups", "audio"], "not_checked": {what: reason},
             "num_clips": {role: clips}, "repeated_in_split": {role: clips that occur again},
             "shared": {"train+test": {"ids": 0, "groups": 0, "audio": 0}, ...}}

        `shared` counts distinct clip ids, groups, recordings of silence, and audio ids.

    Raises:
        DatasetError: A clip is in two splits, or twice in one; or a group is in two splits, except
            in training and validation where test shares none (`SHARED_GROUPS` is in the verdict).
    """
    kinds = {"ids": _encode(index.ids), "audio": audio_ids}
    if index.groups is not None:
        kinds["groups"] = _encode(index.groups)
    if index.recordings is not None:
        kinds["recordings"] = _encode(index.recordings)
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
    _refuse_repeated(repeated)
    apart = [name for name in found if not (is_test_validation and name == "validation+test")]
    flatters = _finds_flattering(found)
    kept = kinds.keys() - ({"groups"} if flatters else set())
    refused = {pair: {kind: found[pair][kind] for kind in kept} for pair in apart}
    _refuse_shared(refused, kinds, index)
    remarks = ["test is validation"] if is_test_validation else []
    remarks += [SHARED_GROUPS] if flatters else []
    if any(len(found[name]["audio"]) for name in apart):
        remarks.append("equal audio in two splits")
    return {
        "verdict": ", ".join(remarks) or "disjoint",
        "checked": sorted(kinds),
        "not_checked": {
            **({"train": STREAMED} if index.streamed_split is not None else {}),
            **({"groups": NO_GROUPS} if index.groups is None else {}),
        },
        "num_clips": {role: len(rows) for role, rows in parts.items()},
        "repeated_in_split": repeated,
        "shared": {
            pair: {kind: len(codes) for kind, codes in kinds.items()}
            for pair, kinds in found.items()
        },
    }


def is_split_by_group(check: Mapping[str, Any]) -> bool:
    """Return whether groups are known, and none is in two splits."""
    return "groups" in check["checked"] and SHARED_GROUPS not in check["verdict"]


def _finds_flattering(found: Mapping[str, Mapping[str, Codes]]) -> bool:
    """Return whether validation shares groups with training, and test with neither of them."""
    with_groups = {pair for pair, codes in found.items() if len(codes.get("groups", ()))}
    return with_groups == {"train+validation"}


def _encode(texts: NDArray[np.str_]) -> Codes:
    """Return a number for each text: equal texts have equal numbers, the empty text -1."""
    codes = pa.array(texts).dictionary_encode().indices.to_numpy().astype(np.int64)
    return np.where(texts == "", -1, codes)


def _share(codes: Codes, one: Rows, two: Rows) -> Codes:
    """Return the numbers, except -1, that rows of both splits have."""
    common = np.intersect1d(codes[one], codes[two])
    return np.asarray(common[common >= 0])


def _refuse_repeated(repeated: Mapping[str, int]) -> None:
    """Refuse clips that are more than once in one split."""
    for role, count in repeated.items():
        if count:
            raise DatasetError(
                f"{count_of(count, 'clip is', 'clips are')} more than once in the {role} split."
                " Check --split-files and the data set's tables for clips that are listed twice."
            )


def _refuse_shared(
    found: Mapping[str, Mapping[str, Codes]], kinds: Mapping[str, Codes], index: ClipIndex
) -> None:
    """Refuse clips and groups that two splits share."""
    for pair, codes in found.items():
        places = " and ".join(pair.split("+"))
        for kind, texts in (("ids", index.ids), ("groups", index.groups)):
            shared = codes.get(kind, ())
            if texts is None or len(shared) == 0:
                continue
            rows = [int(np.argmax(kinds[kind] == code)) for code in shared[:10]]
            what = "clip" if kind == "ids" else "group"
            are = count_of(len(shared), f"{what} is", f"{what}s are")
            advice = (
                "Check --split-files, the splits' names and the data set's tables."
                if kind == "ids"
                else "The lists or folds that were given keep no group together: leave"
                " --group-column and --group-pattern out, or leave the lists or folds out, so that"
                " the splits are cut by group."
            )
            raise DatasetError(f"{are} in both {places} ({list_names(texts[rows])}). {advice}")
