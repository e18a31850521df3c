"""Processes of a run: barriers, gather, agreement, shutdown."""

from __future__ import annotations

import gc
import os
from typing import TypeVar

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import broadcast, broadcast_object_list, gather_object

Row = TypeVar("Row")


def is_main_process() -> bool:
    """Return whether this is the first of all processes."""
    return int(os.environ.get("RANK", "0")) == 0


def count_processes() -> int:
    """Return the number of all processes, from the launcher's environment variable."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def wait_for_processes() -> None:
    """Wait until all processes call this. Call on every process."""
    PartialState().wait_for_everyone()


def shutdown_processes() -> None:
    """Destroy the process group, after the last run. Call on every process.

    Models that several processes share are freed first: a wrapper that outlives its group can wait
    forever.
    """
    state = PartialState()
    if state.num_processes > 1:
        gc.collect()
    state.wait_for_everyone()
    state.destroy_process_group()


def gather_rows(rows: list[Row]) -> list[Row]:
    """Return the rows of all processes, in process order. Call on every process."""
    return list(gather_object(rows))


def share_from_main(value: Row | None) -> Row:
    """Return the object of the main process, on every process. Call on every process.

    Args:
        value: Any object that can be pickled; used on the main process alone.
    """
    shared: list[Row] = broadcast_object_list([value])
    return shared[0]


def all_agree(accelerator: Accelerator, *, agrees: bool) -> bool:
    """Return whether `agrees` is true on all processes. Call on every process."""
    if accelerator.num_processes == 1:
        return agrees
    refusals = torch.tensor(0 if agrees else 1, device=accelerator.device)
    return int(accelerator.reduce(refusals, "sum")) == 0


def copy_from_main(accelerator: Accelerator, value: torch.Tensor) -> None:
    """Overwrite a tensor with that of the main process. Call on every process."""
    value.copy_(broadcast(value.to(accelerator.device, copy=True)))
