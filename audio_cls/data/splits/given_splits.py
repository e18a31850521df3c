"""Given splits: by the data set's splits, lists of clip ids, a fold, or named groups."""

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
from audio_cls.errors import DatasetError, count_of, list_names

NO_VALIDATION = (
    "There are no validation clips (--fold-validation none): the last epoch is kept, and the"
    " temperature stays 1 (multi-label: every threshold stays 0.5). --method probe chooses the"
    " layer by cross-validation of the training clips; --method auto holds some of them out to"
    " choose and to calibrate on."
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GivenSplits:
    """The splits that are given, before missing ones are split off from train."""

    parts: dict[str, Rows]  # role -> rows; always with train
    names: dict[str, str]  # role -> split of the data set
    origins: dict[str, str]  # role -> description, such as "split 'test'"
    method: str  # how the clips were chosen, see `Splits.methods`
    official: frozenset[str] = frozenset()  # roles that the data set or a published list has
    is_test_validation: bool = False  # the test clips are the validation clips
    has_validation: bool = True  # False: none are split off from train either
    remarks: list[str] = field(default_factory=list)  # warnings


def take_given(index: ClipIndex, cfg: DataConfig) -> GivenSplits:
    """Return the splits that the data set, its folds or groups, or lists of ids give.

    Raises:
        DatasetError: A named split, fold, group or list does not exist.
    """
    if index.streamed_split is not None:
        return _take_streamed(index, index.streamed_split, cfg)
    if cfg.split_files is not None:
        return _take_listed(index, cfg)
    if cfg.fold is not None:
        return _take_fold(index, cfg)
    if cfg.test_groups or cfg.validation_groups:
        return _take_groups(index, cfg)
    return _take_named(index, cfg)


def sort_folds(folds: set[str]) -> list[str]:
    """Sort folds by number where all are numbers, else alphabetically.

    >>> sort_folds({"10", "9"}), sort_folds({"b", "a"})
    (['9', '10'], ['a', 'b'])
    """
    return sorted(folds, key=int) if all(f.isdecimal() for f in folds) else sorted(folds)


def _take_named(index: ClipIndex, cfg: DataConfig) -> GivenSplits:
    """Return the splits of the data set; those without usable labels are left out."""
    rows = {name: drop_unlabelled(part, index) for name, part in index.split_rows.items()}
    names = resolve_roles(list(rows), cfg)
    is_again = is_test_validation(names, cfg)
    remarks = []
    for role in ("validation", "test"):
        name = names.get(role)
        if name is None or len(rows[name]) > 0:
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
    if index.groups is not None:
        names, rows = merge_splits_sharing_groups(names, rows, index.groups)
    return GivenSplits(
        parts={role: rows[name] for role, name in names.items()},
        names=names,
        origins={role: f"split '{name}'" for role, name in names.items()},
        method="given split",
        official=frozenset(role for role, name in names.items() if name in index.split_rows),
        is_test_validation=is_again,
        remarks=remarks,
    )


def _take_streamed(index: ClipIndex, streamed: str, cfg: DataConfig) -> GivenSplits:
    """Return the splits for evaluation; the streamed training split has no rows."""
    names = resolve_roles([*index.split_rows, streamed], cfg)
    origins = {role: f"split '{name}'" for role, name in names.items()}
    origins["train"] += ", streamed"
    rows = {**index.split_rows, streamed: np.zeros(0, np.int64)}
    parts = {role: drop_unlabelled(rows[name], index) for role, name in names.items()}
    is_again = is_test_validation(names, cfg)
    return GivenSplits(parts, names, origins, "given split", frozenset(names), is_again)


def _take_listed(index: ClipIndex, cfg: DataConfig) -> GivenSplits:
    """Return the clips in lists of ids; clips in no list are left out."""
    location = str(cfg.split_files)
    lists = load_split_files(location, cfg.split_files_sha256)
    rows = match_ids(lists.ids, index.ids)
    logger.info("--split-files: the ids' sha256 is %s (--split-files-sha256).", lists.sha256)
    unlisted = len(index.ids) - sum(map(len, rows.values()))
    if unlisted:
        number = count_of(unlisted, "clip")
        logger.info("--split-files: %s not in any list: left out.", number)
    parts = {role: drop_unlabelled(part, index) for role, part in rows.items()}
    origin = f"listed at {lists.location} (sha256 {lists.sha256[:12]})"
    is_published = location in PUBLISHED_SPLITS or is_address(location)
    whole = [role for role, part in rows.items() if len(part) == len(lists.ids[role])]
    return GivenSplits(
        parts=parts,
        names=dict.fromkeys(parts, "+".join(index.split_rows)),
        origins=dict.fromkeys(parts, origin),
        method="id list",
        official=frozenset(whole if is_published else ()),
        is_test_validation=is_test_validation(parts, cfg),
    )


def _take_fold(index: ClipIndex, cfg: DataConfig) -> GivenSplits:
    """Return one fold for test, the next one for validation, and the others for training.

    With `--fold-validation cut`, validation is split off from train later; with `none` there are no
    validation clips.
    """
    assert index.folds is not None
    folds = index.folds
    rows = drop_unlabelled(np.arange(len(folds)), index)
    known = sort_folds({str(fold) for fold in folds} - {""})  # also without a usable clip
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
                f"Of {count_of(len(known), 'fold')}, one for test and one for validation leave"
                " none for"
                " training. Use --fold-validation cut, which takes validation from the training"
                " folds, or none."
            )
        held["validation"] = known[(known.index(test) + 1) % len(known)]
    train = [fold for fold in known if fold not in held.values()]
    chosen = {"train": train, **{role: [fold] for role, fold in held.items()}}
    parts = {role: rows[np.isin(folds[rows], names)] for role, names in chosen.items()}
    assigned = f"{cfg.folds}, assigned with seed {cfg.split_seed}"
    source = f"column '{cfg.fold_column}'" if cfg.fold_column is not None else assigned
    kind = "stratified folds" if index.groups is None else "grouped folds"
    without = int((folds[rows] == "").sum())
    has_validation = cfg.fold_validation != "none"
    remarks = [f"Left out: {count_of(without, 'clip')} without a fold."] if without else []
    if cfg.fold_column is None and len(index.split_rows) > 1:
        remarks.append(_warn_of_new_folds(index, cfg))
    return GivenSplits(
        parts=parts,
        names=dict.fromkeys(parts, "+".join(index.split_rows)),
        origins={role: f"fold {list_names(names)} of {source}" for role, names in chosen.items()},
        method=kind if cfg.fold_column is None else "fold column",
        official=frozenset(() if cfg.fold_column is None else parts),
        has_validation=has_validation,
        remarks=remarks if has_validation else [*remarks, NO_VALIDATION],
    )


def _warn_of_new_folds(index: ClipIndex, cfg: DataConfig) -> str:
    """Return that folds replace the splits of the data set, and what this can mix."""
    text = (
        f"--folds {cfg.folds} does not use the splits of the data set"
        f" ({list_names(index.split_rows)}): all their clips are assigned to new folds."
        " Leave --folds out to use the splits."
    )
    if index.groups is not None:
        return text
    return (
        f"{text} Clips of one speaker or recording can be in training and in test, although the"
        " splits may keep them apart: --group-column or --group-pattern keeps them in one fold."
    )


def _take_groups(index: ClipIndex, cfg: DataConfig) -> GivenSplits:
    """Return the clips of the named groups, of all splits; the other clips are train."""
    assert index.groups is not None
    is_again = cfg.test_split == "validation"  # then it names no split of the data set
    named = dataclasses.replace(cfg, test_split=None if is_again else cfg.test_split)
    splits = dict.fromkeys(resolve_roles(list(index.split_rows), named).values())
    rows = drop_unlabelled(np.concatenate([index.split_rows[name] for name in splits]), index)
    parts = {"train": rows}
    for role, wanted in (("test", cfg.test_groups), ("validation", cfg.validation_groups)):
        check_known(wanted, sorted(set(index.groups[rows].tolist())), f"--{role}-groups", "group")
        if wanted:
            parts[role] = rows[np.isin(index.groups[rows], wanted)]
            parts["train"] = np.setdiff1d(parts["train"], parts[role])
    source = f"column '{cfg.group_column}'" if cfg.group_column else "the clips' names"
    origins = {
        "test": f"group {list_names(cfg.test_groups)} of {source}",
        "validation": f"group {list_names(cfg.validation_groups)} of {source}",
        "train": f"the other groups of {source}",
    }
    return GivenSplits(
        parts=parts,
        names=dict.fromkeys(parts, "+".join(splits)),
        origins={role: origins[role] for role in parts},
        method="named groups",
        is_test_validation=is_again and "test" not in parts,
    )
