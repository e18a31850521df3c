"""Train, validation and test as row numbers of one table: given, or cut stratified or by group.

In: how many clips each given split has, their classes and groups. Out: `Splits`, row numbers into
the concatenation of the given splits. Pure: the same settings give the same cut on any machine.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from audio_cls.config import DataConfig
from audio_cls.data.folder import SPLIT_NAMES
from audio_cls.data.labels import UNUSABLE
from audio_cls.errors import DatasetError, list_names

Rows = NDArray[np.int64]
ROLES = ("train", "validation", "test")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pool:
    """All clips of the given splits, one after the other."""

    labels: NDArray[np.int64]  # (number of clips,), UNUSABLE where a clip has no label
    groups: NDArray[np.str_] | None  # (number of clips,), the group column as text
    given: dict[str, Rows]  # split name -> its rows


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


def make_splits(pool: Pool, cfg: DataConfig) -> Splits:
    """Resolve given splits by name and cut the missing ones from train.

    Clips without a usable label are in no split. With groups, given splits that share a group are
    pooled and cut anew, so that no group is heard in training and judged.

    Raises:
        DatasetError: A named split does not exist, or too few clips or groups are left to cut.
    """
    given = {name: rows[pool.labels[rows] != UNUSABLE] for name, rows in pool.given.items()}
    names = name_splits(list(given), cfg)
    if pool.groups is not None:
        names, given = _pool_shared_groups(names, given, pool.groups)
    train = given[names["train"]]
    origins = {role: f"split '{name}'" for role, name in names.items()}
    parts = {role: given[name] for role, name in names.items()}
    is_same_given = "test" in names and names["test"] == names.get("validation")
    names = {role: names.get(role, names["train"]) for role in ROLES}
    share_left = 1.0
    for role, share in (("test", cfg.test_size), ("validation", cfg.validation_size)):
        if role in parts or (role == "test" and cfg.test_split == "validation"):
            continue
        how = "by group" if pool.groups is not None else cfg.split_method
        origins[role] = f"cut from '{names['train']}' ({how}, {share:g}, seed {cfg.split_seed})"
        train, parts[role] = cut_rows(train, pool, share / share_left, cfg)
        share_left -= share
    parts["train"] = train
    is_shared = is_same_given or "test" not in parts
    if is_shared:
        parts["test"], origins["test"] = parts["validation"], "the validation clips again"
        names["test"] = names["validation"]
        logger.warning(
            "Validation and test are the same clips: the test score is the best epoch's."
        )
    empty = [role for role, rows in parts.items() if len(rows) == 0]
    if empty:
        raise DatasetError(
            f"The split for {list_names(empty)} has no clip with a usable label. Check"
            " --label-column and the split names, or give larger --validation-size and --test-size."
        )
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
            alias = next((known for known in SPLIT_NAMES[role] if known in available), None)
            if alias is not None:
                names[role] = alias
        elif not (role == "test" and name == "validation"):
            raise DatasetError(
                f"There is no split '{name}': the data set has {list_names(available)}."
                f" Choose one by --{role}-split."
            )
    return names


def cut_rows(rows: Rows, pool: Pool, share: float, cfg: DataConfig) -> tuple[Rows, Rows]:
    """Cut `share` of the rows off, as the settings say.

    Returns:
        The rows that stay and the rows cut off, each in ascending order; a plain shuffle keeps the
        shuffled order, which is that of `datasets.Dataset.train_test_split`.
    """
    if pool.groups is not None:
        return _cut_by_group(rows, pool.labels[rows], pool.groups[rows], share, cfg.split_seed)
    if cfg.split_method == "shuffled":
        table = Dataset.from_dict({"row": rows}).train_test_split(
            test_size=share, seed=cfg.split_seed, shuffle=True
        )
        return np.array(table["train"]["row"]), np.array(table["test"]["row"])
    kept, cut = _cut_stratified(rows, pool.labels[rows], share, cfg.split_seed)
    return np.sort(kept), np.sort(cut)


def cap_rows(rows: Rows, labels: NDArray[np.int64], limit: int | None, seed: int) -> Rows:
    """Keep at most `limit` rows, every class in its share where that is possible."""
    if limit is None or len(rows) <= limit:
        return rows
    _, kept = _cut_stratified(rows, labels[rows], limit, seed)
    return np.sort(kept)


def _cut_stratified(
    rows: Rows, labels: NDArray[np.int64], size: float | int, seed: int
) -> tuple[Rows, Rows]:
    """Cut stratified by class; a class of one clip stays, too small a cut is plainly shuffled."""
    counts = np.bincount(labels)
    is_single = counts[labels] < 2
    singles, many = rows[is_single], rows[~is_single]
    try:
        kept, cut = train_test_split(
            many, test_size=size, random_state=seed, stratify=labels[~is_single]
        )
    except ValueError:  # fewer clips asked for than there are classes
        kept, cut = train_test_split(rows, test_size=size, random_state=seed)
        return kept, cut
    return np.concatenate([kept, singles]), cut


def _cut_by_group(
    rows: Rows, labels: NDArray[np.int64], groups: NDArray[np.str_], share: float, seed: int
) -> tuple[Rows, Rows]:
    """Cut whole groups off, as near to `share` and to equal class shares as the groups allow."""
    num_groups = len(np.unique(groups))
    if num_groups < 2:
        raise DatasetError(
            f"--group-column: {num_groups} group is left to cut from, at least 2 are needed."
            " Give --validation-split and --test-split, or another column."
        )
    num_folds = min(max(2, round(1 / share)), num_groups)
    folds = StratifiedGroupKFold(n_splits=num_folds, shuffle=True, random_state=seed)
    kept, cut = min(
        folds.split(rows, labels, groups), key=lambda fold: abs(len(fold[1]) / len(rows) - share)
    )
    return rows[kept], rows[cut]


def _pool_shared_groups(
    names: dict[str, str], given: Mapping[str, Rows], groups: NDArray[np.str_]
) -> tuple[dict[str, str], dict[str, Rows]]:
    """Merge the given splits into train when they share groups; else leave them as they are."""
    seen: dict[str, str] = {}
    shared: set[str] = set()
    for name in dict.fromkeys(names.values()):
        for group in np.unique(groups[given[name]]):
            if seen.setdefault(str(group), name) != name:
                shared.add(str(group))
    if not shared:
        return names, dict(given)
    logger.warning(
        "The given splits share %d groups (%s): all are pooled and cut anew by group.",
        len(shared),
        list_names(sorted(shared)),
    )
    pooled = np.concatenate([given[name] for name in dict.fromkeys(names.values())])
    label = "+".join(dict.fromkeys(names.values()))
    return {"train": label}, {label: np.sort(pooled)}
