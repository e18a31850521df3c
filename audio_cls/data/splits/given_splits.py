"""Splits as they are given: by split names, lists of clip ids, a fold, or named groups. Pure."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass, field

import numpy as np

from audio_cls.config import DataConfig
from audio_cls.data.labels.filter import check_known
from audio_cls.data.sources.split_names import is_test_validation, resolve_roles
from audio_cls.data.splits.clip_index import ClipIndex, drop_unlabelled, merge_splits_sharing_groups
from audio_cls.data.splits.split_files import (
    PUBLISHED_SPLITS,
    is_address,
    load_split_files,
    match_ids,
)
from audio_cls.data.splits.train_test_split import Rows
from audio_cls.errors import DatasetError, list_names

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GivenSplits:
    """What is known before missing splits are cut from train."""

    parts: dict[str, Rows]  # role -> rows; train is always there
    names: dict[str, str]  # role -> split of the data set
    origins: dict[str, str]  # role -> for people: "split 'test'"
    method: str  # how these clips were chosen, see `Splits.methods`
    official: frozenset[str] = frozenset()  # roles that the data set or a published list supplies
    is_test_validation: bool = False  # the test clips are to be the validation clips
    remarks: list[str] = field(default_factory=list)  # warnings for the run


def take_given(pool: ClipIndex, cfg: DataConfig) -> GivenSplits:
    """Take the splits that the data set, its folds, its groups or lists of ids give.

    Raises:
        DatasetError: A named split, fold, group or list does not exist.
    """
    if pool.streamed_split is not None:
        return _take_streamed(pool, pool.streamed_split, cfg)
    if cfg.split_files is not None:
        return _take_listed(pool, cfg)
    if cfg.fold is not None:
        return _take_fold(pool, cfg)
    if cfg.test_groups or cfg.validation_groups:
        return _take_groups(pool, cfg)
    return _take_named(pool, cfg)


def sort_folds(folds: set[str]) -> list[str]:
    """Order folds by number where all are numbers, else by spelling.

    >>> sort_folds({"10", "9"}), sort_folds({"b", "a"})
    (['9', '10'], ['a', 'b'])
    """
    return sorted(folds, key=int) if all(f.isdecimal() for f in folds) else sorted(folds)


def _take_named(pool: ClipIndex, cfg: DataConfig) -> GivenSplits:
    """Take the splits of the data set, as they are."""
    given = {name: drop_unlabelled(rows, pool) for name, rows in pool.split_rows.items()}
    names = resolve_roles(list(given), cfg)
    is_again = is_test_validation(names, cfg)
    remarks = []
    for role in ("validation", "test"):
        name = names.get(role)
        if name is None or len(given[name]) > 0:
            continue
        if getattr(cfg, f"{role}_split") is not None:
            raise DatasetError(
                f"The split '{name}' has no clip with a usable label, so that it cannot be used for"
                f" {role}. Leave --{role}-split out: then a part of train is used."
            )
        del names[role]
        remarks.append(
            f"The split '{name}' has no clip with a usable label and is left out: the {role} clips"
            " are cut from the training split instead."
        )
    if pool.groups is not None:
        names, given = merge_splits_sharing_groups(names, given, pool.groups)
    return GivenSplits(
        parts={role: given[name] for role, name in names.items()},
        names=names,
        origins={role: f"split '{name}'" for role, name in names.items()},
        method="given split",
        official=frozenset(role for role, name in names.items() if name in pool.split_rows),
        is_test_validation=is_again,
        remarks=remarks,
    )


def _take_streamed(pool: ClipIndex, streamed: str, cfg: DataConfig) -> GivenSplits:
    """Take the splits for evaluation as they are given; training has no rows here."""
    names = resolve_roles([*pool.split_rows, streamed], cfg)
    origins = {role: f"split '{name}'" for role, name in names.items()}
    origins["train"] += ", streamed"
    rows = {**pool.split_rows, streamed: np.zeros(0, np.int64)}
    parts = {role: drop_unlabelled(rows[name], pool) for role, name in names.items()}
    is_again = is_test_validation(names, cfg)
    return GivenSplits(parts, names, origins, "given split", frozenset(names), is_again)


def _take_listed(pool: ClipIndex, cfg: DataConfig) -> GivenSplits:
    """Take the clips that lists of ids name; clips in no list are left out."""
    place = str(cfg.split_files)
    lists = load_split_files(place, cfg.split_files_sha256)
    rows = match_ids(lists.ids, pool.ids)
    logger.info("--split-files: the ids' sha256 is %s (--split-files-sha256).", lists.sha256)
    unlisted = len(pool.ids) - sum(map(len, rows.values()))
    if unlisted:
        logger.info("--split-files: %d clips are in no list and are left out.", unlisted)
    parts = {role: drop_unlabelled(own, pool) for role, own in rows.items()}
    origin = f"listed at {lists.place} (sha256 {lists.sha256[:12]})"
    is_published = place in PUBLISHED_SPLITS or is_address(place)
    whole = [role for role, own in rows.items() if len(own) == len(lists.ids[role])]
    return GivenSplits(
        parts=parts,
        names=dict.fromkeys(parts, "+".join(pool.split_rows)),
        origins=dict.fromkeys(parts, origin),
        method="id list",
        official=frozenset(whole if is_published else ()),
        is_test_validation=is_test_validation(parts, cfg),
    )


def _take_fold(pool: ClipIndex, cfg: DataConfig) -> GivenSplits:
    """Test on one fold, validate on the next (or a cut), train on the others."""
    assert pool.folds is not None
    folds = pool.folds
    rows = drop_unlabelled(np.arange(len(folds)), pool)
    known = sort_folds({str(fold) for fold in folds} - {""})  # whether or not a clip can be used
    names = known if cfg.folds is None else [str(number + 1) for number in range(cfg.folds)]
    if cfg.fold not in names:
        raise DatasetError(
            f"There is no fold '{cfg.fold}': the folds are {list_names(names)}."
            " Choose one by --fold."
        )
    test = known[names.index(cfg.fold)]
    held = {"test": test}
    if cfg.fold_validation == "next":
        if len(known) < 3:
            raise DatasetError(
                f"Of {len(known)} folds, one for test and one for validation leave none to train."
                " Give --fold-validation cut."
            )
        held["validation"] = known[(known.index(test) + 1) % len(known)]
    train = [fold for fold in known if fold not in held.values()]
    chosen = {"train": train, **{role: [fold] for role, fold in held.items()}}
    parts = {role: rows[np.isin(folds[rows], own)] for role, own in chosen.items()}
    dealt = f"{cfg.folds}, dealt by seed {cfg.split_seed}"
    source = f"column '{cfg.fold_column}'" if cfg.fold_column is not None else dealt
    kind = "stratified folds" if pool.groups is None else "grouped folds"
    without = int((folds[rows] == "").sum())
    return GivenSplits(
        parts=parts,
        names=dict.fromkeys(parts, "+".join(pool.split_rows)),
        origins={role: f"fold {list_names(own)} of {source}" for role, own in chosen.items()},
        method=kind if cfg.fold_column is None else "fold column",
        official=frozenset(() if cfg.fold_column is None else parts),
        remarks=[f"{without} clips have no fold and are left out."] if without else [],
    )


def _take_groups(pool: ClipIndex, cfg: DataConfig) -> GivenSplits:
    """Take the clips of the named groups, out of all given splits; the others are train."""
    assert pool.groups is not None
    is_again = cfg.test_split == "validation"  # says who is tested, not which split is left out
    named = dataclasses.replace(cfg, test_split=None if is_again else cfg.test_split)
    given = dict.fromkeys(resolve_roles(list(pool.split_rows), named).values())
    rows = drop_unlabelled(np.concatenate([pool.split_rows[name] for name in given]), pool)
    parts = {"train": rows}
    for role, wanted in (("test", cfg.test_groups), ("validation", cfg.validation_groups)):
        check_known(wanted, sorted(set(pool.groups[rows].tolist())), f"--{role}-groups", "group")
        if wanted:
            parts[role] = rows[np.isin(pool.groups[rows], wanted)]
            parts["train"] = np.setdiff1d(parts["train"], parts[role])
    source = f"column '{cfg.group_column}'" if cfg.group_column else "the clips' names"
    origins = {
        "test": f"group {list_names(cfg.test_groups)} of {source}",
        "validation": f"group {list_names(cfg.validation_groups)} of {source}",
        "train": f"the other groups of {source}",
    }
    return GivenSplits(
        parts=parts,
        names=dict.fromkeys(parts, "+".join(given)),
        origins={role: origins[role] for role in parts},
        method="named groups",
        is_test_validation=is_again and "test" not in parts,
    )
