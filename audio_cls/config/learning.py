"""Settings of the training: which checkpoint, how its weights move, how long and where to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from audio_cls.config.settings import Section, setting
from audio_cls.errors import SettingError


@dataclass(frozen=True)
class ModelConfig(Section):
    """Which checkpoint becomes the classifier."""

    model: str = setting("ntu-spml/distilhubert", "Hub id or folder of an audio model.")
    model_revision: str | None = setting(
        None, "Branch, tag or commit of the model; default: today's commit."
    )
    from_scratch: bool = setting(
        default=False, meaning="Start from random weights: only the model's configuration is read."
    )
    freeze: Literal["none", "features", "backbone"] = setting(
        "none",
        "Parts that do not learn: the front end below the transformer, or all but the head.",
    )
    unfreeze_after_epochs: int | None = setting(
        None, "Let the frozen parts learn after this many epochs; default: never.", minimum=1
    )

    def __post_init__(self) -> None:
        """Check that what shall wake sleeps.

        Raises:
            SettingError: Two settings contradict each other; the text names both.
        """
        super().__post_init__()
        if self.unfreeze_after_epochs is not None and self.freeze == "none":
            raise SettingError(
                f"--unfreeze-after-epochs {self.unfreeze_after_epochs} has nothing to wake: add "
                "--freeze features or --freeze backbone."
            )


@dataclass(frozen=True)
class OptimConfig(Section):
    """How the weights move."""

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
        0.0, "Decay of the moving average of the weights that is judged; 0: none.", minimum=0
    )
    label_smoothing: float = setting(
        0.0, "Share of the target spread over all classes.", minimum=0, maximum=0.99
    )
    max_grad_norm: float = setting(
        1.0, "Clip the gradient's norm to this; 0 switches it off.", minimum=0
    )


@dataclass(frozen=True)
class TrainConfig(Section):
    """How long, how much at once, where to."""

    epochs: int = setting(10, "Passes over the training clips.", minimum=1)
    max_steps: int | None = setting(
        None, "Stop after this many optimizer steps; beats --epochs.", minimum=1
    )
    max_train_minutes: float | None = setting(
        None, "Stop training after this many minutes and judge what there is.", above=0
    )
    early_stopping_patience: int | None = setting(
        None, "Stop after this many evaluations without a better one.", minimum=1
    )
    batch_size: int = setting(8, "Training clips per process and forward pass.", minimum=1)
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
    seeds: tuple[int, ...] = setting(
        (), "Several runs, one a seed, comma-separated; mean, sd and interval are told.", minimum=0
    )
    seed: int = setting(42, "Seed of weights, order, crops and dropout.", minimum=0)
    num_workers: int | None = setting(
        None,
        "Processes that load batches; default: 0 on a CPU, up to 4 beside an accelerator.",
        minimum=0,
    )
    prefix_cache_gb: float | None = setting(
        None,
        "Most disk, in GB, for what frozen parts make of clips; 0: none; default: a quarter of"
        " what is free.",
        minimum=0,
    )
    output_dir: str | None = setting(None, "Run folder; default: runs/DATASET-MODEL.")
    overwrite: bool = setting(default=False, meaning="Replace the run that --output-dir holds.")
    resume: str = setting(
        "never",
        "'auto' goes on from the run folder's last checkpoint, 'never', or a checkpoint folder.",
    )
    save_every_steps: int | None = setting(
        None, "Steps between checkpoints to resume from; default: one an epoch.", minimum=1
    )
    keep_checkpoints: int = setting(1, "Newest checkpoints to keep.", minimum=1)
    log: Literal["text", "json", "quiet"] = setting(
        "text", "Settings, bar and a line an epoch; a JSON line an epoch; or warnings only."
    )
    report_to: tuple[str, ...] = setting(
        (), "Trackers, comma-separated: tensorboard, trackio, wandb ..."
    )
