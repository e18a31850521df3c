"""Guard of the training step against numbers that are not finite, and against full memory."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from audio_cls.distributed import Accelerator
from audio_cls.distributed.out_of_memory import is_out_of_memory
from audio_cls.distributed.processes import gather_rows
from audio_cls.errors import TrainingError, count_of, list_names
from audio_cls.runs.trainer_state import TrainerState

MAX_SKIPPED_IN_A_ROW = 3  # this number of consecutive skipped steps ends the run
RESOLVE_EVERY = 10  # steps between two reads of `found_inf`, if the optimizer needs none

logger = logging.getLogger(__name__)


def clip_gradient(accelerator: Accelerator, model: nn.Module, max_norm: float) -> torch.Tensor:
    """Clip the gradient in place and return its norm before that; `max_norm` 0 only measures."""
    norm = accelerator.clip_grad_norm_(model.parameters(), max_norm or float("inf"))
    full = getattr(norm, "full_tensor", None)  # a sharded model has a part of it on each process
    return torch.as_tensor(norm if full is None else full())


class ClipIds(Protocol):
    """Ids of the training clips, by clip number: a list or a numpy array."""

    def __getitem__(self, number: int) -> Any:  # noqa: ANN401 (an array of strings gives numpy's)
        """Return the id of one clip."""


@dataclass(frozen=True)
class PendingStep:
    """A step whose result is on the device and was not read yet."""

    step: int
    numbers: list[int]  # clips of this process in the step
    norm: torch.Tensor  # shape (), of the gradient before clipping
    found_inf: torch.Tensor  # shape (): 1 if a process met a number that is not finite, else 0
    is_loss_finite: torch.Tensor  # shape (): on this process


class NonFiniteGuard:
    """Counts the steps that were skipped because their loss or gradient was not finite.

    To read the result of a step, the host waits for the device to finish it. An optimizer that
    skips a step on the device by `found_inf` does not need that: several steps are read at once.
    """

    def __init__(self, accelerator: Accelerator, ids: ClipIds, state: TrainerState) -> None:
        self.accelerator = accelerator
        self.ids = ids
        self.state = state  # counts `skipped_steps` and `skipped_in_a_row`, over all starts
        self.pending: list[PendingStep] = []

    def check_step(
        self,
        norm: torch.Tensor,
        loss: torch.Tensor,
        numbers: list[int],
        *,
        is_norm_checked: bool = True,
    ) -> torch.Tensor:
        """Check a step without waiting for the device. Call on every process.

        The result is the same on all processes: a loss that is not finite on one of them makes all
        of them skip the step.

        Args:
            norm: Norm of the gradient before clipping.
            loss: The step's loss on this process.
            numbers: Numbers of the clips of this process in the step.
            is_norm_checked: Skip a step whose norm is not finite; in fp16 the scaler does that.

        Returns:
            `found_inf` of torch's optimizers, on the device, shape (): 1 if the optimizer must skip
            the step, else 0.
        """
        checked = torch.stack([loss, norm if is_norm_checked else loss])
        is_finite = torch.isfinite(checked.float())
        found_inf = 1 - is_finite.all().float()
        if self.accelerator.num_processes > 1:
            found_inf = torch.as_tensor(self.accelerator.reduce(found_inf, "sum")).clamp(max=1)
        self.pending.append(PendingStep(self.state.step, numbers, norm, found_inf, is_finite[0]))
        return found_inf

    def resolve(self) -> bool:
        """Read the pending steps: sum their norms, count the skipped ones and log their clips.

        Call on every process.

        Returns:
            Whether the last step was finite.

        Raises:
            TrainingError: Three steps in a row were skipped.
        """
        pending, self.pending = self.pending, []
        if not pending:
            return True
        rows = [torch.stack([one.found_inf, one.is_loss_finite, one.norm]) for one in pending]
        for one, row in zip(pending, torch.stack(rows).tolist(), strict=True):
            found_inf, is_loss_finite, norm = row
            if math.isfinite(norm):
                self.state.grad_norm_sum += norm
                self.state.grad_norm_steps += 1
            if found_inf:
                self._count(one, is_loss_finite=bool(is_loss_finite))
            else:
                self.state.skipped_in_a_row = 0
        return not found_inf

    def _count(self, skipped: PendingStep, *, is_loss_finite: bool) -> None:
        """Count a skipped step, and log its clips: those of the processes with a bad loss."""
        self.state.skipped_steps += 1
        self.state.skipped_in_a_row += 1
        rows = gather_rows([(number, is_loss_finite) for number in skipped.numbers])
        suspects = [number for number, is_finite in rows if not is_finite]
        clips = list_names(self.ids[n] for n in suspects or [number for number, _ in rows])
        step = skipped.step
        logger.warning(
            "Step %d is skipped: its loss or gradient is not finite (clips %s).", step, clips
        )
        if self.state.skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW:
            has_checkpoint = self.state.last_eval_step > 0  # each evaluation saves one
            resume = ", or resume there from the last checkpoint (--resume CHECKPOINT)"
            resume = resume if has_checkpoint else ""
            raise TrainingError(
                f"The loss or gradient was not finite in {MAX_SKIPPED_IN_A_ROW} consecutive"
                f" steps, last in step {step} (clips {clips}). Lower --learning-rate or raise"
                f" --warmup-ratio, then start again in a new --output-dir{resume}."
            )


@contextmanager
def explain_memory(batch_size: int, max_seconds: float) -> Iterator[None]:
    """Turn an out-of-memory error into advice on three settings.

    Args:
        batch_size: Clips of a forward pass.
        max_seconds: Length of the longest crop.

    Raises:
        TrainingError: The body ran out of memory, on the device or on the CPU.
    """
    try:
        yield
    except (MemoryError, RuntimeError, ValueError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            f"Out of memory with {count_of(batch_size, 'clip')} of up to {max_seconds:g} s at"
            " once. Try"
            f" --batch-size {max(1, batch_size // 2)} with --gradient-accumulation-steps doubled"
            " (the same result; --batch-size auto finds it), a shorter --max-seconds, or"
            " --mixed-precision bf16."
        ) from error
