"""Settings of the augmentation: waveform effects, SpecAugment, mixup and cutmix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from audio_cls.config.base import Range, Seconds, Section, setting


@dataclass(frozen=True)
class AugmentConfig(Section):
    """How training clips are varied; all of it is off by default, none of it touches evaluation."""

    gain_db: float = setting(
        0.0, "Make clips louder or softer by up to this, in dB.", minimum=0, maximum=60
    )
    shift_seconds: Seconds = setting(
        0.0, "Move the sound by up to this, in seconds; silence fills the gap.", minimum=0
    )
    speed_range: Range | None = setting(
        None,
        "Play faster or slower, pitch included, LOW,HIGH such as 0.9,1.1.",
        minimum=0.25,
        maximum=4,
    )
    polarity_probability: float = setting(
        0.0, "Share of the clips whose polarity is turned.", minimum=0, maximum=1
    )
    noise_snr_db: Range | None = setting(
        None,
        "Add noise at this signal-to-noise ratio in dB, LOW,HIGH such as 10,30.",
        minimum=-40,
        maximum=100,
    )
    noise_color: Literal["white", "pink", "brown"] = setting(
        "white", "Spectrum of the made noise: flat, -3 or -6 dB per octave."
    )
    noise_dir: str | None = setting(
        None, "Folder of recordings to use as the noise; needs --noise-snr-db."
    )
    time_masks: int = setting(0, "Spans of a piece to blank (SpecAugment).", minimum=0, maximum=20)
    time_mask_seconds: Seconds = setting(0.5, "Longest blanked span, in seconds.", above=0)
    frequency_masks: int = setting(
        0,
        "Bands of a piece to blank (SpecAugment); a band-stop for wave models.",
        minimum=0,
        maximum=20,
    )
    frequency_mask_share: float = setting(
        0.2, "Widest blanked band, as a share of the mel scale.", above=0, maximum=1
    )
    mixup_alpha: float = setting(
        0.0,
        "Mix clips in pairs, labels too: Beta(alpha, alpha) gives the shares; 0 is off.",
        minimum=0,
    )
    cutmix_alpha: float = setting(
        0.0, "Paste a span of another clip in, labels by the shares of time; 0 is off.", minimum=0
    )
