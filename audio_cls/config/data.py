"""Settings of the data set: columns, labels, splits, folds, keyword spotting, clip limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from audio_cls.config.base import Seconds, Section, find_errors, setting
from audio_cls.errors import SettingError


@dataclass(frozen=True)
class DataConfig(Section):
    """Which clips, which labels, which splits."""

    dataset: str | None = setting(
        None,
        "Hub id, or a folder: parquet files, a table of paths and labels (CSV, TSV, JSON ...), or a"
        " sub-folder of clips for each class; or one such table.",
    )
    dataset_config: str | None = setting(None, "Configuration (subset) of the data set.")
    dataset_revision: str | None = setting(
        None, "Branch, tag or commit of the data set; default: today's commit."
    )
    streaming: bool = setting(
        default=False,
        meaning="Fetch the training clips while training, for parquet larger than this disk.",
    )
    shuffle_buffer: int = setting(
        1000, "With --streaming: clips that a process holds, undecoded, to shuffle.", minimum=1
    )
    allow_partial: bool = setting(
        default=False, meaning="Accept a copy that the Hub cut at 5 GB (its `partial-` splits)."
    )
    audio_root: str | None = setting(
        None,
        "Folder that the paths in a table are relative to; default: the table's, or one near it.",
    )
    audio_column: str | None = setting(
        None, "Column that holds the sound; default: the only audio column."
    )
    start_column: str | None = setting(
        None,
        "Column with the time, in seconds, at which a row's segment of its file starts, in a table"
        " of paths; default: a usual name (start, onset, Begin Time ...) whose times fit the files;"
        " 'none': files are used whole.",
    )
    end_column: str | None = setting(
        None, "Column with the time, in seconds, at which the segment ends; needs --start-column."
    )
    duration_column: str | None = setting(
        None, "Column with the length of the segment, in seconds, instead of --end-column."
    )
    label_level: int | None = setting(
        None,
        "The label is the name of this folder of a clip's path: 1 is the first one below the data"
        " set, -1 the one that holds the file; tables are not read. Default: all class folders.",
    )
    label_column: str | None = setting(
        None, "Column that holds the label; default: the only one that can."
    )
    label_columns: tuple[str, ...] = setting(
        (), "Columns of 0 and 1, comma-separated; each is a class, and a clip may have several."
    )
    label_pattern: str | None = setting(
        None,
        "The label is what this regular expression's first (...) finds in --label-column, or"
        " without one in the clip's id: '_([a-z]+)[.]wav' for files named SPEAKER_LABEL.wav.",
    )
    label_separator: str | None = setting(
        None, "What parts the labels in a text that names several, such as ';'."
    )
    problem_type: Literal["auto", "single-label", "multi-label"] = setting(
        "auto",
        "Whether a clip has one label or any number, none included; 'auto': multi-label when some"
        " clip has several.",
    )
    keep_labels: tuple[str, ...] = setting(
        (), "Only these labels, comma-separated; the other clips are left out."
    )
    drop_labels: tuple[str, ...] = setting(
        (), "Not these labels, comma-separated; their clips are left out."
    )
    min_clips_per_label: int | None = setting(
        None, "Leave out labels with fewer clips than this in all splits together.", minimum=1
    )
    merge_rare_into: str | None = setting(
        None, "Make the labels below --min-clips-per-label this one label instead."
    )
    keywords: tuple[str, ...] = setting(
        (), "Keyword spotting: the words, comma-separated; every other label becomes `_unknown_`."
    )
    unknown_from: tuple[str, ...] = setting(
        (),
        "Keyword spotting: these labels become `_unknown_`, the others are keywords; beats"
        " --keywords.",
    )
    unknown_share: float | None = setting(
        None,
        "`_unknown_` clips per keyword clip: resampled every epoch, fixed in validation and test;"
        " default: all there are.",
        above=0,
    )
    silence_from: str | None = setting(
        None,
        "Add `_silence_` in pieces: a label or a folder of recordings to cut, 'synthesise', or"
        " 'auto' (a label of silence, if there is one, else synthesise).",
    )
    silence_share: float = setting(
        0.1, "`_silence_` pieces per keyword clip; needs --silence-from.", above=0
    )
    silence_seconds: Seconds = setting(1.0, "Length of a piece of silence, in seconds.", above=0)
    group_column: str | None = setting(
        None, "Keep clips that share this value (speaker, track) in one split."
    )
    group_pattern: str | None = setting(
        None,
        "The group is what this regular expression's first (...) finds in --group-column, or"
        " without one in the clip's id: '([0-9]{4})_' for files named SPEAKER_....",
    )
    test_groups: tuple[str, ...] = setting(
        (), "Test on the clips of these groups, whatever split they were in; comma-separated."
    )
    validation_groups: tuple[str, ...] = setting(
        (), "Choose the best epoch by the clips of these groups, comma-separated."
    )
    train_split: str = setting("train", "Name of the training split.")
    validation_split: str | None = setting(
        None,
        "Split that chooses the best epoch; default: validation, valid or dev, else a cut.",
    )
    test_split: str | None = setting(
        None,
        "Split that is reported; default: test, else a cut. 'validation': the same clips again.",
    )
    validation_size: float = setting(
        0.1, "Share of train cut off when there is no validation split.", above=0, maximum=0.9
    )
    test_size: float = setting(
        0.1, "Share of train cut off when there is no test split.", above=0, maximum=0.9
    )
    split_method: Literal["stratified", "shuffled", "hash"] = setting(
        "stratified",
        "How missing splits are cut: every class in its share, a plain shuffle, or by the hash of"
        " the file's name up to `_nohash_`, as Speech Commands does.",
    )
    split_seed: int = setting(
        42, "Seed of the cut; apart from --seed so that seeds share their splits.", minimum=0
    )
    folds: int | None = setting(
        None, "Cross-validate: this many runs, each tested on another fold.", minimum=2
    )
    fold_column: str | None = setting(
        None, "Column with each clip's fold, as in ESC-50; needs --fold or --folds."
    )
    fold: str | None = setting(
        None, "The one fold that is reported as test; with --folds a number from 1 on."
    )
    fold_validation: Literal["next", "cut"] = setting(
        "next", "With --fold: validate on the fold after it, or on a cut of the training folds."
    )
    split_files: str | None = setting(
        None,
        "Folder, run or address of train.txt, validation.txt and test.txt with a clip id a line, or"
        " gtzan-fault-filtered.",
    )
    split_files_sha256: str | None = setting(
        None,
        "The lists' sha256; the run stops when --split-files has other ids.",
        affects_training=False,
    )
    deduplicate: bool = setting(
        default=False,
        meaning="Leave out clips whose sound is the same as another's; test keeps its clips.",
    )
    max_train_samples: int | None = setting(
        None, "Use at most this many training clips.", minimum=1
    )
    max_eval_samples: int | None = setting(
        None, "Use at most this many clips of validation and of test.", minimum=1
    )
    max_bad_audio_ratio: float = setting(
        0.1,
        "Stop when more than this share of the clips cannot be read.",
        minimum=0,
        maximum=1,
        affects_training=False,
    )
    bad_audio: Literal["skip", "fail"] = setting(
        "skip", "Set clips aside that cannot be used (see bad_audio.csv), or stop at the first."
    )
    max_clip_seconds: Seconds | None = setting(
        None, "Set longer clips aside, in seconds; default: none is too long.", above=0
    )
    min_clip_seconds: Seconds = setting(
        0.025,
        "Leave out clips shorter than this, in seconds; 0.025 is one analysis frame.",
        minimum=0,
    )
    drop_silent: bool = setting(
        default=False, meaning="Set clips aside that stay below -80 dB of full scale."
    )

    def __post_init__(self) -> None:
        """Check the ranges, and settings that need or exclude each other.

        Raises:
            SettingError: The text has every fault.
        """
        both = sorted(set(self.keep_labels) & set(self.drop_labels))
        named = (*self.test_groups, *self.validation_groups)
        wants = {
            "--folds": self.folds,
            "--fold-column": self.fold_column,
            "--split-files": self.split_files,
            "--group-column": self.group_column,
            "--group-pattern": self.group_pattern,
            "--deduplicate": self.deduplicate,
            "--min-clips-per-label": self.min_clips_per_label,
            "--max-train-samples": self.max_train_samples,
            "--start-column": self.start_column,
            "--label-level": self.label_level,
            "--label-columns": self.label_columns,
            "--label-pattern": self.label_pattern,
            "--keywords": self.keywords,
            "--unknown-from": self.unknown_from,
            "--unknown-share": self.unknown_share,
            "--silence-from": self.silence_from,
        }
        needs_all = [flag for flag, value in wants.items() if value]
        pairs = [
            self.fold is None or self.fold_column is not None or self.folds is not None,
            self.split_files is None or (self.fold_column is None and self.folds is None),
            not both,
            not self.label_columns or (self.label_column, self.label_pattern) == (None, None),
            not (self.label_columns and self.label_separator),
            not named or self.group_column is not None or self.group_pattern is not None,
            not named or (self.split_files, self.fold_column, self.folds) == (None, None, None),
            len(set(named)) == len(named),
            self.train_split not in (self.validation_split, self.test_split),
            self.test_split in (None, "validation") or self.test_split != self.validation_split,
            not (self.streaming and needs_all),
        ]
        texts = [
            "--fold needs --fold-column or --folds, which say what the folds are.",
            "--split-files and folds both say which clip is tested: give one of them.",
            f"--keep-labels and --drop-labels both name {', '.join(both)}: choose one.",
            "--label-columns names the columns of the labels: leave --label-column and"
            " --label-pattern out.",
            "--label-columns are columns of 0 and 1: leave --label-separator out.",
            "--test-groups and --validation-groups need --group-column or --group-pattern, which"
            " define the groups.",
            "--split-files or folds already say which clip is tested: leave --test-groups out.",
            f"--test-groups and --validation-groups name a group twice: {', '.join(named)}.",
            f"The split '{self.train_split}' is for training (--train-split) and cannot be used for"
            " validation or test as well: name another by --validation-split and --test-split, or"
            " leave them out.",
            f"--validation-split and --test-split both name '{self.test_split}': name two splits;"
            " --test-split validation alone reports on the validation clips, whatever their split.",
        ]
        texts.append(
            f"--streaming cannot do {', '.join(needs_all)}, which needs all clips at once: leave"
            " one of them out."
        )
        faults = [*find_errors(self), *(t for ok, t in zip(pairs, texts, strict=True) if not ok)]
        if faults:
            raise SettingError(" ".join(faults))
