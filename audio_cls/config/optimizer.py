"""Settings of the optimizer: learning rates, schedule, loss, class weights, EMA."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from audio_cls.config.base import Section, setting
from audio_cls.errors import SettingError


def _is_positive(text: str) -> bool:
    """Return whether a text is a finite number above 0."""
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


@dataclass(frozen=True)
class OptimConfig(Section):
    """Learning rates, schedule, loss and class weights."""

    heading: ClassVar[str] = "Optimizer"

    optimizer: Literal["adamw", "adamw-8bit"] = setting(
        "adamw",
        "adamw: fused AdamW; adamw-8bit: its state in 8 bits, a quarter of the"
        " memory (extra: eightbit).",
    )
    learning_rate: float = setting(5e-05, "Peak learning rate of AdamW.", above=0, is_common=True)
    head_learning_rate: float | None = setting(
        None, "Peak learning rate of the classification head. Default: --learning-rate.", above=0
    )
    layer_decay: float = setting(
        1.0,
        "Learning-rate multiplier from each layer to the one below it; 1: the same"
        " rate everywhere.",
        above=0,
        maximum=1,
    )
    warmup_ratio: float = setting(
        0.1,
        "Share of all steps over which the learning rate rises from 0 to its peak.",
        minimum=0,
        maximum=1,
    )
    weight_decay: float = setting(
        0.0, "AdamW weight decay; not applied to biases and normalization layers.", minimum=0
    )
    scheduler: Literal["linear", "cosine", "constant", "wsd"] = setting(
        "linear",
        "Learning rate after the warm-up: linear or cosine decay to 0, constant, or"
        " wsd (constant, then linear decay to 0 over --decay-ratio).",
    )
    decay_ratio: float = setting(
        0.2,
        "With --scheduler wsd: share of all steps over which the learning rate decays to 0.",
        minimum=0,
        maximum=1,
    )
    ema_decay: float = setting(
        0.0,
        "Decay of the exponential moving average of the weights, such as 0.999; the"
        " average is evaluated and saved. 0: off.",
        minimum=0,
        maximum=0.99999,
    )
    loss: Literal["cross-entropy", "focal"] = setting(
        "cross-entropy", "Loss function. Multi-label: its binary form, averaged over the labels."
    )
    focal_gamma: float = setting(
        2.0,
        "Focusing parameter of --loss focal; a larger value gives easy clips less weight.",
        minimum=0,
    )
    label_smoothing: float = setting(
        0.0,
        "Share of the target probability that is spread over all classes; 0: off.",
        minimum=0,
        maximum=0.99,
    )
    class_weights: str = setting(
        "none",
        "Class weights of the loss: none, balanced (inverse to the number of"
        " training clips), or a CSV or YAML file of labels and weights.",
    )
    pos_weight: str = setting(
        "none",
        "Multi-label: weight of a label's positive clips in the loss: none, auto"
        " (negative / positive training clips, at most 20), or a number.",
    )
    sampler: Literal["uniform", "balanced"] = setting(
        "uniform",
        "Sampling: every clip once per epoch (uniform), or classes with equal"
        " probability (balanced).",
    )
    max_grad_norm: float = setting(
        1.0, "Maximum norm of the gradient; a larger one is scaled down to it. 0: off.", minimum=0
    )

    def __post_init__(self) -> None:
        """Check ranges and `pos_weight`."""
        super().__post_init__()
        if self.pos_weight not in ("none", "auto") and not _is_positive(self.pos_weight):
            raise SettingError(
                f"--pos-weight {self.pos_weight} is not possible: it is none, auto, or a number"
                " above 0, such as 3."
            )
