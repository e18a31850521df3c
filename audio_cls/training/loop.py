"""Training loop: step, log, validate, save. A feature is a function that it calls, not a branch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
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
from audio_cls.runs.resume import describe_resume
from audio_cls.runs.trainer_state import Evaluation, TrainerState
from audio_cls.storage.process_memory import retain_freed_memory
from audio_cls.training.energy import EnergyMeter
from audio_cls.training.nan_guard import (
    RESOLVE_EVERY,
    NonFiniteGuard,
    clip_gradient,
    explain_memory,
)
from audio_cls.training.optim.class_weights import LossFunction
from audio_cls.training.optim.ema import ModelEma
from audio_cls.training.optim.lr_schedule import (
    learning_rate_factor,
    read_learning_rate,
    set_learning_rate,
)
from audio_cls.training.optim.optimizer import step_if_finite, supports_found_inf
from audio_cls.training.progress import Progress
from audio_cls.training.stopping import StopController, StopRequest

# Model -> validation metrics, none without validation clips; on every process.
Validator = Callable[[nn.Module], dict[str, float]]


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
    """The parts of a training run that the loop uses."""

    cfg: RunConfig  # with what was resolved
    accelerator: Accelerator
    model: nn.Module  # as Accelerate prepared it
    optimizer: torch.optim.Optimizer
    loader: DataLoader[list[Batch]]  # batches of this process in the epoch of `sampler`
    sampler: DistributedBatchSampler
    loss_fn: LossFunction
    validate: Validator
    save_model: Callable[[nn.Module], None]  # writes the best model; call on every process
    folder: RunFolder
    progress: Progress
    state: TrainerState
    ema: ModelEma
    nan_guard: NonFiniteGuard
    stop_controller: StopController
    energy_meter: EnergyMeter
    checkpoint: Path | None = None  # that it is resumed from
    stop_step: int | None = None  # see `stop_after`
    before_epoch: Callable[[int], None] = lambda _: None  # is given the epoch, counted from 0
    callbacks: Callbacks = field(default_factory=NoCallbacks)

    @property
    def num_steps(self) -> int:
        """Return the number of optimizer steps that the learning rate is planned for."""
        return self.state.num_steps

    @property
    def last_step(self) -> int:
        """Return the number of optimizer steps of the whole run."""
        return self.stop_step or self.num_steps

    def stop_after(self, step: int) -> None:
        """End the training after a step; the learning rates stay those of the whole schedule."""
        self.stop_step = step
        self.progress.end_after(step, self.state)


def train(run: TrainingRun) -> None:
    """Train from `run.state` to the last step, or until a stop is requested. On every process.

    Raises:
        Paused: A signal requested it; the state is saved.
        TrainingError: The loss is not finite any more, or memory ran out.
    """
    seconds_before = run.state.seconds
    if run.accelerator.device.type == "cpu":
        retain_freed_memory(large=False)  # weights and moments, which stay, are allocated
    with (
        run.stop_controller,
        run.energy_meter,
        run.progress.show(run.state),
        explain_memory(run.sampler.shape.batch_size, run.cfg.audio.piece_seconds),
    ):
        run.progress.start_clock(run.energy_meter.start_seconds)
        request = StopRequest.CONTINUE
        while (
            not is_over(run.state, run.last_step, run.cfg.train) and request == StopRequest.CONTINUE
        ):
            for batches in run.progress.measure_waiting(_steps_of_epoch(run)):
                with run.progress.computing():
                    loss = training_step(run, batches)
                run.state.step += 1
                run.progress.after_step(run.state.step, loss)
                run.state.seconds = seconds_before + run.stop_controller.seconds
                request = run.stop_controller.poll(run.state.step, seconds_before)
                if request == StopRequest.PAUSE:
                    pause(run)
                if request == StopRequest.FINISH or _is_end_of_epoch(run):
                    break
                if _is_save_due(run):
                    save(run)
            complete_epoch(run, is_last=request == StopRequest.FINISH)
            request = run.stop_controller.poll(run.state.step, seconds_before, is_due=True)
            if request == StopRequest.PAUSE:  # requested during the evaluation
                raise make_pause(run)
        complete_epoch(run, is_last=True)
    # A signal since the last poll: from here on, the handlers of before answer it.
    if run.stop_controller.poll(run.state.step, is_due=True) == StopRequest.PAUSE:
        raise make_pause(run)
    run.progress.energy = run.energy_meter.read()


def is_over(state: TrainerState, num_steps: int, cfg: TrainConfig) -> bool:
    """Return whether all steps are done and evaluated, or early stopping applies."""
    patience = cfg.early_stopping_patience
    is_done = state.step >= num_steps and state.last_eval_step == state.step
    return is_done or (patience is not None and state.evals_without_improvement >= patience)


def pause(run: TrainingRun) -> None:
    """Save the state and end the training; it can be resumed exactly.

    Raises:
        Paused: Always.
    """
    save(run)
    raise make_pause(run)


def make_pause(run: TrainingRun) -> Paused:
    """Return the exception that ends the training; the state is saved, except of a dry run."""
    if run.cfg.train.dry_run:
        return Paused("The dry run was stopped by a signal; nothing is saved.")
    return Paused(
        f"Stopped by a signal after step {run.state.step} of {run.last_step}; the state is"
        f" saved.\n{describe_resume(run.cfg, run.folder.run_path)}"
    )


def training_step(run: TrainingRun, batches: list[Batch]) -> torch.Tensor:
    """Do one optimizer step: the forward and backward passes of its batches, then the update.

    Returns:
        This process's share of the step's mean loss, on the device, shape ().
    """
    accelerator, cfg = run.accelerator, run.cfg.optim
    factor = learning_rate_factor(run.state.step, run.num_steps, cfg)
    set_learning_rate(run.optimizer, cfg.learning_rate * factor)
    run.model.train()
    total = torch.zeros((), device=accelerator.device)
    for number, batch in enumerate(batches, start=1):
        is_last = number == len(batches)
        with nullcontext() if is_last else accelerator.no_sync(run.model):
            batch = batch.to(accelerator.device)
            logits = run.model(**batch.inputs).logits
            losses = run.loss_fn(logits, batch.labels)
            loss = (losses * batch.weights).sum()
            accelerator.backward(loss * accelerator.num_processes)  # DDP takes the mean
            total += loss.detach()
    norm = clip_gradient(accelerator, run.model, cfg.max_grad_norm)
    numbers = [number for batch in batches for number in batch.numbers.tolist()]
    is_norm_checked = accelerator.scaler is None
    found_inf = run.nan_guard.check_step(norm, total, numbers, is_norm_checked=is_norm_checked)
    update_weights(run, found_inf)
    run.optimizer.zero_grad()
    return total


def update_weights(run: TrainingRun, found_inf: torch.Tensor) -> None:
    """Let the optimizer step, unless a number of the step is not finite.

    Args:
        run: The training run.
        found_inf: 1 if the step must be skipped, else 0, on the device. The host reads it in every
            step only if the optimizer cannot.
    """
    accelerator = run.accelerator
    is_whole = accelerator.scaler is None and not is_sharded(accelerator)
    if is_whole and supports_found_inf(run.optimizer):
        step_if_finite(run.optimizer, found_inf)
        run.ema.update(1 - found_inf)
        if run.state.step % RESOLVE_EVERY == 0:
            run.nan_guard.resolve()
        return
    is_finite = run.nan_guard.resolve()
    if is_finite or accelerator.scaler:  # the scaler skips steps itself, and has to see them all
        run.optimizer.step()
    if is_finite:
        run.ema.update()


def complete_epoch(run: TrainingRun, *, is_last: bool) -> None:
    """Evaluate if `--eval-every` asks for it or the training ends here, and save; once a step."""
    if run.state.last_eval_step == run.state.step:
        return
    if is_last or _is_evaluation_due(run):
        evaluate(run)
    save(run)


def evaluate(run: TrainingRun) -> None:
    """Validate the model, log the metrics, and save the model if it is the best so far.

    Without validation clips the latest model is the best.
    """
    run.nan_guard.resolve()
    run.progress.before_evaluation()
    metrics = run.validate(run.ema.module)
    epoch = run.state.step / run.sampler.steps_per_epoch
    latest = Evaluation.make(metrics, run.cfg.eval, epoch=epoch, step=run.state.step)
    run.state.evals_without_improvement += 1
    run.state.last_eval_step = run.state.step
    if run.state.best is None or latest.beats(run.state.best):
        run.state.best, run.state.evals_without_improvement = latest, 0
        run.save_model(run.ema.module)
        run.callbacks.after_best()
    run.progress.after_evaluation(run.state, latest, read_learning_rate(run.optimizer))


def save(run: TrainingRun) -> None:
    """Write a checkpoint to resume from. Call on every process."""
    run.nan_guard.resolve()
    run.state.loss_sum = run.progress.sum_losses()
    run.progress.energy = run.energy_meter.read()
    run.state.times = run.progress.sum_times(is_training=True)
    run.folder.save_checkpoint(run.accelerator, run.state, run.cfg.train.keep_checkpoints)
    run.callbacks.after_checkpoint()


def _steps_of_epoch(run: TrainingRun) -> Iterator[list[Batch]]:
    """Yield the batches of each step that is left in the current epoch.

    None is left in a run that was stopped between the last step of an epoch and its evaluation.
    """
    epoch, step = divmod(run.state.step, run.sampler.steps_per_epoch)
    is_at_end = run.state.step > 0 and (step == 0 or run.state.step == run.last_step)
    is_evaluated = run.state.last_eval_step == run.state.step
    if is_at_end and not is_evaluated and _is_evaluation_due(run):
        return
    run.before_epoch(epoch)
    run.sampler.load_state_dict({"epoch": epoch, "step": step})
    yield from run.sampler.group_steps(run.loader)


def _is_end_of_epoch(run: TrainingRun) -> bool:
    """Return whether the last step was the last of its epoch or of the run."""
    end_of_epoch = (run.sampler.epoch + 1) * run.sampler.steps_per_epoch
    return run.state.step in (run.last_step, end_of_epoch)


def _is_evaluation_due(run: TrainingRun) -> bool:
    """Return whether `--eval-every` asks for an evaluation at the end of this epoch."""
    epochs = -(-run.state.step // run.sampler.steps_per_epoch)
    return run.state.step == run.last_step or epochs % run.cfg.eval.eval_every == 0


def _is_save_due(run: TrainingRun) -> bool:
    """Return whether `--save-every-steps` requires a checkpoint after the last step."""
    every = run.cfg.train.save_every_steps
    return every is not None and run.state.step % every == 0
