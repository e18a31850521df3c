"""What can go wrong inside a step: a number that is not finite, or memory that runs out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from audio_cls.errors import TrainingError, list_names
from audio_cls.training.accelerator import Accelerator

MOST_IN_A_ROW = 3  # steps skipped one after the other before the run stops

logger = logging.getLogger(__name__)


def clip_gradient(accelerator: Accelerator, model: nn.Module, max_norm: float) -> torch.Tensor:
    """Clip the gradient in place and return its norm before that; `max_norm` 0 only measures."""
    norm = accelerator.clip_grad_norm_(model.parameters(), max_norm or float("inf"))
    return torch.as_tensor(norm)


class Guard:
    """Counts the steps that were skipped because their loss or gradient was not finite."""

    def __init__(self, ids: list[str], skipped: int = 0) -> None:
        self.ids = ids  # of the training clips, by number
        self.skipped = skipped
        self.in_a_row = 0

    def allows(self, norm: torch.Tensor, loss: torch.Tensor, numbers: list[int], step: int) -> bool:
        """Tell whether the optimizer may use this step's gradient.

        Args:
            norm: The gradient's norm; in fp16 the scaler looks after it, and only the loss counts.
            loss: The step's loss on this process.
            numbers: The clips this process heard in the step.
            step: Its number, for the message.

        Raises:
            TrainingError: It is the third such step in a row.
        """
        # Both at once: each look waits for the device.
        if bool(torch.isfinite(torch.stack([norm.float(), loss.float()])).all()):
            self.in_a_row = 0
            return True
        self.skipped += 1
        self.in_a_row += 1
        clips = list_names(self.ids[number] for number in numbers)
        logger.warning("Step %d is skipped: its loss is not finite (clips %s).", step, clips)
        if self.in_a_row >= MOST_IN_A_ROW:
            raise TrainingError(
                f"The loss was not finite in {MOST_IN_A_ROW} steps in a row, last in step {step}"
                f" (clips {clips}). Lower --learning-rate or raise --warmup-ratio, then go on from"
                " the last checkpoint's weights in a new --output-dir, or start again."
            )
        return False


@contextmanager
def explain_memory(batch_size: int, max_seconds: float) -> Iterator[None]:
    """Turn running out of memory into the three settings to try.

    Raises:
        TrainingError: What ran inside ran out of memory, on the device or on the CPU.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        is_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not is_memory and "not enough memory" not in str(error):
            raise
        raise TrainingError(
            f"Out of memory with {batch_size} clips of up to {max_seconds:g} s at once. Try"
            f" --batch-size {max(1, batch_size // 2)} with --gradient-accumulation-steps doubled"
            " (the same result), a shorter --max-seconds, or --mixed-precision bf16."
        ) from error
