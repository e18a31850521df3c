"""DataConfig: all settings of the data set, and which of them exclude each other."""

from __future__ import annotations

from dataclasses import dataclass

from audio_cls.config.base import find_errors, flag_name
from audio_cls.config.data.clips import ClipSettings
from audio_cls.config.data.labels import KeywordSettings, LabelSettings
from audio_cls.config.data.splits import SplitSettings
from audio_cls.errors import SettingError

# Settings that need all clips before training starts.
NOT_STREAMED = (
    "folds",
    "fold_column",
    "split_files",
    "group_column",
    "group_pattern",
    "deduplicate",
    "min_clips_per_label",
    "max_train_samples",
    "start_column",
    "label_level",
    "label_columns",
    "label_pattern",
    "keywords",
    "unknown_from",
    "unknown_share",
    "silence_from",
)


@dataclass(frozen=True)
class DataConfig(SplitSettings, KeywordSettings, LabelSettings, ClipSettings):
    """Settings of the data set: the fields of `ClipSettings` first, of `SplitSettings` last."""

    def __post_init__(self) -> None:
        """Check ranges, and settings that need or exclude each other.

        Raises:
            SettingError: The text has every error.
        """
        faults = [*find_errors(self), *self._find_label_faults(), *self._find_split_faults()]
        needs_all = [name for name in NOT_STREAMED if getattr(self, name)]
        if self.streaming and needs_all:
            flags = ", ".join(map(flag_name, needs_all))
            faults.append(
                f"--streaming cannot be used with {flags}, which needs all clips before training:"
                " leave one of them out."
            )
        if faults:
            raise SettingError(" ".join(faults))

    def require_dataset(self) -> str:
        """Return the data set.

        Raises:
            SettingError: None is given.
        """
        if not self.dataset:
            raise SettingError(
                "No data set was given. Give a Hub id, a folder or a table with --dataset, or a"
                " preset with --preset. Examples: --preset demo; --dataset marsyas/gtzan; --dataset"
                " my_clips --label-column label."
            )
        return self.dataset

    def _find_label_faults(self) -> list[str]:
        """List the contradictions between settings of the labels, as full sentences."""
        both = sorted(set(self.keep_labels) & set(self.drop_labels))
        checks = [
            (
                bool(both),
                f"--keep-labels and --drop-labels both name {', '.join(both)}: remove it from one"
                " of them.",
            ),
            (
                bool(self.label_columns)
                and (self.label_column, self.label_pattern) != (None, None),
                "--label-columns already names the columns of the labels: leave --label-column and"
                " --label-pattern out.",
            ),
            (
                bool(self.label_columns and self.label_separator),
                "--label-columns are columns of 0 and 1, without text to separate: leave"
                " --label-separator out.",
            ),
        ]
        return [text for is_wrong, text in checks if is_wrong]

    def _find_split_faults(self) -> list[str]:
        """List the contradictions between settings of the splits, as full sentences."""
        named = (*self.test_groups, *self.validation_groups)
        has_folds = self.fold_column is not None or self.folds is not None
        has_groups = self.group_column is not None or self.group_pattern is not None
        is_same = self.test_split == self.validation_split
        checks = [
            (
                self.fold is not None and not has_folds,
                f"--fold {self.fold} needs --fold-column or --folds, which define the folds: add"
                " one of them.",
            ),
            (
                self.split_files is not None and has_folds,
                "--split-files and folds both define the test clips: give one of them.",
            ),
            (
                bool(named) and not has_groups,
                "--test-groups and --validation-groups need --group-column or --group-pattern,"
                " which define the groups: add one of them.",
            ),
            (
                bool(named) and (self.split_files is not None or has_folds),
                "--split-files or folds already define the test clips: leave --test-groups and"
                " --validation-groups out.",
            ),
            (
                len(set(named)) < len(named),
                f"--test-groups and --validation-groups name a group twice: {', '.join(named)}."
                " Name each group once.",
            ),
            (
                self.train_split in (self.validation_split, self.test_split),
                f"The split '{self.train_split}' is the training split (--train-split) and cannot"
                " also be used for validation or test: name another one with --validation-split or"
                " --test-split, or leave them out.",
            ),
            (
                is_same and self.test_split not in (None, "validation"),
                f"--validation-split and --test-split both name '{self.test_split}': name two"
                " different splits. To report on the validation clips, give only --test-split"
                " validation.",
            ),
        ]
        return [text for is_wrong, text in checks if is_wrong]
