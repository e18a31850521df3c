"""Train, validation and test as row numbers of one table: given, listed, folded, or cut.

In: how many clips each given split has, their ids, classes, groups and folds. Out: `Splits`, row
numbers into the concatenation of the given splits. The same settings give the same splits on any
machine.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from audio_cls.config import DataConfig
from audio_cls.data.cuts import Rows, cut_rows
from audio_cls.data.dealing import fill_in, hide_silence
from audio_cls.data.found import SPLIT_NAMES
from audio_cls.data.hashing import cut_by_hash
from audio_cls.data.lists import load_lists, match_ids
from audio_cls.data.pool import Pool, join_shared_groups, keep_labelled
from audio_cls.data.strata import list_classes
from audio_cls.data.stream import StreamClips
from audio_cls.data.vocabulary import check_known
from audio_cls.errors import DatasetError, list_names

__all__ = ["ROLES", "Pool", "Splits", "make_splits", "name_splits", "sort_folds"]

ROLES = ("train", "validation", "test")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Splits:
    """Which rows train, choose and report."""

    train: Rows
    validation: Rows
    test: Rows
    names: dict[str, str]  # role -> the given split its clips come from
    origins: dict[str, str]  # role -> "split 'test'" or "cut from 'train' (...)"
    test_is_validation: bool  # the course's recipe: the reported clips also chose the epoch

    def items(self) -> list[tuple[str, Rows]]:
        """Return (name, rows) of the three splits."""
        return [("train", self.train), ("validation", self.validation), ("test", self.test)]


@dataclass(frozen=True)
class _Draft:
    """What is known before missing parts are cut from train."""

    parts: dict[str, Rows]  # role -> rows; train is always there
    names: dict[str, str]
    origins: dict[str, str]


def make_splits(pool: Pool, cfg: DataConfig) -> Splits:
    """Take the three splits as listed, folded or given, and cut the missing ones from train.

    Clips without a usable label are in no split. With groups, given splits that share a group are
    pooled and cut anew, so that no group is heard in training and judged.

    Raises:
        DatasetError: A named split, fold or list does not exist, or too few clips or groups are
            left to cut.
    """
    whole, pool = pool, hide_silence(pool, cfg)
    if pool.stream is not None:
        draft = _take_streamed(pool, pool.stream, cfg)
    elif cfg.split_files is not None:
        draft = _take_listed(pool, cfg)
    elif cfg.fold is not None:
        draft = _take_fold(pool, cfg)
    elif cfg.test_groups or cfg.validation_groups:
        draft = _take_groups(pool, cfg)
    else:
        draft = _take_given(pool, cfg)
    parts, origins = dict(draft.parts), dict(draft.origins)
    names = {role: draft.names.get(role, draft.names["train"]) for role in ROLES}
    share_left = 1.0
    for role, share in (("test", cfg.test_size), ("validation", cfg.validation_size)):
        if role in parts or (role == "test" and cfg.test_split == "validation"):
            continue
        how = "by group" if pool.groups is not None else cfg.split_method
        origins[role] = f"cut from '{names['train']}' ({how}, {share:g}, seed {cfg.split_seed})"
        if how == "hash":
            parts["train"], parts[role] = cut_by_hash(parts["train"], pool.ids, role, cfg)
        else:
            parts["train"], parts[role] = _cut(parts["train"], pool, share / share_left, cfg)
        share_left -= share
    parts, origins = fill_in(parts, origins, whole, cfg)
    is_shared = "test" not in parts or parts["test"] is parts["validation"]
    if is_shared:
        parts["test"], origins["test"] = parts["validation"], "the validation clips again"
        names["test"] = names["validation"]
        logger.warning(
            "Validation and test are the same clips: the test score is the best epoch's."
        )
    _check_parts(parts, whole)
    return Splits(parts["train"], parts["validation"], parts["test"], names, origins, is_shared)


def name_splits(available: list[str], cfg: DataConfig) -> dict[str, str]:
    """Map train, validation and test to given splits; what is missing is to be cut.

    Raises:
        DatasetError: A split that was asked for does not exist.
    """
    wanted = {"train": cfg.train_split, "validation": cfg.validation_split, "test": cfg.test_split}
    names: dict[str, str] = {}
    for role, name in wanted.items():
        if name in available:
            names[role] = str(name)
        elif name is None:
            taken = names.values()
            alias = next((n for n in SPLIT_NAMES[role] if n in available and n not in taken), None)
            if alias is not None:
                names[role] = alias
        elif role == "train" and name == "train" and len(available) == 1:
            names[role] = available[0]  # `full` or `test` is all there is
        elif not (role == "test" and name == "validation"):
            raise DatasetError(
                f"There is no split '{name}': the data set has {list_names(available)}."
                f" Choose one by --{role}-split."
            )
    return names


def _take_given(pool: Pool, cfg: DataConfig) -> _Draft:
    """Take the splits that the data set brings."""
    given = {name: keep_labelled(rows, pool) for name, rows in pool.given.items()}
    names = name_splits(list(given), cfg)
    if pool.groups is not None:
        names, given = join_shared_groups(names, given, pool.groups)
    origins = {role: f"split '{name}'" for role, name in names.items()}
    return _Draft({role: given[name] for role, name in names.items()}, names, origins)


def _take_streamed(pool: Pool, stream: StreamClips, cfg: DataConfig) -> _Draft:
    """Take the splits for evaluation as they are given; training has no rows here."""
    names = name_splits([*pool.given, stream.shards.split], cfg)
    origins = {role: f"split '{name}'" for role, name in names.items()}
    origins["train"] += ", streamed"
    parts = {
        role: keep_labelled(pool.given[name], pool) if role != "train" else np.zeros(0, np.int64)
        for role, name in names.items()
    }
    return _Draft(parts, names, origins)


def _take_listed(pool: Pool, cfg: DataConfig) -> _Draft:
    """Take the clips that lists of ids name; clips in no list are left out."""
    lists = load_lists(str(cfg.split_files), cfg.split_files_sha256)
    rows = match_ids(lists.ids, pool.ids)
    logger.info("--split-files: the ids' sha256 is %s (--split-files-sha256).", lists.sha256)
    unlisted = len(pool.ids) - sum(map(len, rows.values()))
    if unlisted:
        logger.info("--split-files: %d clips are in no list and are left out.", unlisted)
    parts = {role: keep_labelled(own, pool) for role, own in rows.items()}
    origin = f"listed at {lists.place} (sha256 {lists.sha256[:12]})"
    name = "+".join(pool.given)
    return _Draft(parts, dict.fromkeys(parts, name), dict.fromkeys(parts, origin))


def _take_fold(pool: Pool, cfg: DataConfig) -> _Draft:
    """Test on one fold, validate on the next (or a cut), train on the others."""
    assert pool.folds is not None
    folds = pool.folds
    rows = keep_labelled(np.arange(len(folds)), pool)
    known = sort_folds({str(fold) for fold in folds[rows]} - {""})
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
    origins = {role: f"fold {list_names(own)} of {source}" for role, own in chosen.items()}
    return _Draft(parts, dict.fromkeys(parts, "+".join(pool.given)), origins)


def _take_groups(pool: Pool, cfg: DataConfig) -> _Draft:
    """Take the clips of the named groups, out of all given splits; the others are train."""
    assert pool.groups is not None
    is_shared = cfg.test_split == "validation"  # says who is tested, not which split is left out
    named = dataclasses.replace(cfg, test_split=None if is_shared else cfg.test_split)
    given = dict.fromkeys(name_splits(list(pool.given), named).values())
    rows = keep_labelled(np.concatenate([pool.given[name] for name in given]), pool)
    parts = {"train": rows}
    for role, wanted in (("test", cfg.test_groups), ("validation", cfg.validation_groups)):
        check_known(wanted, sorted(set(pool.groups[rows].tolist())), f"--{role}-groups", "group")
        if wanted:
            parts[role] = rows[np.isin(pool.groups[rows], wanted)]
            parts["train"] = np.setdiff1d(parts["train"], parts[role])
    origins = {
        "test": f"group {list_names(cfg.test_groups)} of column '{cfg.group_column}'",
        "validation": f"group {list_names(cfg.validation_groups)} of column '{cfg.group_column}'",
        "train": f"the other groups of column '{cfg.group_column}'",
    }
    label = "+".join(given)
    return _Draft(parts, dict.fromkeys(parts, label), {role: origins[role] for role in parts})


def sort_folds(folds: set[str]) -> list[str]:
    """Order folds by number where all are numbers, else by spelling.

    >>> sort_folds({"10", "9"}), sort_folds({"b", "a"})
    (['9', '10'], ['a', 'b'])
    """
    return sorted(folds, key=int) if all(f.isdecimal() for f in folds) else sorted(folds)


def _cut(rows: Rows, pool: Pool, share: float, cfg: DataConfig) -> tuple[Rows, Rows]:
    """Cut `share` of the rows off, as the settings say."""
    if len(rows) < 2:
        raise DatasetError(
            f"{len(rows)} clips with a usable label are left to cut a split from. Check"
            " --label-column and the split names, or give smaller --validation-size and"
            " --test-size."
        )
    groups = pool.groups[rows] if pool.groups is not None else None
    return cut_rows(
        rows,
        pool.marks[rows],
        groups,
        share=share,
        method="shuffled" if cfg.split_method == "shuffled" else "stratified",
        seed=cfg.split_seed,
    )


def _check_parts(parts: Mapping[str, Rows], pool: Pool) -> None:
    """Refuse an empty split, and warn of classes that are judged but never trained."""
    is_streamed = pool.stream is not None
    heard_here = {role: rows for role, rows in parts.items() if role != "train" or not is_streamed}
    empty = [role for role, rows in heard_here.items() if len(rows) == 0]
    if empty:
        raise DatasetError(
            f"The split for {list_names(empty)} has no clip with a usable label. Check"
            " --label-column and the split names, or give larger --validation-size and --test-size."
        )
    if is_streamed:
        return
    heard = list_classes(pool.marks[parts["train"]])
    judged = set.union(*(list_classes(pool.marks[parts[r]]) for r in ("validation", "test")))
    if judged - heard:
        logger.warning(
            "%d of %d classes have no training clip: they cannot be recognised.",
            len(judged - heard),
            len(judged | heard),
        )
