"""Settings of the model's audio input: clip length, crop, evaluation windows, normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from audio_cls.config.base import Seconds, Section, setting
from audio_cls.errors import SettingError

MAX_CROP_SECONDS: Seconds = (
    30.0  # longest model input, unless the checkpoint or the user gives less
)
MIN_CROP_SECONDS: Seconds = 0.1  # shortest clip or window for any model
MIN_HOP_SECONDS: Seconds = 0.05  # shortest step from one window to the next


@dataclass(frozen=True)
class AudioConfig(Section):
    """Crops for training, windows for evaluation, and what the feature extractor does."""

    heading: ClassVar[str] = "Audio"

    max_seconds: Seconds | None = setting(
        None,
        "Length of crops and model input, in seconds. Default: the checkpoint's limit, at most 30.",
        minimum=MIN_CROP_SECONDS,
        is_common=True,
    )
    min_seconds: Seconds | None = setting(
        None,
        "Each training crop has a random length from this to --max-seconds, in"
        " seconds. Default: always --max-seconds.",
        minimum=MIN_CROP_SECONDS,
    )
    crop: Literal["random", "start"] = setting(
        "random", "Position of a training crop in a longer clip: random, or at the start."
    )
    window_seconds: Seconds | None = setting(
        None,
        "Length of the evaluation windows, in seconds. Default: --max-seconds.",
        minimum=MIN_CROP_SECONDS,
    )
    hop_seconds: Seconds | None = setting(
        None,
        "Step from one evaluation window to the next, in seconds. Default:"
        " --window-seconds, without overlap.",
        minimum=MIN_HOP_SECONDS,
    )
    aggregate: Literal["mean-logit", "mean-probability", "max", "vote", "first"] = setting(
        "mean-logit",
        "How the scores of a clip's windows become its score; first: only the first"
        " window is used.",
    )
    repeat_short: bool = setting(
        default=False,
        meaning="Repeat a clip that is shorter than the crop or window, instead of padding"
        " it with zeros.",
    )
    normalize: bool | None = setting(
        None,
        "Scale each clip to zero mean and unit variance. Default: the feature extractor's setting.",
    )
    attention_mask: bool | None = setting(
        None,
        "Pass an attention mask, which excludes the padding. Default: the feature"
        " extractor's setting.",
    )

    def __post_init__(self) -> None:
        """Check ranges, and that --min-seconds is at most --max-seconds."""
        super().__post_init__()
        if self.min_seconds is not None and self.min_seconds > self.piece_seconds:
            raise SettingError(
                f"--min-seconds {self.min_seconds:g} is longer than --max-seconds"
                f" {self.piece_seconds:g}: give at most {self.piece_seconds:g}, or --min-seconds ''"
                " for crops of one length."
            )

    @property
    def piece_seconds(self) -> Seconds:
        """Return `max_seconds`; 30 s where it is the checkpoint's, which is not loaded yet."""
        return MAX_CROP_SECONDS if self.max_seconds is None else self.max_seconds
