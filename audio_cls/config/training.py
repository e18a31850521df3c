"""Settings of the training: epochs, batch size, precision, workers, output folder, resume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from audio_cls.config.base import CountOrAuto, Section, find_errors, setting
from audio_cls.errors import SettingError, count_of


@dataclass(frozen=True)
class TrainingSettings(Section):
    """Length of the training, batch size, precision, several runs."""

    heading: ClassVar[str] = "Training"

    method: Literal["fine-tune", "probe", "auto"] = setting(
        "fine-tune",
        "fine-tune: train the network; probe: logistic regression on its best layer; auto: the"
        " best of both on validation.",
        is_common=True,
    )
    epochs: int = setting(10, "Passes over the training clips.", minimum=1, is_common=True)
    max_steps: int | None = setting(
        None,
        "Stop after this many optimizer steps, whatever --epochs is. Default: no limit.",
        minimum=1,
    )
    max_train_minutes: float | None = setting(
        None,
        "Stop training after this many minutes, then evaluate the best model so far."
        " Default: no limit.",
        above=0,
        affects_training=False,
    )
    early_stopping_patience: int | None = setting(
        None,
        "Stop after this many validations in a row without a better --metric. Default: off.",
        minimum=1,
        affects_training=False,
    )
    refit: bool = setting(
        default=False,
        meaning="After validation has chosen the epoch, layer or candidate, train again on training"
        " and validation clips together, for the same number of steps.",
    )
    batch_size: CountOrAuto = setting(
        8,
        "Training clips per process and forward pass; auto: the most that fit in memory.",
        minimum=1,
        is_common=True,
    )
    effective_batch_size: int | None = setting(
        None,
        "Clips per optimizer step over all processes and forward passes. Default:"
        " batch size x passes x processes (for auto: with a batch of 8).",
        minimum=1,
    )
    length_buckets: int | None = setting(
        None,
        "Sort clips by length within this many steps, to reduce padding (32: about 3"
        " % padding). Default: plain shuffle.",
        minimum=1,
    )
    gradient_accumulation_steps: int = setting(
        1, "Forward passes per optimizer step: larger steps without more memory.", minimum=1
    )
    mixed_precision: Literal["auto", "launcher", "no", "fp16", "bf16"] = setting(
        "auto",
        "Number format of matrix products. auto: bf16 where the device computes it natively, fp16"
        " on older GPUs, else no (float32); launcher: that of accelerate launch.",
    )
    gradient_checkpointing: bool = setting(
        default=False, meaning="Recompute each layer in the backward pass: less memory, slower."
    )
    compile: bool = setting(
        default=False,
        meaning="Compile the model with torch.compile: faster steps after slow first ones.",
    )
    seeds: tuple[int, ...] = setting(
        (),
        "Train one run per seed, comma-separated such as 0,1,2; reports mean,"
        " standard deviation and interval.",
        minimum=0,
    )
    sweep: str | None = setting(
        None,
        "YAML file of settings and lists of values: trains one run per combination"
        " and compares them in a table.",
    )
    seed: int = setting(
        42,
        "Seed of the head's weights, order of clips, crops and dropout.",
        minimum=0,
        is_common=True,
    )
    num_workers: int | None = setting(
        None,
        "Processes that load clips. Default: 0 on a CPU, up to 4 with an accelerator.",
        minimum=0,
        affects_training=False,
    )
    feature_cache_gb: float | None = setting(
        None,
        "Disk limit, in GB, of the feature cache of frozen layers; 0: no cache."
        " Default: a quarter of the free space.",
        minimum=0,
        affects_training=False,
    )


@dataclass(frozen=True)
class RunFolderSettings(Section):
    """Run folder, checkpoints, resuming, output and trackers."""

    heading: ClassVar[str] = "Run folder and output"

    output_dir: str | None = setting(
        None, "Run folder. Default: runs/DATASET-MODEL.", affects_training=False, is_common=True
    )
    overwrite: bool = setting(
        default=False,
        meaning="Replace the run in --output-dir.",
        affects_training=False,
        is_common=True,
    )
    resume: str = setting(
        "never",
        "Continue from the run folder's last checkpoint (auto) or a checkpoint folder.",
        affects_training=False,
        is_common=True,
    )
    dry_run: bool = setting(
        default=False,
        meaning="Train on a few clips, then print the time, memory and disk space that the"
        " run needs.",
        affects_training=False,
        is_common=True,
    )
    save_every_steps: int | None = setting(
        None,
        "Optimizer steps between the checkpoints to resume from. Default: one per epoch.",
        minimum=1,
        affects_training=False,
    )
    keep_checkpoints: int = setting(
        1,
        "Number of newest checkpoints to keep; 0: one during training, none when the run is"
        " finished, which saves disk but excludes training it longer.",
        minimum=0,
        affects_training=False,
    )
    log: Literal["text", "json", "quiet"] = setting(
        "text",
        "Output: text (settings, progress bar, a line per epoch), json (one object"
        " per line) or quiet (warnings and one line with the result).",
        affects_training=False,
    )
    report_to: tuple[str, ...] = setting(
        (),
        "Trackers, comma-separated, such as tensorboard, trackio or wandb. Default: none.",
        affects_training=False,
    )
    measure_energy: bool = setting(
        default=False,
        meaning="Measure the electricity that training uses and its CO2 equivalent (extra:"
        " energy).",
    )
    energy_country: str | None = setting(
        None,
        "Country of the electricity, ISO 3166 alpha-3 such as FRA; published with"
        " the run. Default: world average.",
    )


@dataclass(frozen=True)
class TrainConfig(RunFolderSettings, TrainingSettings):
    """Settings of the training: the fields of `TrainingSettings`, then `RunFolderSettings`."""

    def __post_init__(self) -> None:
        """Check ranges; at most one of effective_batch_size and gradient_accumulation_steps."""
        faults = find_errors(self)
        if self.effective_batch_size is not None and self.gradient_accumulation_steps > 1:
            faults.append(
                "--effective-batch-size and --gradient-accumulation-steps both set the clips per"
                " step: give one of them."
            )
        if self.refit and self.max_train_minutes is not None:
            faults.append(
                "--refit repeats the steps that validation chose, which --max-train-minutes would"
                " cut short: give one of them, or a smaller --epochs."
            )
        if self.refit and self.resume not in ("never", "auto"):
            faults.append(
                f"--refit has two trainings, and --resume {self.resume} names the checkpoint of"
                " one: give --resume auto."
            )
        if self.output_dir == "":
            faults.append("--output-dir is empty: give a folder, or leave it out for the default.")
        if faults:
            raise SettingError(" ".join(faults))


DEFAULT_BATCH_SIZE = (
    8  # clips per forward pass; the step size of --batch-size auto without another setting
)


def accumulation_steps(cfg: TrainConfig, num_processes: int) -> int:
    """Return the forward passes of an optimizer step on each process.

    >>> accumulation_steps(TrainConfig(batch_size=4, effective_batch_size=32), 2)
    4

    Raises:
        SettingError: `--effective-batch-size` cannot be divided evenly.
    """
    if cfg.effective_batch_size is None:
        return cfg.gradient_accumulation_steps
    at_once = num_processes * (1 if cfg.batch_size == "auto" else cfg.batch_size)
    if cfg.effective_batch_size % at_once:
        raise SettingError(
            f"--effective-batch-size {cfg.effective_batch_size} is not a multiple of {at_once}"
            f" (--batch-size {cfg.batch_size} on {count_of(num_processes, 'process')}). Give a"
            f" multiple of {at_once}, or another --batch-size."
        )
    return cfg.effective_batch_size // at_once
