"""Settings of the model: checkpoint, attention implementation, freezing, LoRA."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from audio_cls.config.base import Section, setting
from audio_cls.errors import SettingError

COMMIT = re.compile("[0-9a-f]{40}")  # a branch or tag may change, a commit cannot


@dataclass(frozen=True)
class ModelConfig(Section):
    """The checkpoint to fine-tune, and which of its weights are trained."""

    heading: ClassVar[str] = "Model"

    model: str = setting(
        "ntu-spml/distilhubert",
        "Hub id or folder of the audio checkpoint to fine-tune.",
        is_common=True,
    )
    model_revision: str | None = setting(
        None, "Branch, tag or commit of the model. Default: the newest commit."
    )
    trust_remote_code: bool = setting(
        default=False,
        meaning="Run code from the model's repository. Must be given on the command line,"
        " with --model-revision COMMIT.",
    )
    from_scratch: bool = setting(
        default=False,
        meaning="Start from random weights; only the configuration of --model is read.",
    )
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = setting(
        "auto", "Attention implementation; auto: the one that transformers chooses."
    )
    weighted_layer_sum: bool | None = setting(
        None,
        "Classify a learned weighted sum of all hidden layers, as in SUPERB."
        " Default: the checkpoint's setting.",
    )
    pooling: Literal["auto", "mean", "mean_std", "attention"] = setting(
        "auto",
        "What a pooled head classifies: the mean over the frames, mean and standard deviation, or a"
        " mean with learned weights (attention). auto: the checkpoint's, else mean. Models with a"
        " head in transformers take mean only.",
    )
    freeze: Literal["none", "features", "backbone"] = setting(
        "none",
        "Weights not to train: the front end's (features), or all but the head's (backbone).",
        is_common=True,
    )
    unfreeze_after_epochs: int | None = setting(
        None, "Train the frozen weights too after this many epochs. Default: never.", minimum=1
    )

    lora_rank: int = setting(
        0,
        "Rank of LoRA adapters on the attention layers; only adapters and head are"
        " trained. 0: off.",
        minimum=0,
    )
    lora_alpha: float | None = setting(
        None,
        "LoRA alpha: the adapters' output is scaled by alpha / rank. Default: twice the rank.",
        above=0,
    )
    lora_dropout: float = setting(
        0.0, "Dropout probability of the adapters' input.", minimum=0, maximum=0.9
    )

    def __post_init__(self) -> None:
        """Check that remote code is of a given commit, and LoRA against freezing.

        Raises:
            SettingError: Two settings contradict each other; the text names both.
        """
        super().__post_init__()
        is_pinned = COMMIT.fullmatch(self.model_revision or "") is not None
        if self.trust_remote_code and not is_pinned and not Path(self.model).is_dir():
            raise SettingError(
                f"--trust-remote-code runs code of '{self.model}', which may change at any time,"
                f" and --model-revision is {self.model_revision or 'not given'}: give the commit"
                " whose code you have read (40 digits and letters), or a local folder as --model."
            )
        if self.lora_rank and (self.freeze == "backbone" or self.unfreeze_after_epochs):
            raise SettingError(
                f"--lora-rank {self.lora_rank} trains adapters in layers that stay frozen: leave"
                " --freeze backbone and --unfreeze-after-epochs out."
            )
