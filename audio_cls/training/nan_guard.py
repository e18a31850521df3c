"""What can go wrong inside a step: a number that is not finite, or memory that runs out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from audio_cls.distributed import Accelerator
from audio_cls.distributed.out_of_memory import is_out_of_memory
from audio_cls.distributed.processes import gather_rows
from audio_cls.errors import TrainingError, list_names
from audio_cls.runs.trainer_state import TrainerState

MAX_SKIPPED_IN_A_ROW = 3  # steps skipped one after the other before the run stops
LOOK_EVERY = 10  # steps between two looks at the verdicts, where the device heeds them by itself

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


@dataclass(frozen=True)
class PendingStep:
    """A step whose numbers were judged on the device and not looked at yet."""

    step: int
    numbers: list[int]  # the clips this process heard in it
    veto: torch.Tensor  # 1 where a process met a number that is not finite, else 0
    is_loss_good: torch.Tensor  # on this process


class NonFiniteGuard:
    """Counts the steps that were skipped because their loss or gradient was not finite.

    A look at the verdict waits for the device to finish the step. An optimizer that can heed a veto
    on the device does not need it, and the steps are counted some at a time.
    """

    def __init__(self, accelerator: Accelerator, ids: Names, position: TrainerState) -> None:
        self.accelerator = accelerator
        self.ids = ids  # of the training clips, by number
        self.position = position  # counts `skipped` and `in_a_row`, over all starts
        self.watched: list[PendingStep] = []

    def watch(self, norm: torch.Tensor, loss: torch.Tensor, numbers: list[int]) -> torch.Tensor:
        """Judge a step without waiting for the device. Call on every process.

        All processes agree: a loss that one of them cannot use keeps every one from stepping.

        Args:
            norm: The gradient's norm; in fp16 the scaler looks after it, and only the loss counts.
            loss: The step's loss on this process.
            numbers: The clips this process heard in the step.

        Returns:
            On the device, shape (): 1 where the optimizer must not use the gradient, else 0.
        """
        is_good = torch.isfinite(torch.stack([loss, norm]).float())
        veto = 1 - is_good.all().float()
        if self.accelerator.num_processes > 1:
            veto = torch.as_tensor(self.accelerator.reduce(veto, "sum")).clamp(max=1)
        self.watched.append(PendingStep(self.position.step, numbers, veto, is_good[0]))
        return veto

    def settle(self) -> bool:
        """Count the steps that were watched, and name the clips of those skipped. On every process.

        Returns:
            Whether the last of them was good.

        Raises:
            TrainingError: Three in a row were skipped.
        """
        watched, self.watched = self.watched, []
        if not watched:
            return True
        flags = torch.stack([torch.stack([one.veto, one.is_loss_good]) for one in watched])
        for one, (veto, is_loss_good) in zip(watched, flags.tolist(), strict=True):
            if veto:
                self._count(one, is_loss_good=bool(is_loss_good))
            else:
                self.position.in_a_row = 0
        return not veto

    def _count(self, skipped: PendingStep, *, is_loss_good: bool) -> None:
        """Count a skipped step, and say which clips were heard in it."""
        self.position.skipped += 1
        self.position.in_a_row += 1
        heard = gather_rows([(number, is_loss_good) for number in skipped.numbers])
        faulty = [number for number, is_good in heard if not is_good]
        clips = list_names(self.ids[n] for n in faulty or [number for number, _ in heard])
        step = skipped.step
        logger.warning("Step %d is skipped: its loss is not finite (clips %s).", step, clips)
        if self.position.in_a_row >= MAX_SKIPPED_IN_A_ROW:
            raise TrainingError(
                f"The loss was not finite in {MAX_SKIPPED_IN_A_ROW} steps in a row, last in step"
                f" {step} (clips {clips}). Lower --learning-rate or raise --warmup-ratio, then go"
                " on from the last checkpoint's weights in a new --output-dir, or start again."
            )


@contextmanager
def explain_memory(batch_size: int, max_seconds: float) -> Iterator[None]:
    """Turn running out of memory into the three settings to try.

    Raises:
        TrainingError: What ran inside ran out of memory, on the device or on the CPU.
    """
    try:
        yield
    except (MemoryError, RuntimeError, ValueError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            f"Out of memory with {batch_size} clips of up to {max_seconds:g} s at once. Try"
            f" --batch-size {max(1, batch_size // 2)} with --gradient-accumulation-steps doubled"
            " (the same result; --batch-size auto finds it), a shorter --max-seconds, or"
            " --mixed-precision bf16."
        ) from error
