"""TimeEstimate: the expected training time, measured in the first steps of a start."""

from __future__ import annotations

from collections.abc import Callable

from audio_cls.progress import describe_seconds

# The first step is not measured: memory is allocated and kernels are compiled in it.
MIN_STEPS, MAX_STEPS = 3, 20  # that are measured
MIN_SECONDS = 2.0  # of measured steps, unless MAX_STEPS are over earlier
SHORT_SECONDS = 5.0  # a training that is shorter needs no estimate


class TimeEstimate:
    """Measures steps until their mean duration is known."""

    def __init__(
        self,
        num_steps: int,
        read_seconds: Callable[[], float],
        wait_for_device: Callable[[], None] = lambda: None,
    ) -> None:
        """Start to measure.

        Args:
            num_steps: Steps that this start has to do.
            read_seconds: Returns the training time so far, without evaluations.
            wait_for_device: Returns when the device has done all steps; called twice.
        """
        self.num_steps = num_steps
        self.read_seconds = read_seconds
        self.wait_for_device = wait_for_device
        self.steps = 0
        self.started = 0.0
        self.is_over = False

    def after_step(self) -> str | None:
        """Count a step; return the line with the estimate, once."""
        if self.is_over:
            return None
        self.steps += 1
        if self.steps == 1:
            self.wait_for_device()
            self.started = self.read_seconds()
        measured = self.steps - 1
        is_long = self.read_seconds() - self.started >= MIN_SECONDS or measured >= MAX_STEPS
        if measured < MIN_STEPS or not is_long:
            return None
        self.is_over = True
        self.wait_for_device()
        seconds = (self.read_seconds() - self.started) / measured
        total = seconds * self.num_steps
        if total < SHORT_SECONDS:
            return None
        return (
            f"Expected training time: about {describe_seconds(total)} for {self.num_steps:,} steps"
            " (without evaluations)"
        )
