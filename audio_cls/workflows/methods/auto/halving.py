"""Successive halving of the fine-tuning candidates of a run."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_cls.config import RunConfig
from audio_cls.config.training import accumulation_steps
from audio_cls.distributed.processes import is_main_process, wait_for_processes
from audio_cls.errors import TrainingError
from audio_cls.run_warnings import warn
from audio_cls.text_table import wrap_text
from audio_cls.training.start.inputs import MethodInputs
from audio_cls.workflows.methods.auto.candidate import (
    Progress,
    read_progress,
    stop_candidate,
    train_candidate,
)
from audio_cls.workflows.methods.auto.plan import (
    Rung,
    list_cases,
    make_candidate_config,
    plan_halving,
)
from audio_cls.workflows.methods.auto.table import format_settings

CANDIDATES = "candidates"  # folder of a run
FINE_TUNED = "fine-tune"  # start of the names of fine-tuned candidates

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuning candidate after the last stage that it was trained in."""

    name: str  # of its folder
    path: Path
    settings: dict[str, Any]  # in which it differs from the others
    progress: Progress


@dataclass(frozen=True)
class Schedule:
    """Stages of successive halving in optimizer steps."""

    rungs: tuple[Rung, ...]
    steps_per_epoch: int
    max_steps: int | None  # where the training has less than one epoch

    def last_step(self, rung: Rung) -> int:
        """Return the step after which a stage ends."""
        return self.max_steps or rung.epoch * self.steps_per_epoch

    @property
    def num_steps(self) -> int:
        """Return the length of the learning-rate schedule."""
        return self.last_step(self.rungs[-1])


def make_schedule(shared: MethodInputs) -> Schedule:
    """Return the stages for the length of one fine-tuning, `--epochs` or `--max-steps`."""
    cfg = shared.cfg
    num_processes = shared.accelerator.num_processes
    passes = accumulation_steps(cfg.train, num_processes)
    clips_per_step = int(cfg.train.batch_size) * passes * num_processes
    per_epoch = -(-len(shared.epoch_labels) // clips_per_step)
    num_steps = cfg.train.max_steps or cfg.train.epochs * per_epoch
    num_epochs = max(1, num_steps // per_epoch)
    is_short = num_steps < per_epoch
    rungs = tuple(plan_halving(num_epochs))
    return Schedule(rungs, per_epoch, num_steps if is_short else None)


def run_halving(shared: MethodInputs, begin_with: Path, seconds_used: float) -> list[FineTuned]:
    """Train the candidates stage by stage. Call on every process.

    One that is left behind loses its checkpoints; its settings and summary.csv stay.

    Args:
        shared: What all candidates share.
        begin_with: Folder of the model that all start from.
        seconds_used: Of `--max-train-minutes`, so far.

    Returns:
        All candidates, the one with the lowest validation log loss of the last stage first.
    """
    schedule = make_schedule(shared)
    configs = _make_configs(shared, schedule, begin_with)
    alive, last = list(configs), schedule.rungs[-1].epoch
    found: dict[str, FineTuned] = {}
    start = 0
    for rung in schedule.rungs:
        for name in alive[rung.num_cases :]:
            _stop(found[name])
        alive = alive[: rung.num_cases]
        for place, name in enumerate(alive):
            cfg, settings = configs[name]
            share = share_of_plan(schedule.rungs, rung, start, place)
            limit = _limit_minutes(shared.cfg, found, name, seconds_used, share)
            title = describe_stage(name, settings, f"epochs {start + 1} to {rung.epoch} of {last}")
            progress = _train(title, cfg, shared, schedule.last_step(rung), limit)
            found[name] = FineTuned(name, Path(str(cfg.train.output_dir)), settings, progress)
        alive = [one for one in alive if math.isfinite(found[one].progress.loss)]
        alive.sort(key=lambda name: found[name].progress.loss)
        start = rung.epoch
    wait_for_processes()
    return [found[name] for name in dict.fromkeys([*alive, *found])]


def _train(
    title: str, cfg: RunConfig, shared: MethodInputs, last_step: int, limit: float | None
) -> Progress:
    """Train a candidate; one whose training fails, such as by a loss of NaN, is left behind."""
    try:
        return train_candidate(cfg, shared, last_step, limit, title=title)
    except TrainingError as error:
        path = Path(str(cfg.train.output_dir))
        warn(logger, f"Candidate {path.name} is left out, because its training failed: {error}")
        before = read_progress(path)
        failed = Progress(last_step, before.seconds if before else 0.0, {}, 0.0)
        if is_main_process():
            stop_candidate(path, failed)
        wait_for_processes()
        return failed


def _stop(one: FineTuned) -> None:
    """End a candidate that is left behind. Call on every process."""
    if is_main_process():
        stop_candidate(one.path, one.progress)
    wait_for_processes()


def _make_configs(
    shared: MethodInputs, schedule: Schedule, begin_with: Path
) -> dict[str, tuple[RunConfig, dict[str, Any]]]:
    """Return name -> (settings of the run, those in which the cases differ) of each candidate."""
    cases = list_cases(shared.cfg, schedule.rungs[0].num_cases)
    configs = {}
    for number, case in enumerate(cases, start=1):
        name = f"{FINE_TUNED}-{number}"
        folder = shared.folder.path / CANDIDATES / name
        cfg = make_candidate_config(
            shared.cfg, case, str(begin_with), str(folder), num_steps=schedule.num_steps
        )
        configs[name] = (cfg, case)
    return configs


def share_of_plan(rungs: tuple[Rung, ...], rung: Rung, start: int, place: int) -> float:
    """Return the share of a candidate's stage in the epochs that are left in the plan.

    Args:
        rungs: All stages.
        rung: The stage.
        start: Epochs that its candidates have done before.
        place: Number of candidates that have finished the stage.

    >>> rungs = (Rung(2, 1), Rung(1, 4))
    >>> [share_of_plan(rungs, rungs[0], 0, 0), share_of_plan(rungs, rungs[1], 1, 0)]
    [0.2, 1.0]
    """
    own = rung.epoch - start
    later = rungs[rungs.index(rung) + 1 :]
    ends = [rung.epoch, *(one.epoch for one in later)]
    left = own * (rung.num_cases - place)
    left += sum(one.num_cases * (one.epoch - end) for one, end in zip(later, ends, strict=False))
    return own / left


def _limit_minutes(
    cfg: RunConfig, found: dict[str, FineTuned], name: str, seconds_used: float, share: float
) -> float | None:
    """Return the minutes that a candidate may train, in all its stages; None for no limit."""
    if cfg.train.max_train_minutes is None:
        return None
    own = found[name].progress.seconds if name in found else 0.0
    used = seconds_used + sum(one.progress.seconds for one in found.values())
    left = max(0.0, 60 * cfg.train.max_train_minutes - used)
    return (own + share * left) / 60


def describe_stage(name: str, settings: dict[str, Any], epochs: str) -> str:
    """Return the lines that are logged when a stage of a candidate begins."""
    return "\n".join([f"--- {name}: {epochs} ---", *wrap_text(format_settings(settings), "  ")])
