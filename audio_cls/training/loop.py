"""The loop: step, log, evaluate, save. A feature is a function it calls, never a branch in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader

from audio_cls.config import RunConfig
from audio_cls.data.batches import Batch, TrainingOrder
from audio_cls.training.accelerator import Accelerator
from audio_cls.training.checkpoint import Best, Position, RunFolder
from audio_cls.training.optim import learning_rate_factor, set_learning_rate
from audio_cls.training.progress import Progress

ClipLosses = Callable[..., torch.Tensor]  # (logits (B, L), targets (B,)) -> losses (B,)
Judge = Callable[[nn.Module], dict[str, float]]  # model -> validation metrics, on every process


@dataclass
class Training:
    """Everything the loop touches."""

    cfg: RunConfig
    accelerator: Accelerator
    model: nn.Module  # as Accelerate prepared it
    optimizer: torch.optim.Optimizer
    loader: DataLoader[Batch]  # this process's batches of order.epoch
    order: TrainingOrder
    clip_losses: ClipLosses
    judge: Judge
    save_model: Callable[[nn.Module], None]  # writes the best model; main process only
    folder: RunFolder
    progress: Progress
    position: Position
    after_best: Callable[[], None] = lambda: None  # the best model was written
    after_save: Callable[[], None] = lambda: None  # a checkpoint was written

    @property
    def num_steps(self) -> int:
        """Count the optimizer steps of the whole run."""
        return count_steps(self.cfg, self.order)


def count_steps(cfg: RunConfig, order: TrainingOrder) -> int:
    """Return `--max-steps` if given, else all steps of all epochs."""
    return cfg.train.max_steps or cfg.train.epochs * order.steps_per_epoch


def train(run: Training) -> None:
    """Train from `run.position` to the last step. Call on every process."""
    while run.position.step < run.num_steps:
        for batches in _steps_of_epoch(run):
            loss = take_step(run, batches)
            run.position.step += 1
            run.progress.after_step(run.position.step, loss)
            if _ends_here(run):
                break
            if _is_save_due(run):
                save(run)
        evaluate(run)
        save(run)


def take_step(run: Training, batches: list[Batch]) -> torch.Tensor:
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
            losses = run.clip_losses(logits, batch.labels, label_smoothing=cfg.label_smoothing)
            share = (losses * batch.weights).sum()
            accelerator.backward(share * accelerator.num_processes)  # DDP takes the mean
            total += share.detach()
    if cfg.max_grad_norm > 0:
        accelerator.clip_grad_norm_(run.model.parameters(), cfg.max_grad_norm)
    run.optimizer.step()
    run.optimizer.zero_grad()
    return total


def evaluate(run: Training) -> None:
    """Judge the model on validation, log the row, and keep the model if it is the best so far."""
    run.progress.before_evaluation()
    metrics = run.judge(run.model)
    epoch = run.position.step / run.order.steps_per_epoch
    latest = Best(metrics[run.cfg.eval.metric], metrics["loss"], epoch, run.position.step, metrics)
    if run.position.best is None or latest.beats(run.position.best):
        run.position.best = latest
        run.save_model(run.model)
        run.after_best()
    run.progress.after_evaluation(latest, run.optimizer.param_groups[0]["lr"])


def save(run: Training) -> None:
    """Write a checkpoint to resume from. Call on every process."""
    run.folder.save_checkpoint(run.accelerator, run.position, run.cfg.train.keep_checkpoints)
    run.after_save()


def _steps_of_epoch(run: Training) -> Iterator[list[Batch]]:
    """Yield the batches of each step that is left of the epoch at `run.position`."""
    run.order.epoch, run.order.first_step = divmod(run.position.step, run.order.steps_per_epoch)
    yield from run.order.group_steps(run.loader)


def _ends_here(run: Training) -> bool:
    """Tell whether the step just done was the last of its epoch or of the run."""
    return run.position.step in (run.num_steps, (run.order.epoch + 1) * run.order.steps_per_epoch)


def _is_save_due(run: Training) -> bool:
    """Tell whether `--save-every-steps` asks for a checkpoint here, in mid-epoch."""
    every = run.cfg.train.save_every_steps
    return every is not None and run.position.step % every == 0
