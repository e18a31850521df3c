"""Settings of the augmentation: waveform effects, SpecAugment, mixup and cutmix."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

from audio_cls.config.base import Range, Seconds, Section, setting
from audio_cls.errors import SettingError, list_names

EFFECTS = {  # name in --augment-p -> the settings that enable the effect
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
    """Random changes of the training clips: off by default, never applied in evaluation."""

    heading: ClassVar[str] = "Augmentation"

    gain_db: float = setting(
        0.0,
        "Change the level by a random gain of up to this, in dB, up or down; 0: off.",
        minimum=0,
        maximum=60,
    )
    shift_seconds: Seconds = setting(
        0.0, "Shift the waveform by up to this, in seconds, padded with zeros; 0: off.", minimum=0
    )
    speed_range: Range | None = setting(
        None,
        "Change the speed, and with it the pitch, by a random factor LOW,HIGH such"
        " as 0.9,1.1. Default: off.",
        minimum=0.25,
        maximum=4,
    )
    polarity_probability: float = setting(
        0.0, "Probability of inverting the polarity; 0: off.", minimum=0, maximum=1
    )
    noise_snr_db: Range | None = setting(
        None,
        "Add noise at a random signal-to-noise ratio LOW,HIGH in dB, such as 10,30. Default: off.",
        minimum=-40,
        maximum=100,
    )
    noise_color: Literal["white", "pink", "brown"] = setting(
        "white",
        "Spectrum of the synthetic noise: white, pink (-3 dB per octave) or brown"
        " (-6 dB per octave).",
    )
    noise_dir: str | None = setting(
        None, "Folder of recordings used as noise instead of synthetic noise; needs --noise-snr-db."
    )
    time_masks: int = setting(
        0, "Number of masked time spans per crop (SpecAugment); 0: off.", minimum=0, maximum=20
    )
    time_mask_seconds: Seconds = setting(
        0.5, "Maximum length of a masked time span, in seconds.", above=0
    )
    frequency_masks: int = setting(
        0,
        "Number of masked frequency bands per crop (SpecAugment; a band-stop filter"
        " for models of waveforms); 0: off.",
        minimum=0,
        maximum=20,
    )
    frequency_mask_share: float = setting(
        0.2, "Maximum width of a masked band, as a share of the mel scale.", above=0, maximum=1
    )
    mixup_alpha: float = setting(
        0.0,
        "Mixup: add two clips and their labels in shares drawn from Beta(alpha, alpha); 0: off.",
        minimum=0,
    )
    cutmix_alpha: float = setting(
        0.0,
        "CutMix: replace a time span by that of another clip, its share drawn from"
        " Beta(alpha, alpha); labels are weighted by duration. 0: off.",
        minimum=0,
    )
    augment: tuple[str, ...] = setting(
        (),
        "Custom transforms MODULE:FACTORY, comma-separated, applied after the others. Runs the code"
        " of MODULE, which is installed or in the current folder; see docs/training.md.",
    )
    augment_p: tuple[str, ...] = setting(
        (),
        "Probability of an effect per clip: NAME=P, comma-separated, such as gain=0.5,noise=0.3."
        f" NAME is {', '.join(EFFECTS)} or a transform of --augment. Default: 1.",
    )

    def __post_init__(self) -> None:
        """Check ranges, names of transforms, and probabilities of effects."""
        super().__post_init__()
        used = [
            name for name, flags in EFFECTS.items() if any(getattr(self, flag) for flag in flags)
        ]
        used += self.augment
        faults = [
            f"--augment {name} is not possible: it must be MODULE:FACTORY, such as"
            " my_augment:reverb for the function reverb in my_augment.py."
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
    """Return the error of one NAME=P as a full sentence; [] if there is none."""
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
        f" {list_names(used) or 'no effect'}). Leave it out, or enable the effect; NAME is one of"
        f" {', '.join(EFFECTS)} or a transform of --augment."
    ]
