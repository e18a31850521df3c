"""Settings of the model's audio input: clip length, crop, evaluation windows, normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from audio_cls.config.base import Seconds, Section, setting
from audio_cls.errors import SettingError

MAX_CROP_SECONDS: Seconds = (
    30.0  # longest model input, unless the checkpoint or the user gives less
)
MIN_CROP_SECONDS: Seconds = 0.1  # shortest clip or window for any model


@dataclass(frozen=True)
class AudioConfig(Section):
    """Settings of the model's audio input."""

    max_seconds: Seconds | None = setting(
        None,
        "Length of training crops and of the model input, in seconds; default: the checkpoint's"
        " maximum, at most 30.",
        minimum=MIN_CROP_SECONDS,
    )
    min_seconds: Seconds | None = setting(
        None,
        "Training pieces have a random length between this and --max-seconds, in seconds; default:"
        " all --max-seconds.",
        minimum=MIN_CROP_SECONDS,
    )
    crop: Literal["random", "start"] = setting(
        "random", "Where a training piece is cut from a longer clip."
    )
    window_seconds: Seconds | None = setting(
        None, "Evaluation window in seconds; default: --max-seconds.", minimum=MIN_CROP_SECONDS
    )
    hop_seconds: Seconds | None = setting(
        None, "Step between evaluation windows in seconds; default: one window.", minimum=0.05
    )
    aggregate: Literal["mean-logit", "mean-probability", "max", "vote", "first"] = setting(
        "mean-logit",
        "How window scores are aggregated to the clip's score; 'first': the first window only.",
    )
    repeat_short: bool = setting(
        default=False,
        meaning="Repeat a clip shorter than the piece or window instead of padding it.",
    )
    normalize: bool | None = setting(
        None, "Zero mean and unit variance per clip; default: what the extractor says."
    )
    attention_mask: bool | None = setting(
        None, "Ask the extractor for a mask; default: what the extractor says."
    )

    def __post_init__(self) -> None:
        """Check the ranges, and that the shortest crop is no longer than the longest."""
        super().__post_init__()
        if self.min_seconds is not None and self.min_seconds > self.piece_seconds:
            raise SettingError(
                f"--min-seconds {self.min_seconds:g} is longer than --max-seconds"
                f" {self.piece_seconds:g}: give at most that, or '' for pieces of one length."
            )

    @property
    def piece_seconds(self) -> Seconds:
        """Return `max_seconds`, or 30 s before the checkpoint has decided."""
        return MAX_CROP_SECONDS if self.max_seconds is None else self.max_seconds
