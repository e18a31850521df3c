"""Stopping a run before its last step: by a signal, at the end of the launcher, or by the clock."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import TracebackType

import torch

from audio_cls.distributed import Accelerator
from audio_cls.distributed.hardware import is_launched
from audio_cls.interrupts import REPEAT_SECONDS, SignalWatcher, end_process, write_at_once

# Several processes agree at least once in this number of steps, and of seconds if steps are long.
AGREE_EVERY = 10
AGREE_SECONDS = 2.0
SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK")  # the last is Windows' Ctrl-Break
    if hasattr(signal, name)
)
PARENT_SECONDS = 1.0  # between two checks that the launcher is running


class StopRequest(IntEnum):
    """What the loop does after a step; of several processes the largest value counts."""

    CONTINUE = 0
    FINISH = 1  # evaluate, and end the run
    PAUSE = 2  # save the state to resume from, and end the process


class StopController:
    """Context manager that handles signals and the time limit; the loop polls it after each step.

    A first SIGTERM, SIGINT (Ctrl-C) or SIGHUP requests a pause: a message is printed at once, then
    the step is finished, the state saved, and the run ends with `Paused`. A second SIGINT ends the
    process at once. A signal that was ignored when the process started, as nohup does with SIGHUP,
    stays ignored.
    """

    def __init__(
        self, accelerator: Accelerator, max_minutes: float | None, *, is_saved: bool = True
    ) -> None:
        """Make the controller.

        Args:
            accelerator: This run's processes.
            max_minutes: The time limit of the training; None for none.
            is_saved: The state is saved at a pause, as all runs but a dry run do.
        """
        self.accelerator = accelerator
        self.is_saved = is_saved
        self.max_seconds = None if max_minutes is None else 60 * max_minutes
        self.started = time.monotonic()
        self.is_pause_requested = False  # set by a signal, never reset
        self.paused_at: float | None = None
        self.agreed_at = (0, self.started)  # step and time of the last agreement
        self.next_step = 1  # step of the next agreement
        self.watcher = SignalWatcher(SIGNALS, self._act, self._request_pause)

    def __enter__(self) -> StopController:
        """Start the clock, and watch the signals."""
        self.started = time.monotonic()
        self.agreed_at = (0, self.started)
        self.watcher.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Restore the signal handlers."""
        self.watcher.__exit__()

    def poll(self, step: int, seconds_before: float = 0.0, *, is_due: bool = False) -> StopRequest:
        """Return whether to continue after a step. Call on every process.

        Args:
            step: Optimizer steps done.
            seconds_before: Seconds that the run trained before it was resumed.
            is_due: Several processes agree now, whenever they last did.
        """
        used = seconds_before + self.seconds
        is_late = self.max_seconds is not None and used >= self.max_seconds
        request = StopRequest.FINISH if is_late else StopRequest.CONTINUE
        if self.is_pause_requested:
            request = StopRequest.PAUSE
        if self.accelerator.num_processes == 1:
            return request
        if step < self.next_step and not is_due:
            return StopRequest.CONTINUE
        return self._agree(step, request)

    @property
    def seconds(self) -> float:
        """Return the seconds since the context was entered."""
        return time.monotonic() - self.started

    def _agree(self, step: int, own: StopRequest) -> StopRequest:
        """Return the largest request of all processes, and set the step of the next agreement."""
        before, then = self.agreed_at
        now = time.monotonic()
        row = [own, (now - then) / max(1, step - before)]
        device = self.accelerator.device
        rows = self.accelerator.gather(torch.tensor([row], dtype=torch.float32, device=device))
        largest, step_seconds = rows.max(dim=0).values.tolist()
        self.agreed_at = (step, now)
        self.next_step = step + max(
            1, min(AGREE_EVERY, int(AGREE_SECONDS / max(step_seconds, 1e-9)))
        )
        return StopRequest(int(largest))

    def _request_pause(self, number: int) -> None:
        """Request a pause, in the main thread; the other thread does the rest."""
        self.is_pause_requested = True

    def _act(self, number: int) -> None:
        """Request a pause, or end the process at the second Ctrl-C. Runs in a thread."""
        now = time.monotonic()
        if self.paused_at is None:
            self.paused_at, self.is_pause_requested = now, True
            if self.accelerator.is_main_process:
                write_at_once(f"{signal.Signals(number).name}: {self._describe_pause()}")
        elif number == signal.SIGINT and now - self.paused_at >= REPEAT_SECONDS:
            if self.accelerator.is_main_process:
                lost = (
                    "; the steps since the last checkpoint are not saved" if self.is_saved else ""
                )
                write_at_once(f"Stopped at once{lost}.")
            end_process(128 + number)

    def _describe_pause(self) -> str:
        """Return what happens at the first signal, and how to stop at once."""
        again = f"press Ctrl-C again or: kill -INT {os.getpid()}"
        if self.is_saved:
            return (
                "stopping after this step or evaluation, then saving.\nTo stop at once without"
                f" saving, {again}"
            )
        return f"stopping after this step; a dry run saves nothing.\nTo stop at once, {again}"


@contextmanager
def end_with_launcher() -> Iterator[None]:
    """Send this process SIGTERM when the launcher that started it has ended; on POSIX.

    `accelerate launch` with one process passes no signal on: when a signal ends it, its child would
    continue alone. During training the signal saves the state (`StopController`); before and after
    it there is nothing to save.
    """
    if sys.platform == "win32" or not is_launched():
        yield
        return
    launcher, is_over = os.getppid(), threading.Event()

    def watch() -> None:
        while not is_over.wait(PARENT_SECONDS):
            if os.getppid() != launcher:
                write_at_once(
                    f"The launcher (process {launcher}) has ended: this process stops, too."
                )
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=watch, name="launcher", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()
