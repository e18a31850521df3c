"""The loop: step, log, evaluate, save. A feature is a function it calls, never a branch in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import nn
from torch.utils.data import DataLoader

from audio_cls.config import RunConfig, TrainConfig
from audio_cls.data.loading.batch import Batch
from audio_cls.data.loading.sampler import DistributedBatchSampler
from audio_cls.distributed import Accelerator
from audio_cls.distributed.accelerator import is_sharded
from audio_cls.errors import Paused
from audio_cls.runs.folder import RunFolder
from audio_cls.runs.trainer_state import BestEvaluation, TrainerState
from audio_cls.storage.process_memory import retain_freed_memory
from audio_cls.training.energy import EnergyMeter
from audio_cls.training.nan_guard import LOOK_EVERY, NonFiniteGuard, clip_gradient, explain_memory
from audio_cls.training.optim.class_weights import ClipLosses
from audio_cls.training.optim.ema import ModelEma
from audio_cls.training.optim.lr_schedule import (
    learning_rate_factor,
    read_learning_rate,
    set_learning_rate,
)
from audio_cls.training.optim.optimizer import step_if_finite, supports_found_inf
from audio_cls.training.progress import Progress
from audio_cls.training.stopping import FINISH, GO, PAUSE, StopController

Validator = Callable[[nn.Module], dict[str, float]]  # model -> validation metrics, on every process


class Callbacks(Protocol):
    """Methods that the loop calls, on every process."""

    def after_best(self) -> None:
        """Act on a new best model, which is written."""

    def after_checkpoint(self) -> None:
        """Act on a new checkpoint, which is written."""


class NoCallbacks:
    """Callbacks that do nothing."""

    def after_best(self) -> None:
        """Do nothing."""

    def after_checkpoint(self) -> None:
        """Do nothing."""


@dataclass
class TrainingRun:
    """Everything the loop touches."""

    cfg: RunConfig
    accelerator: Accelerator
    model: nn.Module  # as Accelerate prepared it
    optimizer: torch.optim.Optimizer
    loader: DataLoader[list[Batch]]  # this process's batches of order.epoch
    order: DistributedBatchSampler
    clip_losses: ClipLosses
    judge: Validator
    save_model: Callable[[nn.Module], None]  # writes the best model; main process only
    folder: RunFolder
    progress: Progress
    position: TrainerState
    average: ModelEma
    guard: NonFiniteGuard
    brakes: StopController
    meter: EnergyMeter
    before_epoch: Callable[[int], None] = lambda _: None  # an epoch, counted from 0, goes on
    callbacks: Callbacks = field(default_factory=NoCallbacks)

    @property
    def num_steps(self) -> int:
        """Count the optimizer steps of the whole run."""
        return count_steps(self.cfg, self.order)


def count_steps(cfg: RunConfig, order: DistributedBatchSampler) -> int:
    """Return `--max-steps` if given, else all steps of all epochs."""
    return cfg.train.max_steps or cfg.train.epochs * order.steps_per_epoch


def train(run: TrainingRun) -> None:
    """Train from `run.position` to the last step, or to where the brakes say. On every process.

    Raises:
        Paused: A signal asked for it; the state is saved.
        TrainingError: The loss is not finite any more, or memory ran out.
    """
    seconds_before = run.position.seconds
    if run.accelerator.device.type == "cpu":
        retain_freed_memory(large=False)  # all that stays is there: the weights and their moments
    with (
        run.brakes,
        run.meter,
        explain_memory(run.order.shape.batch_size, run.cfg.audio.piece_seconds),
    ):
        wish = GO
        while not is_over(run.position, run.num_steps, run.cfg.train) and wish == GO:
            for batches in _steps_of_epoch(run):
                with run.progress.computing():
                    loss = training_step(run, batches)
                run.position.step += 1
                run.progress.after_step(run.position.step, loss)
                run.position.seconds = seconds_before + run.brakes.seconds
                wish = run.brakes.ask(run.position.step, seconds_before)
                if wish == PAUSE:
                    pause(run)
                if wish == FINISH or _ends_here(run):
                    break
                if _is_save_due(run):
                    save(run)
            evaluate(run)
            save(run)
    run.progress.energy = run.meter.read()


def is_over(position: TrainerState, num_steps: int, cfg: TrainConfig) -> bool:
    """Tell whether all steps are done and judged, or patience is at its end."""
    patience = cfg.early_stopping_patience
    is_done = position.step >= num_steps and position.judged == position.step
    return is_done or (patience is not None and position.stale >= patience)


def pause(run: TrainingRun) -> None:
    """Save where the run stands and leave; it goes on as if nothing had been.

    Raises:
        Paused: Always.
    """
    save(run)
    raise Paused(
        f"Stopped by a signal after step {run.position.step} of {run.num_steps}, the state is"
        f" saved. Go on: the same command with --resume auto --output-dir {run.folder.path}"
    )


def training_step(run: TrainingRun, batches: list[Batch]) -> torch.Tensor:
    """Do one optimizer step: the forward and backward passes of its batches, then the update.

    Returns:
        This process's share of the step's mean loss, on the device.
    """
    accelerator, cfg = run.accelerator, run.cfg.optim
    factor = learning_rate_factor(run.position.step, run.num_steps, cfg)
    set_learning_rate(run.optimizer, cfg.learning_rate * factor)
    run.model.train()
    total = torch.zeros((), device=accelerator.device)
    for number, batch in enumerate(batches, start=1):
        is_last = number == len(batches)
        with nullcontext() if is_last else accelerator.no_sync(run.model):
            batch = batch.to(accelerator.device)
            logits = run.model(**batch.inputs).logits
            losses = run.clip_losses(logits, batch.labels)
            share = (losses * batch.weights).sum()
            accelerator.backward(share * accelerator.num_processes)  # DDP takes the mean
            total += share.detach()
    norm = clip_gradient(accelerator, run.model, cfg.max_grad_norm)
    numbers = [number for batch in batches for number in batch.numbers.tolist()]
    update_weights(run, run.guard.watch(total if accelerator.scaler else norm, total, numbers))
    run.optimizer.zero_grad()
    return total


def update_weights(run: TrainingRun, veto: torch.Tensor) -> None:
    """Let the optimizer use the gradient, unless a number of the step is not finite.

    Args:
        run: What is trained.
        veto: 1 where it must not, on the device: it is looked at in every step only where the
            optimizer cannot heed it there.
    """
    accelerator = run.accelerator
    is_whole = accelerator.scaler is None and not is_sharded(accelerator)
    if is_whole and supports_found_inf(run.optimizer):
        step_if_finite(run.optimizer, veto)
        run.average.update(1 - veto)
        if run.position.step % LOOK_EVERY == 0:
            run.guard.settle()
        return
    is_allowed = run.guard.settle()
    if is_allowed or accelerator.scaler:  # the scaler refuses by itself, and must see them all
        run.optimizer.step()
    if is_allowed:
        run.average.update()


def evaluate(run: TrainingRun) -> None:
    """Judge the model on validation, log the row, and keep the model if it is the best so far."""
    run.guard.settle()
    run.progress.before_evaluation()
    metrics = run.judge(run.average.averaged)
    epoch = run.position.step / run.order.steps_per_epoch
    value = run.cfg.eval.to_objective(metrics)
    latest = BestEvaluation(value, metrics["loss"], epoch, run.position.step, metrics)
    run.position.stale += 1
    run.position.judged = run.position.step
    if run.position.best is None or latest.beats(run.position.best):
        run.position.best, run.position.stale = latest, 0
        run.save_model(run.average.averaged)
        run.callbacks.after_best()
    run.progress.after_evaluation(latest, read_learning_rate(run.optimizer))


def save(run: TrainingRun) -> None:
    """Write a checkpoint to resume from. Call on every process."""
    run.guard.settle()
    run.position.loss_sum = run.progress.sum_losses()
    run.progress.energy = run.meter.read()
    run.position.times = run.progress.sum_times(is_training=True)
    run.folder.save_checkpoint(run.accelerator, run.position, run.cfg.train.keep_checkpoints)
    run.callbacks.after_checkpoint()


def _steps_of_epoch(run: TrainingRun) -> Iterator[list[Batch]]:
    """Yield the batches of each step that is left of the epoch at `run.position`.

    None is left where a run was stopped between the last step of an epoch and its evaluation.
    """
    epoch, step = divmod(run.position.step, run.order.steps_per_epoch)
    is_at_end = step == 0 or run.position.step == run.num_steps
    if run.position.step and is_at_end and run.position.judged != run.position.step:
        return
    run.before_epoch(epoch)
    run.order.load_state_dict({"epoch": epoch, "step": step})
    yield from run.order.group_steps(run.loader)


def _ends_here(run: TrainingRun) -> bool:
    """Tell whether the step just done was the last of its epoch or of the run."""
    return run.position.step in (run.num_steps, (run.order.epoch + 1) * run.order.steps_per_epoch)


def _is_save_due(run: TrainingRun) -> bool:
    """Tell whether `--save-every-steps` asks for a checkpoint here, in mid-epoch."""
    every = run.cfg.train.save_every_steps
    return every is not None and run.position.step % every == 0
