"""Progress of a training run: bar, log lines, summary.csv, trackers."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from tqdm import tqdm

from audio_cls.config import RunConfig
from audio_cls.data.loading.sampler import DistributedBatchSampler
from audio_cls.distributed import Accelerator
from audio_cls.distributed.hardware import read_peak_memory
from audio_cls.events import emit_event
from audio_cls.progress import describe_seconds, make_bar
from audio_cls.runs.trainer_state import Evaluation, Times, TrainerState
from audio_cls.training.epoch_table import EpochTable
from audio_cls.training.start.time_estimate import TimeEstimate
from audio_cls.training.summary_file import SummaryFile

LOSS_EVERY = 10  # steps between two reads of the loss: each one waits for the device
LINE_STEPS = 50  # without a terminal, see `Progress`
MIN_LINE_SECONDS = 10.0
LINE_SECONDS = 30.0

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Progress:
    """Shows and records the progress of one training run, and measures its times.

    On a terminal there is a bar. Without one a line is logged `LINE_STEPS` steps after the last
    one, but not within `MIN_LINE_SECONDS`, and at the latest after `LINE_SECONDS`.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        path: Path,
        cfg: RunConfig,
        state: TrainerState,
        *,
        sampler: DistributedBatchSampler,
        read_learning_rate: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.accelerator = accelerator
        self.summary = SummaryFile(path)
        self.clips_per_step = sampler.shape.clips
        self.steps_per_epoch = sampler.steps_per_epoch
        self.metric = cfg.eval.metric_key  # chooses the best epoch
        self.read_learning_rate = read_learning_rate
        self.log = cfg.train.log
        self.is_dry_run = cfg.train.dry_run
        exact = torch.float32 if accelerator.device.type == "mps" else torch.float64
        # Sum over the steps since the last evaluation, and their number.
        self.losses = torch.zeros((), device=accelerator.device, dtype=exact)
        self.steps = 0
        self.train_seconds = 0.0
        self.evaluate_seconds = 0.0
        self.evaluations = 0
        self.compute_seconds = 0.0  # in forward, backward and optimizer
        self.data_seconds = 0.0  # waiting for batches
        self.prepare_seconds = 0.0  # before the first step
        self.energy: dict[str, float] = {}  # see EnergyMeter.read
        self.earlier = Times()  # of earlier starts of the run
        self.steps_done = 0  # since this start
        self.started = time.perf_counter()
        self.resumed_at = self.started  # training, after the last evaluation
        self.paused_at = 0.0  # training, for an evaluation
        self.shown_at = self.started  # the last log line
        self.shown_step = state.step  # its step
        self.bar: tqdm[Any] | None = None
        self.table: EpochTable | None = None
        self.end_after(state.num_steps, state)
        self._restore(state)

    def end_after(self, last_step: int, state: TrainerState) -> None:
        """Set the last step of the training, up to which progress is shown."""
        self.num_steps = last_step
        self.estimate = TimeEstimate(
            last_step - state.step, self.accelerator.device, self._read_train_seconds
        )

    def _read_train_seconds(self) -> float:
        """Return the training time of this start, during training."""
        return self.train_seconds + time.perf_counter() - self.resumed_at

    def _restore(self, state: TrainerState) -> None:
        """Continue a state: rows of summary.csv after its step, of a killed start, are removed."""
        self.earlier = state.times
        self.steps = state.step - state.last_eval_step
        if state.last_eval_step and not state.eval_train_seconds:  # of an earlier version
            state.eval_train_seconds = state.times.train_seconds
        if self.accelerator.is_main_process:  # the sum over all processes: the others start at 0
            self.losses += state.loss_sum
            self.summary.remove_after(state.step)

    def start_clock(self, prepare_seconds: float = 0.0) -> None:
        """Start to measure the training time: what was done since the set-up is not part of it.

        Args:
            prepare_seconds: Time since `prepare_seconds` was set, which is added to it.
        """
        self.prepare_seconds += prepare_seconds
        self.started = self.resumed_at = self.shown_at = time.perf_counter()

    @contextmanager
    def show(self, state: TrainerState) -> Iterator[None]:
        """Show a bar while the body trains, if standard error is a terminal."""
        if self._shows and sys.stderr.isatty():
            self.bar = make_bar(None, self.num_steps, initial=state.step)
        try:
            yield
        finally:
            self._close_bar()

    def measure_waiting(self, steps: Iterator[T]) -> Iterator[T]:
        """Yield the batches of each step, and measure the time until they are there."""
        while True:
            started = time.perf_counter()
            batches = next(steps, None)
            self.data_seconds += time.perf_counter() - started
            if batches is None:
                return
            yield batches

    def after_step(self, step: int, loss: torch.Tensor) -> None:
        """Move the bar, or log a line now and then; the loss is read in few steps only."""
        self.losses += loss
        self.steps += 1
        self.steps_done += 1
        if self._shows and (line := self.estimate.after_step()):
            self._show_line(line)
        if self.bar is not None:
            if step % LOSS_EVERY == 0:
                self.bar.set_postfix_str(self.describe(), refresh=False)
            self.bar.update()
        elif self._shows and self._is_line_due(step):
            self.shown_at, self.shown_step = time.perf_counter(), step
            rate = (self.shown_at - self.started) / self.steps_done
            left = describe_seconds(rate * (self.num_steps - step))
            logger.info("  step %d/%d, %s, %s left", step, self.num_steps, self.describe(), left)

    def _is_line_due(self, step: int) -> bool:
        """Return whether a line is logged after this step."""
        seconds = time.perf_counter() - self.shown_at
        is_many = step - self.shown_step >= LINE_STEPS
        return seconds >= LINE_SECONDS or (is_many and seconds >= MIN_LINE_SECONDS)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Measure the time inside as that of forward, backward and optimizer."""
        started = time.perf_counter()
        yield
        self.compute_seconds += time.perf_counter() - started

    def sum_times(self, *, is_training: bool = False) -> Times:
        """Return the times of the run so far, over all its starts.

        Args:
            is_training: Include the training time since the last evaluation.
        """
        running = time.perf_counter() - self.resumed_at if is_training else 0.0
        current = Times(
            starts=1,
            prepare_seconds=self.prepare_seconds,
            train_seconds=self.train_seconds + running,
            compute_seconds=self.compute_seconds,
            data_seconds=self.data_seconds,
            evaluate_seconds=self.evaluate_seconds,
            evaluations=self.evaluations,
            peak_memory_mb=read_peak_memory(self.accelerator),
            energy=self.energy,
        )
        return self.earlier.add(current)

    def describe(self) -> str:
        """Return the end of the bar: loss, learning rate, clips per second."""
        rate = self.steps_done * self.clips_per_step / self._read_train_seconds()
        mean = self.losses.item() * self.accelerator.num_processes / self.steps
        speed = f"{rate:.1f}" if rate < 100 else f"{rate:.0f}"
        return f"loss {mean:.3f}, lr {self.read_learning_rate():.2e}, {speed} clips/s"

    @property
    def _shows(self) -> bool:
        """Return whether this process shows a bar or log lines."""
        return self.accelerator.is_main_process and self.log == "text"

    def sum_losses(self) -> float:
        """Return the sum of the losses since the last evaluation. Call on every process."""
        return float(self.accelerator.reduce(self.losses, "sum"))

    def before_evaluation(self) -> None:
        """Stop the clock of the training time."""
        self.paused_at = time.perf_counter()
        self.train_seconds += self.paused_at - self.resumed_at

    def after_evaluation(
        self, state: TrainerState, latest: Evaluation, learning_rate: float
    ) -> None:
        """Write an evaluation to summary.csv, log and trackers. Call on every process.

        The sums of `state` over the steps since the last evaluation are reset to 0.
        """
        times = self.sum_times()
        row = self._make_row(state, latest, learning_rate, times)
        state.eval_train_seconds, state.eval_data_seconds = times.train_seconds, times.data_seconds
        state.grad_norm_sum, state.grad_norm_steps = 0.0, 0
        self.losses.zero_()
        self.steps = 0
        self.resumed_at = time.perf_counter()
        self.evaluate_seconds += self.resumed_at - self.paused_at
        self.evaluations += 1
        if self.accelerator.is_main_process:
            self._write(row, is_best=state.best is latest, is_validated=bool(latest.metrics))
            known = {name: value for name, value in row.items() if value is not None}
            self.accelerator.log(known, step=latest.step)

    def _make_row(
        self, state: TrainerState, latest: Evaluation, learning_rate: float, times: Times
    ) -> dict[str, float | None]:
        """Return the row of summary.csv for an evaluation. Call on every process.

        Args:
            state: The state after the evaluation.
            latest: The evaluation.
            learning_rate: Of the last step.
            times: Of the run so far.
        """
        train_seconds = max(times.train_seconds - state.eval_train_seconds, 1e-9)
        data_seconds = times.data_seconds - state.eval_data_seconds
        seconds = self.earlier.train_seconds + self.earlier.evaluate_seconds
        norm_steps = state.grad_norm_steps
        return {
            "epoch": round(latest.epoch, 4),
            "step": latest.step,
            "train_loss": round(self.sum_losses() / max(1, self.steps), 6),
            "validation_loss": round(latest.loss, 6) if latest.metrics else None,
            **{name: value for name, value in latest.metrics.items() if name != "loss"},
            "learning_rate": float(f"{learning_rate:.6g}"),
            "grad_norm": float(f"{state.grad_norm_sum / norm_steps:.6g}") if norm_steps else None,
            "data_share": round(min(1.0, data_seconds / train_seconds), 4),
            "clips_per_second": round(self.steps * self.clips_per_step / train_seconds, 2),
            "seconds": round(seconds + time.perf_counter() - self.started, 2),
        }

    def close(self) -> None:
        """Close the bar and the trackers; the process group stays for another run."""
        self._close_bar()
        for tracker in self.accelerator.trackers:
            tracker.finish()

    def _close_bar(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def _write(self, row: dict[str, float | None], *, is_best: bool, is_validated: bool) -> None:
        """Append a row to summary.csv and show it."""
        self.shown_at, self.shown_step = time.perf_counter(), int(row["step"] or 0)
        self.summary.append(row)
        emit_event(self.log, "epoch", **row, is_best=is_best)
        if self._shows:
            if self.table is None:
                self.table = EpochTable(
                    *(self.metric, list(row), self.num_steps, self.steps_per_epoch),
                    is_kept=not self.is_dry_run,
                    is_validated=is_validated,
                )
                self._show_line(self.table.format_header())
            self._show_line(self.table.format_row(row, is_best=is_best and is_validated))

    def _show_line(self, text: str) -> None:
        """Write a line above the bar, or log it."""
        if self.bar is not None:
            tqdm.write(text, file=sys.stderr)
        else:
            logger.info("%s", text)
