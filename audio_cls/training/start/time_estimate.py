"""TimeEstimate: the expected training time, measured in the first steps of a start."""

from __future__ import annotations

from collections.abc import Callable

import torch

from audio_cls.errors import count_of
from audio_cls.progress import describe_seconds

# The first step is not measured: memory is allocated and kernels are compiled in it.
MIN_STEPS, MAX_STEPS = 3, 20  # that are measured
MIN_SECONDS = 2.0  # of measured steps, unless MAX_STEPS are over earlier
SHORT_SECONDS = 60.0  # a training that is shorter needs no estimate


class TimeEstimate:
    """Measures steps until their mean duration is known."""

    def __init__(
        self,
        num_steps: int,
        device: torch.device,
        read_seconds: Callable[[], float],
    ) -> None:
        """Start to measure.

        Args:
            num_steps: Steps that this start has to do.
            device: Of the model. A GPU is waited for, twice in all: its steps take longer than
                the calls that start them.
            read_seconds: Returns the training time so far, without evaluations.
        """
        self.num_steps = num_steps
        self.read_seconds = read_seconds
        self.device = device
        self.steps = 0
        self.started = 0.0
        self.is_over = False

    def after_step(self) -> str | None:
        """Count a step; return the line with the estimate, once."""
        if self.is_over:
            return None
        self.steps += 1
        if self.steps == 1:
            self._wait()
            self.started = self.read_seconds()
        measured = self.steps - 1
        is_long = self.read_seconds() - self.started >= MIN_SECONDS or measured >= MAX_STEPS
        if measured < MIN_STEPS or not is_long:
            return None
        self.is_over = True
        self._wait()
        seconds = (self.read_seconds() - self.started) / measured
        total = seconds * self.num_steps
        if total < SHORT_SECONDS:
            return None
        return (
            f"Expected training time: about {describe_seconds(total)} for"
            f" {count_of(self.num_steps, 'step')} (without evaluations)"
        )

    def _wait(self) -> None:
        """Wait until the device has done all steps."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
