"""Split names: which split of a data set is used for training, validation and test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from audio_cls.config import DataConfig
from audio_cls.errors import DatasetError, list_names

ROLES = ("train", "validation", "test")


def resolve_roles(available: list[str], cfg: DataConfig) -> dict[str, str]:
    """Map roles to splits of the data set; a role that is missing here is to be cut from train.

    A split has one role at most. A split that the settings name for one role is not taken for
    another one by its usual name. With `--test-split validation` the test clips are the validation
    clips, and test has no split of its own; only where there is a split `validation` that neither
    trains nor validates, it is that split.

    Args:
        available: Names of the splits that the data set has.
        cfg: `train_split`, `validation_split` and `test_split`.

    Raises:
        DatasetError: A split that was asked for does not exist, or has two roles.
    """
    train = cfg.train_split
    if train == "train" and "train" not in available:  # `training`, or `full` is all there is
        usual = [name for name in SPLIT_NAMES["train"] if name in available]
        train = next(iter(usual or available)) if usual or len(available) == 1 else train
    wanted = {"train": train, "validation": cfg.validation_split, "test": cfg.test_split}
    others = (train, cfg.validation_split or "validation")
    is_own_split = "validation" in available and "validation" not in others
    is_again = cfg.test_split == "validation" and not is_own_split
    if is_again:
        wanted["test"] = None
    names = {role: name for role, name in wanted.items() if name is not None}
    _check_names(names, available)
    for role in ROLES:
        if role in names or (role == "test" and is_again):
            continue
        free = (name for name in SPLIT_NAMES[role] if name in available)
        alias = next((name for name in free if name not in names.values()), None)
        if alias is not None:
            names[role] = alias
    return names


def _check_names(names: Mapping[str, str], available: Iterable[str]) -> None:
    """Refuse splits that do not exist, and splits with two roles."""
    used: dict[str, str] = {}
    for role, name in names.items():
        if name not in available:
            raise DatasetError(
                f"There is no split '{name}': the data set has {list_names(available)}."
                f" Choose one by --{role}-split."
            )
        if name in used:
            raise DatasetError(
                f"The split '{name}' cannot be used for both {used[name]} and {role}. Name another"
                f" one by --{role}-split, or leave it out: then a part of train is used, or a split"
                " with a usual name."
            )
        used[name] = role


SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}


SPLIT_OF_NAME = {alias: split for split, aliases in SPLIT_NAMES.items() for alias in aliases}
