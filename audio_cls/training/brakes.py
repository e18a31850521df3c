"""Why a run stops before its last step: a signal, the clock, or no progress any more."""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType
from typing import Any

import torch

from audio_cls.training.accelerator import Accelerator

AGREE_EVERY = 10  # steps between two agreements of several processes, each costs an exchange
GO, FINISH, PAUSE = 0, 1, 2  # the largest wish of all processes counts


class Brakes:
    """Hears SIGTERM, SIGINT and the clock while it is entered; asked after each step.

    A first signal asks for a pause: the step is finished, the state saved, and the process ends
    well. A second one is Python's own: it ends the process at once.
    """

    def __init__(self, accelerator: Accelerator, max_minutes: float | None) -> None:
        self.accelerator = accelerator
        self.max_seconds = None if max_minutes is None else 60 * max_minutes
        self.started = time.monotonic()
        self.wish = GO
        self.previous: dict[int, Any] = {}

    def __enter__(self) -> Brakes:
        """Take the signals over; they can only be heard in the main thread."""
        self.started = time.monotonic()
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                self.previous[number] = signal.signal(number, self._hear)
            except ValueError:  # not the main thread
                return self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signals back."""
        self._release()

    def ask(self, step: int, seconds_before: float = 0.0) -> int:
        """Say whether to go on after `step`. Call on every process.

        Args:
            step: Optimizer steps done.
            seconds_before: Seconds that the run trained before it was resumed.

        Returns:
            GO, FINISH (judge what there is and end the run) or PAUSE (save, and go on another day).
        """
        used = seconds_before + self.seconds
        if self.max_seconds is not None and used >= self.max_seconds:
            self.wish = max(self.wish, FINISH)
        if self.accelerator.num_processes == 1:
            return self.wish
        if step % AGREE_EVERY:
            return GO
        wishes = self.accelerator.gather(torch.tensor([self.wish], device=self.accelerator.device))
        return int(wishes.max())

    @property
    def seconds(self) -> float:
        """Return the seconds since the brakes were entered."""
        return time.monotonic() - self.started

    def _hear(self, number: int, frame: FrameType | None) -> None:
        """Remember a signal; the next one does what it would have done without us."""
        self.wish = PAUSE
        self._release()

    def _release(self) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous.clear()
