"""Settings of the labels and of keyword spotting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from audio_cls.config.base import Seconds, Section, setting


@dataclass(frozen=True)
class LabelSettings(Section):
    """Where the labels come from, and which of them are used."""

    heading: ClassVar[str] = "Labels"

    label_column: str | None = setting(
        None, "Column with the label. Default: the only column that can be one.", is_common=True
    )
    label_columns: tuple[str, ...] = setting(
        (),
        "Columns of 0 and 1, comma-separated: one class per column. A clip may have several"
        " labels.",
    )
    label_level: int | None = setting(
        None,
        "Use this folder of a clip's path as its label: 1 is the first folder below the data set,"
        " -1 the one that contains the file. Tables are not read. Default: the whole path of class"
        " folders.",
    )
    label_pattern: str | None = setting(
        None,
        "Regular expression whose first group (...) is the label, searched in --label-column, or"
        " without it in the clip's id: '_([a-z]+)[.]wav' for files named SPEAKER_LABEL.wav.",
    )
    label_separator: str | None = setting(
        None,
        "Separator of the labels in a text column with several labels per clip, such as ';'."
        " Default: one label per text.",
    )
    problem_type: Literal["auto", "single-label", "multi-label"] = setting(
        "auto",
        "Whether a clip has one label or any number of them, also none; auto: multi-label if any"
        " clip has several.",
    )
    keep_labels: tuple[str, ...] = setting(
        (), "Labels to use, comma-separated; other clips are left out. Default: all labels."
    )
    drop_labels: tuple[str, ...] = setting(
        (), "Labels to leave out together with their clips, comma-separated."
    )
    min_clips_per_label: int | None = setting(
        None,
        "Leave out labels with fewer clips than this in all splits together. Default: keep all.",
        minimum=1,
    )
    merge_rare_into: str | None = setting(
        None,
        "Name of one label that replaces those below --min-clips-per-label, instead of leaving"
        " them out.",
    )


@dataclass(frozen=True)
class KeywordSettings(Section):
    """Words to detect, and the clips of unknown words and of silence to train with."""

    heading: ClassVar[str] = "Keyword spotting"

    keywords: tuple[str, ...] = setting(
        (),
        "Keyword spotting: words to detect, comma-separated; other labels become `_unknown_`.",
        is_common=True,
    )
    unknown_from: tuple[str, ...] = setting(
        (),
        "Labels that become `_unknown_`, comma-separated; all others are keywords. Use this or"
        " --keywords.",
    )
    unknown_share: float | None = setting(
        None,
        "`_unknown_` clips per keyword clip, such as 0.1; resampled every epoch in training, fixed"
        " in validation and test. Default: all `_unknown_` clips.",
        above=0,
    )
    silence_from: str | None = setting(
        None,
        "Add `_silence_` clips, cut from this label or folder of recordings; synthesise: generated"
        " noise; auto: a label of silence if there is one, else synthesise. Default: add none.",
    )
    silence_share: float = setting(
        0.1, "`_silence_` clips per keyword clip; needs --silence-from.", above=0
    )
    silence_seconds: Seconds = setting(
        1.0, "Length of a `_silence_` clip, in seconds; needs --silence-from.", above=0
    )
