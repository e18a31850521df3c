"""Settings of the training: which checkpoint, how its weights move, how long and where to."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audio_cls.config.base import CountOrAuto, Section, find_faults, setting
from audio_cls.errors import SettingError

COMMIT = re.compile("[0-9a-f]{40}")  # the one name of a version that cannot be moved


def _is_positive(text: str) -> bool:
    """Tell whether a text is a finite number above 0."""
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


@dataclass(frozen=True)
class ModelConfig(Section):
    """Which checkpoint becomes the classifier."""

    model: str = setting("ntu-spml/distilhubert", "Hub id or folder of an audio model.")
    model_revision: str | None = setting(
        None, "Branch, tag or commit of the model; default: today's commit."
    )
    trust_remote_code: bool = setting(
        default=False,
        meaning="Run the code in the model's repository; must be typed, beside --model-revision.",
    )
    from_scratch: bool = setting(
        default=False, meaning="Start from random weights: only the model's configuration is read."
    )
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = setting(
        "auto", "How attention is computed; default: what transformers chooses."
    )
    weighted_layer_sum: bool | None = setting(
        None, "Classify a learnt mix of all layers (SUPERB); default: what the checkpoint says."
    )
    freeze: Literal["none", "features", "backbone"] = setting(
        "none",
        "Parts that do not learn: the front end below the transformer, or all but the head.",
    )
    unfreeze_after_epochs: int | None = setting(
        None, "Let the frozen parts learn after this many epochs; default: never.", minimum=1
    )

    lora_rank: int = setting(
        0, "Rank of LoRA adapters beside the attention, which alone learn; 0: none.", minimum=0
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
        "A layer learns so many times as fast as the one above it; the head is on top.",
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


@dataclass(frozen=True)
class TrainConfig(Section):
    """How long, how much at once, where to."""

    epochs: int = setting(10, "Passes over the training clips.", minimum=1)
    max_steps: int | None = setting(
        None, "Stop after this many optimizer steps; beats --epochs.", minimum=1
    )
    max_train_minutes: float | None = setting(
        None,
        "Stop training after this many minutes and judge what there is.",
        above=0,
        affects_training=False,
    )
    early_stopping_patience: int | None = setting(
        None,
        "Stop after this many evaluations without a better one.",
        minimum=1,
        affects_training=False,
    )
    batch_size: CountOrAuto = setting(
        8,
        "Training clips per process and forward pass; 'auto': as many as memory holds, with more"
        " passes per step where they are fewer.",
        minimum=1,
    )
    effective_batch_size: int | None = setting(
        None,
        "Clips of an optimizer step over all processes and passes; default: what the batch, the"
        " passes and the processes make (for 'auto', with a batch of 8).",
        minimum=1,
    )
    length_buckets: int | None = setting(
        None,
        "Sort clips by length, this many steps at a time, so that less is padding (32 wastes about"
        " 3 %); default: a plain shuffle.",
        minimum=1,
    )
    gradient_accumulation_steps: int = setting(1, "Forward passes per optimizer step.", minimum=1)
    mixed_precision: Literal["launcher", "no", "fp16", "bf16"] = setting(
        "launcher",
        "Number format; 'launcher': what accelerate launch says. On a CPU fp16 becomes no.",
    )
    gradient_checkpointing: bool = setting(
        default=False, meaning="Save memory: compute each layer again in the backward pass."
    )
    compile: bool = setting(
        default=False, meaning="Let torch compile the network; the first steps are slow then."
    )
    seeds: tuple[int, ...] = setting(
        (), "Several runs, one a seed, comma-separated; mean, sd and interval are told.", minimum=0
    )
    sweep: str | None = setting(
        None, "YAML file of settings to lists of values: a run each, compared in one table."
    )
    seed: int = setting(42, "Seed of weights, order, crops and dropout.", minimum=0)
    num_workers: int | None = setting(
        None,
        "Processes that load batches; default: 0 on a CPU, up to 4 beside an accelerator.",
        minimum=0,
        affects_training=False,
    )
    prefix_cache_gb: float | None = setting(
        None,
        "Most disk, in GB, for what frozen parts make of clips; 0: none; default: a quarter of"
        " what is free.",
        minimum=0,
        affects_training=False,
    )
    output_dir: str | None = setting(
        None, "Run folder; default: runs/DATASET-MODEL.", affects_training=False
    )
    overwrite: bool = setting(
        default=False, meaning="Replace the run that --output-dir holds.", affects_training=False
    )
    resume: str = setting(
        "never",
        "'auto' goes on from the run folder's last checkpoint, 'never', or a checkpoint folder.",
        affects_training=False,
    )
    dry_run: bool = setting(
        default=False,
        meaning="Only rehearse with a few clips, and tell the time, memory and disk of the run.",
        affects_training=False,
    )
    save_every_steps: int | None = setting(
        None,
        "Steps between checkpoints to resume from; default: one an epoch.",
        minimum=1,
        affects_training=False,
    )
    keep_checkpoints: int = setting(
        1, "Newest checkpoints to keep.", minimum=1, affects_training=False
    )
    log: Literal["text", "json", "quiet"] = setting(
        "text",
        "Settings, bar and a line an epoch; a JSON line an epoch; or warnings only.",
        affects_training=False,
    )
    report_to: tuple[str, ...] = setting(
        (), "Trackers, comma-separated: tensorboard, trackio, wandb ...", affects_training=False
    )
    measure_energy: bool = setting(
        default=False,
        meaning="Measure the electricity of the training and its CO2eq; needs the extra `energy`.",
    )
    energy_country: str | None = setting(
        None,
        "Whose electricity it is, ISO 3166 in three letters such as FRA; default: the world's"
        " average. It is published with the run.",
    )

    def __post_init__(self) -> None:
        """Check the ranges, and that the passes are said once."""
        faults = find_faults(self)
        if self.effective_batch_size is not None and self.gradient_accumulation_steps > 1:
            faults.append(
                "--effective-batch-size and --gradient-accumulation-steps both say how many passes"
                " make a step: give one of them."
            )
        if faults:
            raise SettingError(" ".join(faults))
