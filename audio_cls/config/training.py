"""Settings of the training: epochs, batch size, precision, workers, output folder, resume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from audio_cls.config.base import CountOrAuto, Section, find_errors, setting
from audio_cls.errors import SettingError


@dataclass(frozen=True)
class TrainConfig(Section):
    """How long, how much at once, where to."""

    epochs: int = setting(10, "Passes over the training clips.", minimum=1)
    max_steps: int | None = setting(
        None, "Stop after this many optimizer steps; beats --epochs.", minimum=1
    )
    max_train_minutes: float | None = setting(
        None,
        "Stop training after this many minutes, then evaluate the best model so far.",
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
        (), "One run per seed, comma-separated; mean, sd and interval are reported.", minimum=0
    )
    sweep: str | None = setting(
        None, "YAML file of settings to lists of values: a run each, compared in one table."
    )
    seed: int = setting(42, "Seed of weights, order, crops and dropout.", minimum=0)
    num_workers: int | None = setting(
        None,
        "Processes that load batches; default: 0 on a CPU, up to 4 with an accelerator.",
        minimum=0,
        affects_training=False,
    )
    feature_cache_gb: float | None = setting(
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
        meaning="Dry run: train on a few clips and estimate the time, memory and disk of the run.",
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
        faults = find_errors(self)
        if self.effective_batch_size is not None and self.gradient_accumulation_steps > 1:
            faults.append(
                "--effective-batch-size and --gradient-accumulation-steps both say how many passes"
                " make a step: give one of them."
            )
        if faults:
            raise SettingError(" ".join(faults))


DEFAULT_BATCH_SIZE = (
    8  # clips a pass, of which the step of 'auto' is made when nothing says how large
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
            f"--effective-batch-size {cfg.effective_batch_size} is no multiple of {at_once}, the"
            f" clips of --batch-size {cfg.batch_size} on {num_processes} processes. Give a"
            " multiple, or another --batch-size."
        )
    return cfg.effective_batch_size // at_once
