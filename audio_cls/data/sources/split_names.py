"""Split names: which splits of a data set are used for training, validation and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from audio_cls.config import DataConfig
from audio_cls.errors import DatasetError, list_names

ROLES = ("train", "validation", "test")
SPLIT_NAMES = {  # role -> usual names of its split, likeliest first
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
SPLIT_OF_NAME = {alias: split for split, aliases in SPLIT_NAMES.items() for alias in aliases}


def resolve_roles(names: Sequence[str], cfg: DataConfig) -> dict[str, str]:
    """Map roles to splits of the data set; a role without a split is missing in the result.

    A split has at most one role. A split that the settings name for one role is not used for
    another one by its usual name. With `--test-split validation` the test clips are the validation
    clips, and test has no split (see `is_test_validation`), except that a split `validation` that
    is used neither for training nor for validation is the test split.

    Args:
        names: The splits of the data set, streamed ones included.
        cfg: `train_split`, `validation_split` and `test_split`.

    Raises:
        DatasetError: A split that the settings name does not exist, or has two roles.

    >>> resolve_roles(["training", "dev"], DataConfig())
    {'train': 'training', 'validation': 'dev'}
    """
    train = cfg.train_split
    if train == "train" and "train" not in names:  # it is called `training`, or is the only split
        usual = [name for name in SPLIT_NAMES["train"] if name in names]
        train = next(iter(usual or names)) if usual or len(names) == 1 else train
    wanted = {"train": train, "validation": cfg.validation_split, "test": cfg.test_split}
    others = (train, cfg.validation_split or "validation")
    is_own_split = "validation" in names and "validation" not in others
    is_again = cfg.test_split == "validation" and not is_own_split
    if is_again:
        wanted["test"] = None
    roles = {role: name for role, name in wanted.items() if name is not None}
    _check_roles(roles, names)
    for role in ROLES:
        if role in roles or (role == "test" and is_again):
            continue
        free = (name for name in SPLIT_NAMES[role] if name in names)
        alias = next((name for name in free if name not in roles.values()), None)
        if alias is not None:
            roles[role] = alias
    return roles


def is_test_validation(roles: Mapping[str, object], cfg: DataConfig) -> bool:
    """Return whether the test clips are the validation clips.

    Args:
        roles: The roles that have a split, see `resolve_roles`.
        cfg: `test_split`.
    """
    return cfg.test_split == "validation" and "test" not in roles


def _check_roles(roles: Mapping[str, str], names: Sequence[str]) -> None:
    """Refuse splits that do not exist, and splits with two roles."""
    used: dict[str, str] = {}
    for role, name in roles.items():
        if name not in names:
            raise DatasetError(
                f"There is no split '{name}': the data set has {list_names(names)}. Choose one"
                f" with --{role}-split."
            )
        if name in used:
            raise DatasetError(
                f"The split '{name}' cannot be used for both {used[name]} and {role}. Give"
                f" another one with --{role}-split, or remove that option: then a split with a"
                " usual name or a part of train is used."
            )
        used[name] = role
