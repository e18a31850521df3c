"""Splits: train, validation and test as rows of the clip index.

They are given (by the data set, lists, folds or groups), or split off from train. Equal settings
give equal splits on any machine.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from audio_cls.config import DataConfig
from audio_cls.data.sources.split_names import ROLES
from audio_cls.data.splits.clip_index import ClipIndex
from audio_cls.data.splits.given_splits import GivenSplits, take_given
from audio_cls.data.splits.hash_split import split_by_hash
from audio_cls.data.splits.keyword_splits import add_silence_and_unknown, mask_silence_pieces
from audio_cls.data.splits.split_warnings import list_split_warnings, warn_of_sizes
from audio_cls.data.splits.train_test_split import Rows, separate_ungrouped, split_rows
from audio_cls.errors import DatasetError, SettingError, count_of, list_names
from audio_cls.run_warnings import warn

NO_CLIPS = "none"  # method and origin of a validation split without clips

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Splits:
    """The rows of train, validation and test, and how they were chosen."""

    train: Rows
    validation: Rows  # empty with `--fold-validation none` only
    test: Rows
    names: dict[str, str]  # role -> split of the data set that its clips are from
    origins: dict[str, str]  # role -> description: "split 'test'" or "cut from 'train' (...)"
    test_is_validation: bool  # the test clips are the validation clips, as the settings ask
    # Role -> how its clips were chosen: given split, rest of a given split, id list, fold column,
    # stratified folds, grouped folds, named groups, stratified cut, shuffled cut, hash cut, or
    # grouped cut; "none" for validation with `--fold-validation none`.
    methods: dict[str, str]
    official: frozenset[str]  # roles with exactly the clips of a split or a published list
    remarks: tuple[str, ...]  # warnings, see `announce_splits`

    def items(self) -> list[tuple[str, Rows]]:
        """Return (role, rows) of the three splits."""
        return [("train", self.train), ("validation", self.validation), ("test", self.test)]

    @property
    def has_validation(self) -> bool:
        """Return whether there are validation clips."""
        return self.methods["validation"] != NO_CLIPS

    @property
    def is_cut(self) -> bool:
        """Return whether a split was split off from train."""
        return any(method.endswith(" cut") for method in self.methods.values())


def make_splits(index: ClipIndex, cfg: DataConfig) -> Splits:
    """Return the given splits, and split the missing ones off from train.

    Clips without a usable label are in no split. With groups, splits of the data set that share a
    group are merged and split again, so that no group is in two splits.

    Raises:
        DatasetError: A named split, fold or list does not exist, or there are too few clips or
            groups to split.
        SettingError: The shares of validation and test leave nothing to train on.
    """
    whole, index = index, mask_silence_pieces(index, cfg)  # silence is added after splitting
    draft = take_given(index, cfg)
    parts, origins = dict(draft.parts), dict(draft.origins)
    methods = dict.fromkeys(parts, draft.method)
    names = {role: draft.names.get(role, draft.names["train"]) for role in ROLES}
    sizes = _list_sizes(draft, cfg)
    share_left = 1.0
    for role, share in sizes.items():
        how = "by group" if index.groups is not None else cfg.split_method
        seed = "" if how == "hash" else f", seed {cfg.split_seed}"  # a hash needs no seed
        origins[role] = f"cut from '{names['train']}' ({how}, {share:g}{seed})"
        methods[role] = f"{'grouped' if index.groups is not None else how} cut"
        if how == "hash":
            parts["train"], parts[role] = split_by_hash(parts["train"], index.ids, role, cfg)
        else:
            parts["train"], parts[role] = _split_off(parts["train"], index, share / share_left, cfg)
        share_left -= share
    if sizes and draft.method == "given split":
        origins["train"] = f"the rest of {origins['train']}"
        methods["train"] = "rest of a given split"
    parts, origins = add_silence_and_unknown(parts, origins, whole, cfg)
    if not draft.has_validation:
        parts["validation"] = np.zeros(0, np.int64)
        origins["validation"] = methods["validation"] = NO_CLIPS
    official = _list_official(draft, parts, cfg)
    if draft.is_test_validation:
        parts["test"], origins["test"] = parts["validation"], "the validation clips again"
        names["test"], methods["test"] = names["validation"], methods["validation"]
        official |= {"test"} if "validation" in official else set()
    _check_parts(parts, methods, whole)
    remarks = list_split_warnings(parts, methods, draft, whole) + warn_of_sizes(methods, draft, cfg)
    return Splits(
        **{role: parts[role] for role in ROLES},
        names=names,
        origins=origins,
        test_is_validation=draft.is_test_validation,
        methods=methods,
        official=official,
        remarks=tuple(remarks),
    )


def announce_splits(splits: Splits) -> None:
    """Give the warnings about these splits."""
    for text in splits.remarks:
        warn(logger, text)


def _list_sizes(draft: GivenSplits, cfg: DataConfig) -> dict[str, float]:
    """Return role -> its share of train, for the missing roles, in the order of splitting.

    Raises:
        SettingError: The shares add up to 1 or more.
    """
    sizes = {"test": cfg.test_size, "validation": cfg.validation_size}
    if draft.is_test_validation:
        del sizes["test"]
    if not draft.has_validation:
        del sizes["validation"]
    sizes = {role: share for role, share in sizes.items() if role not in draft.parts}
    if sum(sizes.values()) > 1 - 1e-9:
        raise SettingError(
            f"--test-size {cfg.test_size:g} and --validation-size {cfg.validation_size:g} leave"
            " nothing to train on: together they must be less than 1. Give smaller shares, for"
            " example 0.1 each."
        )
    return sizes


def _list_official(draft: GivenSplits, parts: dict[str, Rows], cfg: DataConfig) -> frozenset[str]:
    """Return the roles that have exactly the clips of a split or a published list.

    There is none where the settings leave classes out.
    """
    if cfg.keep_labels or cfg.drop_labels or (cfg.min_clips_per_label and not cfg.merge_rare_into):
        return frozenset()
    return frozenset(r for r in draft.official if np.array_equal(parts[r], draft.parts[r]))


def _split_off(rows: Rows, index: ClipIndex, share: float, cfg: DataConfig) -> tuple[Rows, Rows]:
    """Split `share` of the rows off, by the method of the settings."""
    if len(rows) < 2:
        raise DatasetError(
            f"{count_of(len(rows), 'clip')} with a usable label: too few to cut a split from. Check"
            " --label-column and the split names, or give smaller --validation-size and"
            " --test-size."
        )
    groups = separate_ungrouped(index.groups[rows]) if index.groups is not None else None
    return split_rows(
        rows,
        index.stratify_targets[rows],
        groups,
        share=share,
        method="shuffled" if cfg.split_method == "shuffled" else "stratified",
        seed=cfg.split_seed,
    )


def _check_parts(parts: dict[str, Rows], methods: dict[str, str], index: ClipIndex) -> None:
    """Refuse empty splits, except those that are to have no clips."""
    is_streamed = index.streamed_split is not None
    here = {role: rows for role, rows in parts.items() if role != "train" or not is_streamed}
    empty = [r for r, rows in here.items() if len(rows) == 0 and methods[r] != NO_CLIPS]
    if empty:
        raise DatasetError(
            f"The split for {list_names(empty)} has no clip with a usable label. Check"
            " --label-column and the split names, or give larger --validation-size and --test-size."
        )
