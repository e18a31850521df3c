"""Settings of the splits: groups, cut sizes, folds, lists of clips, duplicates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from audio_cls.config.base import Section, setting


@dataclass(frozen=True)
class SplitSettings(Section):
    """Which clips are for training, validation and test; cross-validation; duplicates."""

    heading: ClassVar[str] = "Splits"

    group_column: str | None = setting(
        None,
        "Column such as speaker or track; clips with the same value stay in one split.",
        is_common=True,
    )
    group_pattern: str | None = setting(
        None,
        "Regular expression whose first group (...) is a clip's group, searched in --group-column,"
        " or without it in the clip's id: '([0-9]{4})_' for files named SPEAKER_....",
    )
    test_groups: tuple[str, ...] = setting(
        (),
        "Groups to test on, comma-separated, from any split; needs --group-column or"
        " --group-pattern.",
    )
    validation_groups: tuple[str, ...] = setting(
        (),
        "Groups that select the best epoch, comma-separated, from any split; needs --group-column"
        " or --group-pattern.",
    )
    train_split: str = setting("train", "Name of the training split.")
    validation_split: str | None = setting(
        None,
        "Split that selects the best epoch. Default: validation, valid or dev, else"
        " --validation-size of the training clips.",
    )
    test_split: str | None = setting(
        None,
        "Split that the results are reported on; 'validation': the validation clips, which makes"
        " the score too high. Default: test, else --test-size of the training clips.",
    )
    validation_size: float = setting(
        0.1,
        "Share of the training clips used for validation if there is no validation split.",
        above=0,
        maximum=0.9,
    )
    test_size: float = setting(
        0.1,
        "Share of the training clips used for test if there is no test split.",
        above=0,
        maximum=0.9,
    )
    split_method: Literal["stratified", "shuffled", "hash"] = setting(
        "stratified",
        "How missing splits are made: with the same class shares; at random; or by the hash of the"
        " file name before `_nohash_`, as in Speech Commands.",
    )
    split_seed: int = setting(
        42,
        "Seed of the splits and folds that are made; another --seed keeps the splits.",
        minimum=0,
    )
    folds: int | None = setting(
        None,
        "Cross-validation: train this many runs, each tested on another fold.",
        minimum=2,
        is_common=True,
    )
    fold_column: str | None = setting(
        None,
        "Column with each clip's fold, as in ESC-50; needs --fold or --folds. Default: the clips"
        " are distributed over --folds.",
    )
    fold: str | None = setting(
        None,
        "Train one run, tested on this fold: a value of --fold-column, or with --folds a number"
        " from 1.",
    )
    fold_validation: Literal["next", "cut", "none"] = setting(
        "next",
        "Validation clips of a run with folds: the fold after the test fold (next),"
        " --validation-size of the training folds (cut), or none: all other folds are trained on,"
        " the last epoch is kept and nothing is calibrated (--method auto holds some training clips"
        " out for both).",
    )
    split_files: str | None = setting(
        None,
        "Folder, run or URL of train.txt, validation.txt and test.txt with one clip id per line,"
        " or gtzan-fault-filtered.",
    )
    split_files_sha256: str | None = setting(
        None,
        "Expected SHA-256 of the ids in --split-files; the run stops if it differs.",
        affects_training=False,
    )
    deduplicate: bool = setting(
        default=False,
        meaning="Leave out clips with the same audio as another clip; test clips are kept.",
    )
