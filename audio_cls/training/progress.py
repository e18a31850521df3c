"""Progress of a training run: bar, log lines, summary.csv, trackers."""

from __future__ import annotations

import csv
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from audio_cls.distributed import Accelerator
from audio_cls.distributed.hardware import read_peak_memory
from audio_cls.progress import describe_seconds
from audio_cls.runs.results import Energy, Timing
from audio_cls.runs.trainer_state import BestEvaluation, Times, TrainerState
from audio_cls.storage.files import open_replaced

if TYPE_CHECKING:
    from audio_cls.training.loop import TrainingRun

LOSS_EVERY = 10  # steps between two reads of the loss: each one waits for the device
LINE_SECONDS = 60.0  # between two log lines without a terminal

logger = logging.getLogger(__name__)


class Progress:
    """Shows and records the progress of one training run, and measures its times."""

    def __init__(
        self,
        accelerator: Accelerator,
        path: Path,
        *,
        num_steps: int,
        clips_per_step: int,
        log: str = "text",
        read_learning_rate: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.accelerator = accelerator
        self.path = path
        self.clips_per_step = clips_per_step
        self.read_learning_rate = read_learning_rate
        self.log = log  # text, json or quiet
        exact = torch.float32 if accelerator.device.type == "mps" else torch.float64
        # Sum over the steps since the last evaluation, and their number.
        self.losses = torch.zeros((), device=accelerator.device, dtype=exact)
        self.steps = 0
        self.train_seconds = 0.0
        self.evaluate_seconds = 0.0
        self.evaluations = 0
        self.compute_seconds = 0.0  # in forward, backward and optimizer
        self.prepare_seconds = 0.0  # before the first step
        self.energy: dict[str, float] = {}  # see EnergyMeter.read
        self.earlier = Times()  # of earlier starts of the run
        self.steps_done = 0  # since this start
        self.started = time.perf_counter()
        self.resumed_at = self.started  # training, after the last evaluation
        self.paused_at = 0.0  # training, for an evaluation
        self.shown_at = self.started  # the last log line
        self.num_steps = num_steps
        shows = accelerator.is_main_process and sys.stderr.isatty() and log == "text"
        self.bar = tqdm(total=num_steps, desc="Training", unit="step", disable=not shows)

    def start(self, state: TrainerState) -> None:
        """Start at a state: rows of summary.csv after its step, of a killed start, are removed."""
        step = state.step
        self.bar.update(step)
        self.earlier = state.times
        self.steps = step - state.last_eval_step
        if self.accelerator.is_main_process:  # the sum over all processes: the others start at 0
            self.losses += state.loss_sum
        self.started = self.resumed_at = time.perf_counter()
        if self.accelerator.is_main_process and self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                names, rows = reader.fieldnames or [], list(reader)
            with open_replaced(self.path) as file:
                writer = csv.DictWriter(file, names)
                writer.writeheader()
                writer.writerows(row for row in rows if int(row["step"]) <= step)

    def after_step(self, step: int, loss: torch.Tensor) -> None:
        """Move the bar, or log a line now and then; the loss is read in few steps only."""
        self.losses += loss
        self.steps += 1
        self.steps_done += 1
        self.bar.update()
        if not self.bar.disable:
            if step % LOSS_EVERY == 0:
                self.bar.set_postfix_str(self.describe())
        elif time.perf_counter() - self.shown_at >= LINE_SECONDS and self._shows_lines:
            self.shown_at = time.perf_counter()
            rate = (self.shown_at - self.started) / self.steps_done
            left = describe_seconds(rate * (self.num_steps - step))
            logger.info(
                "step %d of %d: %s, about %s left", step, self.num_steps, self.describe(), left
            )

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
            evaluate_seconds=self.evaluate_seconds,
            evaluations=self.evaluations,
            peak_memory_mb=read_peak_memory(self.accelerator),
            energy=self.energy,
        )
        return self.earlier.add(current)

    def describe(self) -> str:
        """Return the end of the bar: loss, learning rate, clips per second, memory."""
        seconds = self.train_seconds + time.perf_counter() - self.resumed_at
        rate = self.steps_done * self.clips_per_step / seconds
        memory = read_peak_memory(self.accelerator)
        mean = self.losses.item() * self.accelerator.num_processes / self.steps
        return (
            f"loss {mean:.3f}, lr {self.read_learning_rate():.2e}, {rate:.1f} clips/s,"
            f" {memory} MB at most"
        )

    @property
    def _shows_lines(self) -> bool:
        """Return whether log lines are shown, instead of a bar on a terminal."""
        return self.accelerator.is_main_process and self.log == "text"

    def sum_losses(self) -> float:
        """Return the sum of the losses since the last evaluation. Call on every process."""
        return float(self.accelerator.reduce(self.losses, "sum"))

    def before_evaluation(self) -> None:
        """Stop the clock of the training time."""
        self.paused_at = time.perf_counter()
        self.train_seconds += self.paused_at - self.resumed_at

    def after_evaluation(self, latest: BestEvaluation, learning_rate: float) -> None:
        """Write the metrics of an evaluation to summary.csv, log and trackers. On every process."""
        total = self.sum_losses()
        seconds = self.earlier.train_seconds + self.earlier.evaluate_seconds
        row = {
            "epoch": round(latest.epoch, 4),
            "step": latest.step,
            "train_loss": round(total / max(1, self.steps), 6),
            "validation_loss": round(latest.loss, 6),
            **{name: value for name, value in latest.metrics.items() if name != "loss"},
            "learning_rate": float(f"{learning_rate:.6g}"),
            "seconds": round(seconds + time.perf_counter() - self.started, 2),
        }
        self.losses.zero_()
        self.steps = 0
        self.resumed_at = time.perf_counter()
        self.evaluate_seconds += self.resumed_at - self.paused_at
        self.evaluations += 1
        if self.accelerator.is_main_process:
            self._write(row)
            self.accelerator.log(row, step=latest.step)

    def close(self) -> None:
        """Close the bar and the trackers; the process group stays for another run."""
        self.bar.close()
        for tracker in self.accelerator.trackers:
            tracker.finish()

    def _write(self, row: dict[str, float]) -> None:
        """Append a row to summary.csv and show it."""
        self.shown_at = time.perf_counter()
        is_new = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if is_new:
                writer.writeheader()
            writer.writerow(row)
        if self.log == "json":
            sys.stderr.write(json.dumps(row) + "\n")
            return
        shown = ", ".join(f"{name} {value:.4g}" for name, value in row.items() if name != "step")
        tqdm.write(shown, file=sys.stderr) if not self.bar.disable else logger.info(shown)


def describe_timing(run: TrainingRun, test_seconds: float) -> Timing:
    """Return the `timing` part of results.json, summed over all starts of the run.

    Training seconds do not include evaluation; `energy`, if measured, is that of training and its
    evaluations. The steps that a killed start did after its last checkpoint do not count.

    Args:
        run: The training run, at its end.
        test_seconds: Duration of the evaluation on the test split.
    """
    times = run.progress.sum_times()
    seconds, num_clips = times.train_seconds, run.state.step * run.sampler.shape.clips
    energy = run.energy_meter.describe(times.energy)
    return Timing(
        starts=times.starts,
        prepare_seconds=round(times.prepare_seconds, 2),
        train_seconds=round(seconds, 2),
        evaluate_seconds=round(times.evaluate_seconds + test_seconds, 2),
        steps=run.state.step,
        clips_per_step=run.sampler.shape.clips,
        overhead_share=times.overhead_share,
        skipped_steps=run.state.skipped_steps,
        evaluations=times.evaluations,
        validation_seconds=round(times.evaluate_seconds, 3),
        train_clips_per_second=round(num_clips / seconds, 2) if seconds else 0.0,
        peak_memory_mb=times.peak_memory_mb,
        energy=None if energy is None else Energy(**energy),
    )
