"""Every setting, once: frozen dataclasses with default, meaning, unit and range.

The command line, the presets, the printed summary, `run_config.yaml` and README's table are all
derived from the fields below. A field name is unique across the sections, so that flags stay flat:
`optim.learning_rate` is `--learning-rate`. Nothing here reads a file, downloads or mutates; values
that a checkpoint decides are `None` here.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from audio_cls.errors import SettingError

Seconds: TypeAlias = float
Hertz: TypeAlias = int
Range: TypeAlias = tuple[float, float]  # low, high

LOWER_IS_BETTER = ("log_loss", "loss", "ece", "eer")  # metrics that are errors
SHORTEST_CLIP: Seconds = 0.1  # the shortest clip or window that any backbone is asked to hear


def setting(
    default: Any,  # noqa: ANN401 (a default may have any type)
    meaning: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
) -> Any:  # noqa: ANN401 (dataclasses.field has no narrower type)
    """Declare one setting: its default, one sentence with the unit, and its range.

    Args:
        default: The value when neither a flag nor a preset gives one.
        meaning: The sentence that `--help` and README show.
        minimum: Smallest allowed value.
        maximum: Largest allowed value.
        above: Allowed values are strictly larger than this.

    Returns:
        A dataclass field that carries all of it as metadata.
    """
    metadata = {"meaning": meaning, "minimum": minimum, "maximum": maximum, "above": above}
    return field(default=default, metadata=metadata)


def flag_name(name: str) -> str:
    """Return the flag of a setting.

    >>> flag_name("learning_rate")
    '--learning-rate'
    """
    return "--" + name.replace("_", "-")


def describe_range(spec: Mapping[str, Any]) -> str:
    """Say in words which values are allowed.

    >>> describe_range({"minimum": 0, "maximum": 1, "above": None})
    '0 or more and 1 or less'
    """
    parts = []
    if spec["above"] is not None:
        parts.append(f"above {spec['above']:g}")
    if spec["minimum"] is not None:
        parts.append(f"{spec['minimum']:g} or more")
    if spec["maximum"] is not None:
        parts.append(f"{spec['maximum']:g} or less")
    return " and ".join(parts)


def find_faults(section: Any) -> list[str]:  # noqa: ANN401 (any of the dataclasses below)
    """List every field of `section` whose number is out of its range, as full sentences."""
    faults = []
    for spec in dataclasses.fields(section):
        given, allowed = getattr(section, spec.name), spec.metadata
        shown = ",".join(map(str, given)) if isinstance(given, tuple) else given
        numbers = [
            value
            for value in (given if isinstance(given, tuple) else (given,))
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        if not all(_is_allowed(value, allowed) for value in numbers):
            faults.append(
                f"{flag_name(spec.name)} {shown} is not possible: "
                f"it must be {describe_range(allowed)}."
            )
        elif len(numbers) == 2 and numbers[0] > numbers[1]:
            faults.append(
                f"{flag_name(spec.name)} {shown} is not possible: give the lower number first."
            )
    return faults


def _is_allowed(value: float, allowed: Mapping[str, Any]) -> bool:
    """Tell whether a number is in the range of its setting."""
    too_low = allowed["minimum"] is not None and value < allowed["minimum"]
    too_high = allowed["maximum"] is not None and value > allowed["maximum"]
    not_above = allowed["above"] is not None and value <= allowed["above"]
    return not (too_low or too_high or not_above or value != value)


class _Section:
    """A group of settings that checks its ranges as it is made."""

    def __post_init__(self) -> None:
        faults = find_faults(self)
        if faults:
            raise SettingError(" ".join(faults))


@dataclass(frozen=True)
class DataConfig(_Section):
    """Which clips, which labels, which splits."""

    dataset: str | None = setting(
        None, "Hub id, or a folder of parquet files, or a folder with a sub-folder a class."
    )
    dataset_config: str | None = setting(None, "Configuration (subset) of the data set.")
    dataset_revision: str | None = setting(
        None, "Branch, tag or commit of the data set; default: today's commit."
    )
    allow_partial: bool = setting(
        default=False, meaning="Accept a copy that the Hub cut at 5 GB (its `partial-` splits)."
    )
    audio_root: str | None = setting(
        None, "Folder that the paths in a CSV, TSV or JSON file start from; default: the file's."
    )
    audio_column: str | None = setting(
        None, "Column that holds the sound; default: the only audio column."
    )
    label_column: str | None = setting(
        None, "Column that holds the label; default: the only one that can."
    )
    label_separator: str | None = setting(
        None, "What parts the labels in a text that names several, such as ';'."
    )
    keep_labels: tuple[str, ...] = setting(
        (), "Only these labels, comma-separated; the other clips are left out."
    )
    drop_labels: tuple[str, ...] = setting(
        (), "Not these labels, comma-separated; their clips are left out."
    )
    min_clips_per_label: int | None = setting(
        None, "Leave out labels with fewer clips than this in all splits together.", minimum=1
    )
    merge_rare_into: str | None = setting(
        None, "Make the labels below --min-clips-per-label this one label instead."
    )
    group_column: str | None = setting(
        None, "Keep clips that share this value (speaker, track) in one split."
    )
    train_split: str = setting("train", "Name of the training split.")
    validation_split: str | None = setting(
        None,
        "Split that chooses the best epoch; default: validation, valid or dev, else a cut.",
    )
    test_split: str | None = setting(
        None,
        "Split that is reported; default: test, else a cut. 'validation': the same clips again.",
    )
    validation_size: float = setting(
        0.1, "Share of train cut off when there is no validation split.", above=0, maximum=0.9
    )
    test_size: float = setting(
        0.1, "Share of train cut off when there is no test split.", above=0, maximum=0.9
    )
    split_method: Literal["stratified", "shuffled"] = setting(
        "stratified",
        "How missing splits are cut: every class in its share, or a plain shuffle.",
    )
    split_seed: int = setting(
        42, "Seed of the cut; apart from --seed so that seeds share their splits.", minimum=0
    )
    folds: int | None = setting(
        None, "Cross-validate: this many runs, each tested on another fold.", minimum=2
    )
    fold_column: str | None = setting(
        None, "Column that deals the clips into folds, as in ESC-50; needs --fold or --folds."
    )
    fold: str | None = setting(
        None, "The one fold that is reported as test; with --folds a number from 1 on."
    )
    fold_validation: Literal["next", "cut"] = setting(
        "next", "With --fold: validate on the fold after it, or on a cut of the training folds."
    )
    split_files: str | None = setting(
        None,
        "Folder, run or address of train.txt, validation.txt and test.txt with a clip id a line.",
    )
    split_files_sha256: str | None = setting(
        None, "The lists' sha256; the run stops when --split-files has other ids."
    )
    deduplicate: bool = setting(
        default=False,
        meaning="Leave out clips whose sound is the same as another's; test keeps its clips.",
    )
    max_train_samples: int | None = setting(
        None, "Use at most this many training clips.", minimum=1
    )
    max_eval_samples: int | None = setting(
        None, "Use at most this many clips of validation and of test.", minimum=1
    )
    max_bad_share: float = setting(
        0.1, "Stop when more than this share of the clips cannot be read.", minimum=0, maximum=1
    )
    bad_audio: Literal["skip", "fail"] = setting(
        "skip", "Set clips aside that cannot be used (see bad_audio.csv), or stop at the first."
    )
    max_clip_seconds: Seconds | None = setting(
        None, "Set longer clips aside, in seconds; default: none is too long.", above=0
    )
    min_clip_seconds: Seconds = setting(
        0.025, "Set shorter clips aside, in seconds; 0.025 is what one frame hears.", minimum=0
    )
    drop_silent: bool = setting(
        default=False, meaning="Set clips aside that stay below -80 dB of full scale."
    )

    def __post_init__(self) -> None:
        """Check the ranges, and settings that need or exclude each other.

        Raises:
            SettingError: The text has every fault.
        """
        both = sorted(set(self.keep_labels) & set(self.drop_labels))
        pairs = [
            self.fold is None or self.fold_column is not None or self.folds is not None,
            self.fold_column is None or self.fold is not None or self.folds is not None,
            self.merge_rare_into is None or self.min_clips_per_label is not None,
            self.split_files_sha256 is None or self.split_files is not None,
            self.split_files is None or (self.fold_column is None and self.folds is None),
            not both,
        ]
        texts = [
            "--fold needs --fold-column or --folds, which say what the folds are.",
            "--fold-column needs --fold, or --folds for one run a fold.",
            "--merge-rare-into needs --min-clips-per-label, which says what is rare.",
            "--split-files-sha256 needs --split-files.",
            "--split-files and folds both say which clip is tested: give one of them.",
            f"--keep-labels and --drop-labels both name {', '.join(both)}: choose one.",
        ]
        faults = [*find_faults(self), *(t for ok, t in zip(pairs, texts, strict=True) if not ok)]
        if faults:
            raise SettingError(" ".join(faults))


@dataclass(frozen=True)
class AudioConfig(_Section):
    """What the model hears of a clip."""

    max_seconds: Seconds = setting(
        30.0, "Longest piece of a clip the model hears at once, in seconds.", minimum=SHORTEST_CLIP
    )
    crop: Literal["random", "start"] = setting(
        "random", "Where a training piece is cut from a longer clip."
    )
    window_seconds: Seconds | None = setting(
        None, "Evaluation window in seconds; default: --max-seconds.", minimum=SHORTEST_CLIP
    )
    hop_seconds: Seconds | None = setting(
        None, "Step between evaluation windows in seconds; default: one window.", minimum=0.05
    )
    aggregate: Literal["mean-logit", "mean-probability", "max", "vote", "first"] = setting(
        "mean-logit",
        "How window scores become the clip's score; 'first' hears the first window only.",
    )
    repeat_short: bool = setting(
        default=False,
        meaning="Repeat a clip shorter than the piece or window instead of padding it.",
    )
    normalize: bool | None = setting(
        None, "Zero mean and unit variance per clip; default: what the extractor says."
    )
    attention_mask: bool | None = setting(
        None, "Ask the extractor for a mask; default: what the extractor says."
    )


@dataclass(frozen=True)
class AugmentConfig(_Section):
    """How training clips are varied; all of it is off by default, none of it touches evaluation."""

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

    def __post_init__(self) -> None:
        """Check that the folder of noise comes with a loudness."""
        super().__post_init__()
        if self.noise_dir is not None and self.noise_snr_db is None:
            raise SettingError(
                f"--noise-dir {self.noise_dir} needs to know how loud the noise is: add "
                "--noise-snr-db LOW,HIGH, such as 10,30."
            )


@dataclass(frozen=True)
class ModelConfig(_Section):
    """Which checkpoint becomes the classifier."""

    model: str = setting("ntu-spml/distilhubert", "Hub id or folder of an audio model.")
    model_revision: str | None = setting(
        None, "Branch, tag or commit of the model; default: today's commit."
    )
    from_scratch: bool = setting(
        default=False, meaning="Start from random weights: only the model's configuration is read."
    )


@dataclass(frozen=True)
class OptimConfig(_Section):
    """How the weights move."""

    learning_rate: float = setting(5e-5, "Peak learning rate of AdamW.", above=0)
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
class TrainConfig(_Section):
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


@dataclass(frozen=True)
class EvalConfig(_Section):
    """How the classifier is judged."""

    metric: str = setting(
        "accuracy",
        "Validation metric that chooses the best epoch: one of ours, the folder or file of an"
        " `evaluate` module, or a metric id of the Hub.",
    )
    metric_goal: Literal["auto", "max", "min"] = setting(
        "auto",
        "Whether the best epoch has the largest or smallest metric; 'auto': smallest for"
        " log_loss, ece, eer and loss, else largest.",
    )
    eval_batch_size: int = setting(
        16, "Clips or windows per process and forward pass in evaluation.", minimum=1
    )

    @property
    def metric_key(self) -> str:
        """Return the metric's short name, for columns: a module's or a Hub id's last part.

        >>> EvalConfig(metric="./metrics/my_score.py").metric_key
        'my_score'
        """
        name = self.metric.replace("\\", "/").rstrip("/").rpartition("/")[2]
        return name.removesuffix(".py")

    def to_objective(self, metrics: Mapping[str, float]) -> float:
        """Return the number whose largest value is the best epoch; the worst for an undefined one.

        >>> EvalConfig(metric="log_loss").to_objective({"log_loss": 0.5})
        -0.5
        """
        value = metrics[self.metric_key]
        if value != value:
            return -math.inf
        is_lower_better = self.metric_goal == "auto" and self.metric_key in LOWER_IS_BETTER
        return -value if is_lower_better or self.metric_goal == "min" else value


@dataclass(frozen=True)
class HubConfig(_Section):
    """Where the result is published."""

    push_to_hub: bool = setting(default=False, meaning="Publish the finished run on the Hub.")
    hub_repo_id: str | None = setting(
        None, "Repository to publish to; default: your name and the run folder's."
    )
    private: bool = setting(default=False, meaning="Make a new repository private.")
    hub_strategy: Literal["end", "every-save", "best"] = setting(
        "end",
        "Publish when all is done, or also the best model so far: at every checkpoint, or whenever"
        " it got better.",
    )
    create_pr: bool = setting(
        default=False, meaning="Send the run as a pull request to a repository that exists."
    )
    license: str | None = setting(None, "Licence id for the card; default: the base model's.")
    task_id: str | None = setting(
        None, "Task of the data set's leaderboard; default: the configuration, else 'default'."
    )
    eval_notes: str | None = setting(
        None, "Notes for the leaderboard's entry; default: metric, clips and interval."
    )
    limits: str | None = setting(None, "A sentence for the card on what this model cannot do.")

    def __post_init__(self) -> None:
        """Check that a pull request is sent once."""
        super().__post_init__()
        if self.create_pr and self.hub_strategy != "end":
            raise SettingError(
                f"--create-pr sends one pull request when all is done, and --hub-strategy"
                f" {self.hub_strategy} publishes meanwhile: give one of them."
            )


@dataclass(frozen=True)
class RunConfig:
    """All settings of one run, section by section."""

    data: DataConfig = field(default_factory=DataConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    hub: HubConfig = field(default_factory=HubConfig)

    def __post_init__(self) -> None:
        """Check what spans sections.

        Raises:
            SettingError: Two settings contradict each other; the text names both.
        """
        faults = []
        if self.train.overwrite and self.train.resume != "never":
            faults.append("--overwrite and --resume contradict each other: give one of them.")
        window, hop = self.audio.window_seconds or self.audio.max_seconds, self.audio.hop_seconds
        if window > self.audio.max_seconds:
            faults.append(
                f"--window-seconds {window:g} is longer than --max-seconds "
                f"{self.audio.max_seconds:g}: the model never heard that much at once. "
                "Give at most --max-seconds."
            )
        if hop is not None and hop > window:
            faults.append(
                f"--hop-seconds {hop:g} would skip sound between windows of {window:g} s: "
                f"give at most {window:g}."
            )
        if faults:
            raise SettingError(" ".join(faults))

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> RunConfig:
        """Build the tree from `{setting name: value}`; names that are missing keep their default.

        Raises:
            SettingError: Values out of range or in contradiction; the text has all faults.
        """
        sections: dict[str, Any] = {}
        faults = []
        for name, section in SECTIONS.items():
            own = {
                spec.name: values[spec.name]
                for spec in dataclasses.fields(section)
                if spec.name in values
            }
            try:
                sections[name] = section(**own)
            except SettingError as error:
                faults.append(str(error))
        if faults:
            raise SettingError(" ".join(faults))
        return cls(**sections)

    def to_nested(self) -> dict[str, dict[str, Any]]:
        """Return `{section: {setting: value}}`, ready for YAML; tuples become lists."""
        return {
            section: {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in values.items()
            }
            for section, values in dataclasses.asdict(self).items()
        }


SECTIONS: dict[str, type[Any]] = {
    "data": DataConfig,
    "audio": AudioConfig,
    "augment": AugmentConfig,
    "model": ModelConfig,
    "optim": OptimConfig,
    "train": TrainConfig,
    "eval": EvalConfig,
    "hub": HubConfig,
}


@dataclass(frozen=True)
class Setting:
    """One field seen from outside: what a command line or a table needs to know of it."""

    section: str
    name: str
    type: Any  # the type without None: str, int, float, bool, tuple[str, ...] or a Literal
    is_optional: bool
    default: Any
    meaning: str
    allowed: str  # the range in words, empty when any value goes

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words of a Literal, else empty."""
        return typing.get_args(self.type) if typing.get_origin(self.type) is Literal else ()


def iterate_settings(*sections: str) -> Iterator[Setting]:
    """Yield every setting in reading order, or those of the named sections."""
    for section, owner in SECTIONS.items():
        if sections and section not in sections:
            continue
        hints = typing.get_type_hints(owner)
        for spec in dataclasses.fields(owner):
            hint = hints[spec.name]
            is_optional = isinstance(hint, types.UnionType) and type(None) in typing.get_args(hint)
            if is_optional:
                (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
            yield Setting(
                section,
                spec.name,
                hint,
                is_optional,
                spec.default,
                spec.metadata["meaning"],
                describe_range(spec.metadata),
            )
