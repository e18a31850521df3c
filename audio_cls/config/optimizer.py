"""Settings of the optimizer: learning rates, schedule, loss, class weights, EMA."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from audio_cls.config.base import Section, setting
from audio_cls.errors import SettingError


def _is_positive(text: str) -> bool:
    """Tell whether a text is a finite number above 0."""
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


@dataclass(frozen=True)
class OptimConfig(Section):
    """How the weights move."""

    optimizer: Literal["adamw", "adamw-8bit"] = setting(
        "adamw",
        "AdamW, fused; or with its moments in 8 bits, a quarter of their memory (extra: eightbit).",
    )
    learning_rate: float = setting(5e-5, "Peak learning rate of AdamW.", above=0)
    head_learning_rate: float | None = setting(
        None, "Peak learning rate of the head; default: --learning-rate.", above=0
    )
    layer_decay: float = setting(
        1.0,
        "Learning-rate multiplier from each layer to the one below it; 1: the same rate.",
        above=0,
        maximum=1,
    )
    warmup_ratio: float = setting(
        0.1, "Share of all steps over which the learning rate rises.", minimum=0, maximum=1
    )
    weight_decay: float = setting(
        0.0, "AdamW weight decay; not applied to biases and norms.", minimum=0
    )
    scheduler: Literal["linear", "cosine", "constant", "wsd"] = setting(
        "linear",
        "Learning rate after the warm-up; wsd: constant, then down over --decay-ratio.",
    )
    decay_ratio: float = setting(
        0.2, "Share of all steps over which wsd falls to 0.", minimum=0, maximum=1
    )
    ema_decay: float = setting(
        0.0,
        "Decay of the exponential moving average (EMA) of the weights that is evaluated and saved,"
        " such as 0.999; 0: none.",
        minimum=0,
        maximum=0.99999,
    )
    loss: Literal["cross-entropy", "focal"] = setting(
        "cross-entropy",
        "What a wrong answer costs; multi-label: binary cross-entropy, mean over the labels.",
    )
    focal_gamma: float = setting(
        2.0, "How little the clips count that are right already, with --loss focal.", minimum=0
    )
    label_smoothing: float = setting(
        0.0, "Share of the target spread over all classes.", minimum=0, maximum=0.99
    )
    class_weights: str = setting(
        "none",
        "Weight of each class in the loss: none, balanced (by the inverse of its training clips),"
        " or a CSV or YAML file of label, weight.",
    )
    pos_weight: str = setting(
        "none",
        "Multi-label: weight of the clips that have a label against those that have not: none,"
        " auto (clips without / with it in training, at most 20), or a number.",
    )
    sampler: Literal["uniform", "balanced"] = setting(
        "uniform",
        "How an epoch draws its clips: each once, or every class as often as any other.",
    )
    max_grad_norm: float = setting(
        1.0, "Clip the gradient's norm to this; 0 switches it off.", minimum=0
    )

    def __post_init__(self) -> None:
        """Check what weighs the positive clips."""
        super().__post_init__()
        if self.pos_weight not in ("none", "auto") and not _is_positive(self.pos_weight):
            raise SettingError(
                f"--pos-weight {self.pos_weight} is not possible: it is none, auto, or a number"
                " above 0, such as 3."
            )
