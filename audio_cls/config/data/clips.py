"""Settings of the clips: source, columns, limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from audio_cls.config.base import Seconds, Section, setting


@dataclass(frozen=True)
class ClipSettings(Section):
    """Where the clips come from, and which of them are used."""

    heading: ClassVar[str] = "Data"

    dataset: str | None = setting(
        None,
        "Hub id, folder of class folders or parquet files, or CSV, TSV or JSON table of paths and"
        " labels.",
        is_common=True,
    )
    dataset_config: str | None = setting(
        None,
        "Configuration (subset) of the data set; 'all' joins all of them. Default: the only or"
        " default one.",
    )
    dataset_revision: str | None = setting(
        None, "Branch, tag or commit of the data set. Default: the newest commit."
    )
    streaming: bool = setting(
        default=False,
        meaning="Download training clips during training instead of before it, for parquet data"
        " larger than the disk; needs --max-steps.",
    )
    shuffle_buffer: int = setting(
        1000,
        "With --streaming: number of clips, not decoded, that a process keeps in memory to"
        " shuffle.",
        minimum=1,
    )
    allow_partial: bool = setting(
        default=False,
        meaning="Accept a parquet copy that the Hub cut at 5 GB (splits named `partial-...`);"
        " otherwise it is an error.",
    )
    audio_root: str | None = setting(
        None,
        "Folder that the paths in a table are relative to. Default: the table's folder, or one"
        " near it.",
    )
    audio_column: str | None = setting(
        None, "Column with the audio. Default: the only audio column."
    )
    start_column: str | None = setting(
        None,
        "In a table of paths: column with the time at which a row's segment starts in its file, in"
        " seconds; 'none': use whole files. Default: a column with a usual name (start, onset,"
        " Begin Time ...) if its times fit the files.",
    )
    end_column: str | None = setting(
        None, "Column with the time at which the segment ends, in seconds; needs --start-column."
    )
    duration_column: str | None = setting(
        None,
        "Column with the length of the segment, in seconds, instead of --end-column; needs"
        " --start-column.",
    )
    max_train_samples: int | None = setting(
        None, "Use at most this many training clips, for a quick try. Default: all.", minimum=1
    )
    max_eval_samples: int | None = setting(
        None,
        "Use at most this many clips of validation and of test, for a quick try. Default: all.",
        minimum=1,
    )
    min_clip_seconds: Seconds = setting(
        0.025,
        "Leave out clips shorter than this, in seconds; 0.025 is one analysis frame.",
        minimum=0,
    )
    max_clip_seconds: Seconds | None = setting(
        None, "Leave out clips longer than this, in seconds. Default: no limit.", above=0
    )
    drop_silent: bool = setting(
        default=False,
        meaning="Leave out clips whose samples all stay below -80 dB of full scale.",
    )
    bad_audio: Literal["skip", "fail"] = setting(
        "skip",
        "Unusable clips: skip leaves them out and lists them in bad_audio.csv; fail stops at the"
        " first one.",
    )
    max_bad_audio_ratio: float = setting(
        0.1,
        "Stop when more than this share of the clips is unusable; 0.1 is 10 %.",
        minimum=0,
        maximum=1,
        affects_training=False,
    )
