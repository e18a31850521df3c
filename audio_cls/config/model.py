"""Settings of the model: checkpoint, attention implementation, freezing, LoRA."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audio_cls.config.base import Section, setting
from audio_cls.errors import SettingError

COMMIT = re.compile("[0-9a-f]{40}")  # the one name of a version that cannot be moved


@dataclass(frozen=True)
class ModelConfig(Section):
    """Which checkpoint becomes the classifier."""

    model: str = setting("ntu-spml/distilhubert", "Hub id or folder of an audio model.")
    model_revision: str | None = setting(
        None, "Branch, tag or commit of the model; default: today's commit."
    )
    trust_remote_code: bool = setting(
        default=False,
        meaning="Run code from the model's repository; must be given on the command line, with"
        " --model-revision.",
    )
    from_scratch: bool = setting(
        default=False, meaning="Start from random weights: only the model's configuration is read."
    )
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = setting(
        "auto", "How attention is computed; default: what transformers chooses."
    )
    weighted_layer_sum: bool | None = setting(
        None,
        "Classify a learned weighted sum of all hidden layers (SUPERB); default: as checkpoint.",
    )
    freeze: Literal["none", "features", "backbone"] = setting(
        "none",
        "Parts that do not learn: the front end below the transformer, or all but the head.",
    )
    unfreeze_after_epochs: int | None = setting(
        None, "Let the frozen parts learn after this many epochs; default: never.", minimum=1
    )

    lora_rank: int = setting(
        0,
        "Rank of LoRA adapters on the attention; only they and the head are trained; 0: off.",
        minimum=0,
    )
    lora_alpha: float | None = setting(
        None, "LoRA's scale times its rank; default: twice the rank.", above=0
    )
    lora_dropout: float = setting(0.0, "Dropout before the adapters.", minimum=0, maximum=0.9)

    def __post_init__(self) -> None:
        """Check that what shall wake sleeps, what shall sleep is not adapted, and code is pinned.

        Raises:
            SettingError: Two settings contradict each other; the text names both.
        """
        super().__post_init__()
        is_pinned = COMMIT.fullmatch(self.model_revision or "") is not None
        if self.trust_remote_code and not is_pinned and not Path(self.model).is_dir():
            raise SettingError(
                f"--trust-remote-code runs code of '{self.model}', which may change at any time, "
                f"and --model-revision is {self.model_revision or 'not given'}: give the commit "
                "that you read, 40 digits and letters, or a folder with --model."
            )
        if self.lora_rank and (self.freeze == "backbone" or self.unfreeze_after_epochs):
            raise SettingError(
                f"--lora-rank {self.lora_rank} lets adapters learn in a backbone that is frozen for"
                " good: leave --freeze backbone and --unfreeze-after-epochs out."
            )
