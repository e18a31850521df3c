"""Split warnings: sentences on doubtful splits for the log, results.json and the card.

The sentences are published: they may have counts and names of splits, columns and classes, but not
of clips or groups.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import DataConfig
from audio_cls.data.sources.split_names import SPLIT_NAMES
from audio_cls.data.splits.clip_index import ClipIndex
from audio_cls.data.splits.given_splits import GivenSplits
from audio_cls.data.splits.iterative_stratification import count_classes, list_classes
from audio_cls.data.splits.train_test_split import Rows
from audio_cls.errors import count_of, list_names

FEW_GROUPS = 5  # a test split with fewer groups gives a warning


def list_split_warnings(
    parts: Mapping[str, Rows], methods: Mapping[str, str], draft: GivenSplits, index: ClipIndex
) -> list[str]:
    """List the warnings about these splits.

    Args:
        parts: Role -> rows of the index.
        methods: Role -> how its clips were chosen.
        draft: The given splits.
        index: All clips.
    """
    remarks = [*draft.remarks, *_remark_names(methods, index)]
    if draft.is_test_validation:
        remarks.append(
            "Validation and test are the same clips, as --test-split validation asks:"
            " --method fine-tune and auto choose the model on the test clips, so that the test"
            " result is inflated; --method probe chooses the layer inside training."
        )
    if index.streamed_split is not None:
        return remarks
    return remarks + _remark_groups(parts, methods, index)


def warn_of_sizes(methods: Mapping[str, str], draft: GivenSplits, cfg: DataConfig) -> list[str]:
    """List the settings of splitting that have no effect, as the data set has these splits."""
    default = DataConfig()
    sizes = {"test": cfg.test_size != default.test_size}
    sizes["validation"] = cfg.validation_size != default.validation_size
    remarks = [
        f"--{role}-size has no effect: the {role} clips are {_describe_method(methods[role])}."
        for role, is_set in sizes.items()
        if is_set and not methods[role].endswith(" cut") and not draft.is_test_validation
    ]
    is_any_cut = any(method.endswith(" cut") for method in methods.values())
    if cfg.split_method != default.split_method and not is_any_cut:
        remarks.append(
            f"--split-method {cfg.split_method} has no effect: no split is cut, all are given."
        )
    return remarks


def _describe_method(method: str) -> str:
    """Return how clips were chosen, as the end of a sentence on them."""
    return "a split of the data set" if method == "given split" else f"chosen by {method}"


def _remark_names(methods: Mapping[str, str], index: ClipIndex) -> list[str]:
    """Warn where the only split of the data set is its test or validation split."""
    is_only = len(index.split_rows) == 1 and index.streamed_split is None
    only = next(iter(index.split_rows)) if is_only else None
    role = next((r for r in ("test", "validation") if only in SPLIT_NAMES[r]), None)
    if role is None or methods["test"] in ("id list", "fold column", "named groups"):
        return []
    return [
        f"The data set has one split, '{only}', and its clips are used for training, validation"
        f" and test. The test result is of a part of '{only}': it cannot be compared with results"
        f" on the whole of '{only}'."
    ]


def _remark_groups(
    parts: Mapping[str, Rows], methods: Mapping[str, str], index: ClipIndex
) -> list[str]:
    """Warn where the test split is a grouped one with few groups."""
    if index.groups is None or methods["test"] != "grouped cut":
        return []
    tested = _count_groups(index.groups[parts["test"]])
    every = _count_groups(index.groups[np.concatenate(list(parts.values()))])
    if tested >= FEW_GROUPS:
        return []
    return [
        f"The test split has clips of {tested} of {count_of(every, 'group')}: the result depends"
        " on which"
        f" ones they are. --folds {min(every, 5)} tests every group once, a larger --test-size"
        " tests more groups."
    ]


def _count_groups(groups: NDArray[np.str_]) -> int:
    """Count the different groups; clips without one (''), such as silence, are no group."""
    return len(np.unique(groups[groups != ""]))


def warn_of_classes(
    parts: Mapping[str, Rows], methods: Mapping[str, str], index: ClipIndex
) -> list[str]:
    """Warn of classes without a training clip, and of classes with a single clip.

    Args:
        parts: Role -> rows of the index that are used.
        methods: Role -> how its clips were chosen.
        index: All clips.
    """
    remarks = []
    trained = list_classes(index.stratify_targets[parts["train"]])
    scored = set.union(
        *(list_classes(index.stratify_targets[parts[r]]) for r in ("validation", "test"))
    )
    every = scored | trained | set(range(len(index.names)))
    of = f"of {count_of(len(every), 'class')}"
    if every - trained:
        remarks.append(
            f"{count_of(len(every - trained), f'{of} has', f'{of} have')} no usable training clip"
            f" and cannot be recognised{_name_classes(every - trained, index)}. Add training"
            " clips; --min-clips-per-label and --drop-labels leave classes out."
        )
    if not any(method.endswith(" cut") for method in methods.values()):
        return remarks
    rows = np.unique(np.concatenate(list(parts.values())))
    single = (
        set(np.flatnonzero(count_classes(index.stratify_targets[rows]) == 1).tolist()) & trained
    )
    if single:
        remarks.append(
            f"{count_of(len(single), f'{of} has', f'{of} have')} one clip only, which is used for"
            f" training and not tested{_name_classes(single, index)}. --min-clips-per-label 2"
            " leaves such classes out."
        )
    return remarks


def _name_classes(classes: set[int], index: ClipIndex) -> str:
    """Return the names of the classes in brackets, where they are known."""
    names = list_names(
        index.names[number] for number in sorted(classes) if number < len(index.names)
    )
    return f" ({names})" if names else ""
