"""What can go wrong inside a step: a number that is not finite, or memory that runs out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn

from audio_cls.errors import TrainingError, list_names
from audio_cls.training.accelerator import Accelerator, agree, gather_rows, is_out_of_memory
from audio_cls.training.checkpoint import Position

MOST_IN_A_ROW = 3  # steps skipped one after the other before the run stops

logger = logging.getLogger(__name__)


def clip_gradient(accelerator: Accelerator, model: nn.Module, max_norm: float) -> torch.Tensor:
    """Clip the gradient in place and return its norm before that; `max_norm` 0 only measures."""
    norm = accelerator.clip_grad_norm_(model.parameters(), max_norm or float("inf"))
    full = getattr(norm, "full_tensor", None)  # a sharded model has a part of it on each process
    return torch.as_tensor(norm if full is None else full())


class Names(Protocol):
    """What has the id of each training clip."""

    def __getitem__(self, number: int) -> Any:  # noqa: ANN401 (an array of strings gives numpy's own)
        """Return the id of one clip."""


class Guard:
    """Counts the steps that were skipped because their loss or gradient was not finite."""

    def __init__(self, accelerator: Accelerator, ids: Names, position: Position) -> None:
        self.accelerator = accelerator
        self.ids = ids  # of the training clips, by number
        self.position = position  # counts `skipped` and `in_a_row`, over all starts

    def allows(self, norm: torch.Tensor, loss: torch.Tensor, numbers: list[int]) -> bool:
        """Tell whether the optimizer may use this step's gradient. Call on every process.

        All processes agree: a loss that one of them cannot use keeps every one from stepping.

        Args:
            norm: The gradient's norm; in fp16 the scaler looks after it, and only the loss counts.
            loss: The step's loss on this process.
            numbers: The clips this process heard in the step.

        Raises:
            TrainingError: It is the third such step in a row.
        """
        # Both at once: each look waits for the device.
        is_loss_good, is_norm_good = torch.isfinite(torch.stack([loss, norm]).float()).tolist()
        if agree(self.accelerator, verdict=is_loss_good and is_norm_good):
            self.position.in_a_row = 0
            return True
        self.position.skipped += 1
        self.position.in_a_row += 1
        step = self.position.step
        heard = gather_rows([(number, is_loss_good) for number in numbers])
        faulty = [number for number, is_good in heard if not is_good]
        clips = list_names(self.ids[n] for n in faulty or [number for number, _ in heard])
        logger.warning("Step %d is skipped: its loss is not finite (clips %s).", step, clips)
        if self.position.in_a_row >= MOST_IN_A_ROW:
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
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            f"Out of memory with {batch_size} clips of up to {max_seconds:g} s at once. Try"
            f" --batch-size {max(1, batch_size // 2)} with --gradient-accumulation-steps doubled"
            " (the same result; --batch-size auto finds it), a shorter --max-seconds, or"
            " --mixed-precision bf16."
        ) from error
