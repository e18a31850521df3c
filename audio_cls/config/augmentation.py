"""Settings of the augmentation: waveform effects, SpecAugment, mixup and cutmix."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from audio_cls.config.base import Range, Seconds, Section, setting
from audio_cls.errors import SettingError, list_names

EFFECTS = {  # name in --augment-p -> the settings that switch the effect on
    "speed": ("speed_range",),
    "mix": ("mixup_alpha", "cutmix_alpha"),
    "shift": ("shift_seconds",),
    "gain": ("gain_db",),
    "noise": ("noise_snr_db",),
    "frequency-masks": ("frequency_masks",),
    "time-masks": ("time_masks",),
}
FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


@dataclass(frozen=True)
class AugmentConfig(Section):
    """Augmentation of training clips: off by default, never applied in evaluation."""

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
    augment: tuple[str, ...] = setting(
        (),
        "Your own transforms, MODULE:FACTORY,... applied after the others; the code of MODULE,"
        " installed or in the current folder, is run. See README.",
    )
    augment_p: tuple[str, ...] = setting(
        (),
        "Probability that a clip gets an effect, NAME=P,... such as gain=0.5,noise=0.3; default: 1."
        f" NAME is {', '.join(EFFECTS)} or one of --augment.",
    )

    def __post_init__(self) -> None:
        """Check the ranges, and the probabilities of the effects."""
        super().__post_init__()
        used = [
            name for name, flags in EFFECTS.items() if any(getattr(self, flag) for flag in flags)
        ]
        used += self.augment
        faults = [
            f"--augment {name} is not possible: it must be MODULE:FACTORY, such as"
            " my_augment:reverb for the function reverb of my_augment.py."
            for name in self.augment
            if not FACTORY.fullmatch(name)
        ]
        faults += [fault for one in self.augment_p for fault in _check_probability(one, used)]
        if faults:
            raise SettingError(" ".join(faults))

    def get_probability(self, effect: str) -> float:
        """Return the probability that a clip gets an effect.

        >>> AugmentConfig(gain_db=6, augment_p=("gain=0.5",)).get_probability("gain")
        0.5
        """
        return float(dict(one.split("=") for one in self.augment_p).get(effect, 1.0))


def _check_probability(given: str, used: list[str]) -> list[str]:
    """Return what is wrong with one NAME=P, as a full sentence; [] if nothing."""
    name, _, p = given.rpartition("=")
    try:
        is_valid = 0 <= float(p) <= 1
    except ValueError:
        is_valid = False
    if not name or not is_valid:
        return [
            f"--augment-p {given} is not possible: it must be NAME=P with P from 0 to 1, such as"
            " gain=0.5."
        ]
    if name in used:
        return []
    if name == "polarity":
        return [f"--augment-p {given} is not possible: use --polarity-probability {p}."]
    return [
        f"--augment-p {given} has no effect: '{name}' is not in use (in use:"
        f" {list_names(used) or 'no effect'}). Leave it out, or switch the effect on; NAME is one"
        f" of {', '.join(EFFECTS)} or one of --augment."
    ]
