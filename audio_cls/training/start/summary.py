"""Summary at the start of a run: what is trained on what, where and for how long (pure functions).

`StartFacts` holds the facts, which `--log json` writes as the event `start`; `format_start` makes
the lines of the log from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from audio_cls.errors import count_of, quote_comma
from audio_cls.text_table import NO_BREAK, TERMINAL_WIDTH, shorten, to_line, wrap_text

LABEL_WIDTH = 12  # columns of the label at the start of a row
NAMED_CLASSES = 8  # classes that are named

Row = tuple[str, str]  # label, text


@dataclass(frozen=True, kw_only=True)
class StartFacts:
    """Facts of a run that is about to train."""

    run: str = ""  # which of several: "fold 2 of 5"
    dataset: str
    dataset_config: str | None = None
    dataset_revision: str | None = None  # if one was given
    preset: str | None = None
    preset_reason: str = ""
    label_column: str = ""
    classes: tuple[str, ...]
    is_multilabel: bool = False
    clips: dict[str, int]  # role -> clips
    epoch_clips: int | None = None  # of training in one epoch, where that is a sample
    is_streamed: bool = False  # then the training clips are read as they are needed
    is_test_validation: bool = False
    groups: str | None = None  # what no two splits share: column or pattern
    # role -> groups of validation and test, where no two splits share one
    split_groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    is_dry_run: bool = False
    method: str = "fine-tune"  # value of --method
    sampling_rate: int  # Hz
    max_seconds: float  # of a training crop
    model: str
    head: str = ""  # "new classification head" or where it is from
    parameters: int
    trainable_parameters: int
    freeze: str = ""  # a note: what is frozen, and for how long
    device: str
    processes: int = 1
    precision: str = "float32"
    precision_reason: str = ""
    epochs: float = 0
    steps_per_epoch: int = 0
    steps: int = 0  # none without gradient steps
    clips_per_step: int = 0
    first_step: int = 0  # steps that are done, of a run that is resumed
    checkpoint: str | None = None  # that it is resumed from
    output_dir: str | None  # None: a dry run, which keeps no files
    settings: dict[str, str] = field(default_factory=dict)  # flag -> value, if not the default


def format_start(facts: StartFacts) -> list[Row]:
    """Return the rows of the summary, in reading order."""
    rows = [
        ("data set", _describe_dataset(facts)),
        ("preset", f"{facts.preset}: {facts.preset_reason}" if facts.preset else ""),
        ("classes", _describe_classes(facts)),
        ("clips", _describe_clips(facts)),
        ("groups", _describe_groups(facts)),
        ("audio", f"{facts.sampling_rate:,} Hz, crops of at most {facts.max_seconds:g} s"),
        ("model", _describe_model(facts)),
        ("device", _describe_device(facts)),
        ("training", _describe_steps(facts)),
        ("run folder", _describe_folder(facts)),
        ("settings", join_settings(facts.settings)),
    ]
    return [(label, text) for label, text in rows if text]


def join_settings(settings: Mapping[str, str]) -> str:
    """Return settings, flag -> value, as a list in which no flag is parted from its value."""
    return ", ".join(
        f"{flag} {value}".rstrip().replace(" ", NO_BREAK) for flag, value in settings.items()
    )


def wrap_rows(rows: Sequence[Row]) -> list[str]:
    """Return the lines of rows, wrapped within a terminal; a path or a flag is never cut.

    >>> wrap_rows([("device", "cpu, 1 process, float32")])
    ['device      cpu, 1 process, float32']
    """
    lines = []
    for label, text in rows:
        lines += wrap_text(text, " " * LABEL_WIDTH, label.ljust(LABEL_WIDTH))
    return lines


def format_resume(facts: StartFacts) -> str:
    """Return the line of a run that is resumed or of a dry run; empty for a new one."""
    if facts.is_dry_run:
        return "Dry run: the clips, epochs and steps below are not those of the full run."
    if facts.checkpoint is None:
        return ""
    return f"Resuming from step {facts.first_step:,} of {facts.steps:,} ({facts.checkpoint})"


def _describe_dataset(facts: StartFacts) -> str:
    """Return id, configuration, pinned revision and label column."""
    parts = [facts.dataset]
    if facts.dataset_config:
        parts.append(f"configuration {facts.dataset_config}")
    if facts.dataset_revision:
        parts.append(f"revision {facts.dataset_revision[:12]}")
    if facts.label_column:
        parts.append(f"label '{facts.label_column}'")
    return ", ".join(parts)


def _describe_classes(facts: StartFacts) -> str:
    """Return the number of classes and the first names."""
    names = [quote_comma(to_line(name)) for name in facts.classes[:NAMED_CLASSES]]
    rest = "" if len(names) == len(facts.classes) else ", ..."
    kind = " (multi-label)" if facts.is_multilabel else ""
    return f"{len(facts.classes)}{kind}: {', '.join(names)}{rest}"


def _describe_clips(facts: StartFacts) -> str:
    """Return the clips of each split, and what the splits share or do not."""
    train = "train streamed" if facts.is_streamed else f"{facts.clips['train']:,} train"
    if facts.epoch_clips is not None:
        train += f" ({facts.epoch_clips:,} in each epoch)"
    if facts.is_test_validation:
        parts = [train, f"{facts.clips['validation']:,} validation = test (the same clips)"]
    else:
        validation = facts.clips.get("validation")
        parts = [
            train,
            f"{validation:,} validation" if validation else "no validation",
            f"{facts.clips['test']:,} test",
        ]
    groups = f"; split by group ({facts.groups})" if facts.groups else ""
    return ", ".join(parts) + groups


def _describe_groups(facts: StartFacts) -> str:
    """Return the groups of validation and test, each cut to one line."""
    size = TERMINAL_WIDTH - LABEL_WIDTH
    parts = {
        role: f"{role}: {', '.join(map(quote_comma, names))}"
        for role, names in facts.split_groups.items()
    }
    if facts.is_test_validation:
        parts.pop("validation", None)
    if len("; ".join(parts.values())) <= size:
        return "; ".join(parts.values())
    size = size // 2 - len("; ")
    counts = {role: f" ({len(facts.split_groups[role])})" for role in parts}
    shown = [shorten(text, size - len(counts[role])) + counts[role] for role, text in parts.items()]
    return "; ".join(shown)


def _describe_model(facts: StartFacts) -> str:
    """Return the checkpoint, its parameters and how many of them are trained."""
    if facts.trainable_parameters == facts.parameters:
        count = f"{facts.parameters:,} parameters, all trainable"
    else:
        count = f"{facts.parameters:,} parameters, {facts.trainable_parameters:,} trainable"
    notes = f" ({facts.freeze})" if facts.freeze else ""
    return ", ".join(part for part in (facts.model, f"{count}{notes}", facts.head) if part)


def _describe_device(facts: StartFacts) -> str:
    """Return device, processes and number format."""
    processes = count_of(facts.processes, "process")
    reason = f" ({facts.precision_reason})" if facts.precision_reason else ""
    return f"{facts.device}, {processes}, {facts.precision}{reason}"


def _describe_folder(facts: StartFacts) -> str:
    """Return the run folder; empty for one of several runs, whose title names it."""
    if facts.output_dir is None:
        return "none: a dry run keeps no files"
    return "" if facts.run else facts.output_dir


def _describe_steps(facts: StartFacts) -> str:
    """Return the number of steps as epochs and steps per epoch, and the clips of a step."""
    if facts.method == "probe":
        return "linear probe: logistic regression on each layer of the frozen encoder"
    if facts.method == "auto":
        return "auto: linear probe, fine-tuning from it, averages of weights; one is kept"
    clips = f"{count_of(facts.clips_per_step, 'clip')} per step"
    steps, per_epoch = count_of(facts.steps, "step"), count_of(facts.steps_per_epoch, "step")
    if facts.is_streamed:
        return f"{steps}, {clips}"
    if facts.epochs == int(facts.epochs):
        return f"{count_of(int(facts.epochs), 'epoch')} x {per_epoch} = {steps}, {clips}"
    return f"{steps} ({facts.epochs:.2g} epochs, {per_epoch} per epoch), {clips}"
