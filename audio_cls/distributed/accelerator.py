"""The one place that configures Accelerate.

Accelerate places the model, wraps it for the number of processes (DDP, FSDP, DeepSpeed), scales
fp16 losses and saves states. What depends on data order is ours (data/batches.py): how clips are
dealt out to processes and passes, so that it can be exact. Accumulation is therefore told to
Accelerate as 1 whatever its environment says.
"""

from __future__ import annotations

import gc
import logging
import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, PartialState
from accelerate.state import AcceleratorState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, filter_trackers, get_available_trackers
from accelerate.utils import (
    DistributedType,
    GradientAccumulationPlugin,
    InitProcessGroupKwargs,
    broadcast,
    find_executable_batch_size,
    gather_object,
    set_seed,
)
from accelerate.utils.memory import should_reduce_batch_size

from audio_cls.config import RunConfig, TrainConfig
from audio_cls.errors import SettingError, list_names, suggest_name
from audio_cls.storage.process_memory import return_freed_memory

__all__ = ["Accelerator", "choose_num_workers", "gather_rows", "start_accelerator"]

MOST_WORKERS = 4  # loader processes beside an accelerator, unless --num-workers says otherwise

# How long processes wait for another: it may prepare clips or publish. One that ends ends them all.
PROCESS_TIMEOUT = timedelta(hours=24)

ONE_THREAD_BELOW = 1_000_000  # parameters

Row = TypeVar("Row")

logger = logging.getLogger(__name__)


def start_accelerator(cfg: TrainConfig) -> Accelerator:
    """Start this process's part of the run and seed it. Call on every process.

    Args:
        cfg: Number format, trackers, seed.

    Raises:
        SettingError: The device cannot do the number format, or a tracker is not installed.
    """
    check_trackers(cfg.report_to)
    if os.environ.get("ACCELERATE_USE_FSDP") == "true" and not has_accelerator():
        logger.warning("FSDP needs accelerators: on CPUs every process has the whole model (DDP).")
    precision = choose_precision(cfg.mixed_precision)
    if not is_deepspeed():  # an earlier run of this process may have had another number format
        AcceleratorState._reset_state()
    try:
        accelerator = Accelerator(
            cpu=not has_accelerator(),  # without it, processes on CPUs would not find each other
            mixed_precision=precision,
            gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
            kwargs_handlers=[
                DistributedDataParallelKwargs(find_unused_parameters=True),
                InitProcessGroupKwargs(timeout=PROCESS_TIMEOUT),
            ],
        )
    except (ValueError, ImportError) as error:
        raise SettingError(f"Accelerate cannot start with these settings: {error}") from error
    set_seed(cfg.seed, device_specific=True)
    return accelerator


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that Accelerate does not know or that are not installed.

    Raises:
        SettingError: The text lists those that are there.
    """
    known = sorted(map(str, LOGGER_TYPE_TO_CLASS))
    installed = sorted(map(str, get_available_trackers()))
    shown = f"installed here: {list_names(installed) or 'none'}"
    for name in names:
        if name not in known:
            hint = suggest_name(name, known)
            raise SettingError(
                f"--report-to {name} is no tracker: there are {list_names(known)}; {shown}.{hint}"
            )
        if name not in installed:
            raise SettingError(
                f"--report-to {name} is not installed (pip install {name}); {shown}."
            )


def start_trackers(accelerator: Accelerator, folder: Path, cfg: RunConfig) -> None:
    """Let the trackers of `--report-to` write below RUN/logs. Call on every process.

    They are told every setting that has a value, as `section.name`.
    """
    accelerator.project_configuration.set_directories(str(folder))
    accelerator.project_configuration.logging_dir = str(folder / "logs")
    if not cfg.train.report_to:
        return
    settings = {
        f"{section}.{name}": ",".join(map(str, value)) if isinstance(value, list) else value
        for section, values in cfg.to_nested().items()
        for name, value in values.items()
        if value not in (None, [])
    }
    accelerator.log_with = filter_trackers(list(cfg.train.report_to), accelerator.logging_dir)
    accelerator.init_trackers(folder.name, config=settings)


def choose_precision(wanted: str) -> str | None:
    """Return what to tell Accelerate: None leaves it to the launcher; a CPU has no fp16."""
    if wanted == "launcher":
        return None
    if wanted == "fp16" and not has_accelerator():
        logger.info("fp16 needs an accelerator: training in float32 on the CPU.")
        return "no"
    return wanted


def check_precisions(wanted: Sequence[str]) -> None:
    """Refuse several number formats in one process where the launcher has fixed it.

    Raises:
        SettingError: DeepSpeed takes the number format from the launcher's configuration.
    """
    if len(set(wanted)) > 1 and is_deepspeed():
        raise SettingError(
            f"--sweep of mixed_precision ({list_names(dict.fromkeys(wanted))}) is not possible with"
            " DeepSpeed, which has one number format. Start a command for each."
        )


def is_deepspeed() -> bool:
    """Tell whether the launcher asks for DeepSpeed."""
    return os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true"


def has_accelerator() -> bool:
    """Tell whether Accelerate will use something faster than the CPU."""
    return torch.accelerator.is_available() and os.environ.get("ACCELERATE_USE_CPU") != "true"


def choose_num_workers(wanted: int | None) -> int:
    """Return the number of loader processes: the wanted one, else 0 on a CPU, whose cores train."""
    if wanted is not None:
        return wanted
    return min(MOST_WORKERS, os.cpu_count() or 1) if has_accelerator() else 0


def ready_cpu(accelerator: Accelerator, num_parameters: int) -> None:
    """Make a CPU ready for a network: its share of the cores, and the memory that start-up freed.

    `accelerate launch` alone leaves a process one thread. A network of fewer than a million
    parameters gets one: sharing out its small operations costs more than it brings, many times
    more when another program wants the cores as well.
    """
    if accelerator.device.type != "cpu":
        return
    return_freed_memory()
    local_processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    share = max(1, (os.cpu_count() or 1) // local_processes)
    torch.set_num_threads(share if num_parameters >= ONE_THREAD_BELOW else 1)


def is_main_process() -> bool:
    """Tell whether this is the first of all processes."""
    return int(os.environ.get("RANK", "0")) == 0


def count_processes() -> int:
    """Return the number of all processes, as the launcher says; needs no connection."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def wait_for_processes() -> None:
    """Wait until every process is here. Call on every process."""
    PartialState().wait_for_everyone()


def leave_processes() -> None:
    """Part with the other processes, after the last run. Call on every process.

    Everything that was wrapped for them is freed first: a wrapper that outlives its group can wait
    for ever.
    """
    gc.collect()
    state = PartialState()
    state.wait_for_everyone()
    state.destroy_process_group()


def gather_rows(rows: list[Row]) -> list[Row]:
    """Return the rows of all processes, in process order. Call on every process."""
    return list(gather_object(rows))


def agree(accelerator: Accelerator, *, verdict: bool) -> bool:
    """Tell whether all processes say yes. Call on every process, each with its own verdict."""
    if accelerator.num_processes == 1:
        return verdict
    noes = torch.tensor(0 if verdict else 1, device=accelerator.device)
    return int(accelerator.reduce(noes, "sum")) == 0


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out, on a device or on the CPU.

    Accelerate knows the devices' words and the CPU allocator's; Windows, oneDNN and numpy have
    others. A feature extractor's error only stands on the one that tells.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if error.__cause__ is not None and is_out_of_memory(error.__cause__):
        return True
    words = ("not enough memory", "bad_alloc", "out of memory", "Unable to allocate")
    return isinstance(error, Exception) and (
        should_reduce_batch_size(error)
        or (isinstance(error, RuntimeError) and any(word in str(error) for word in words))
    )


def find_largest_batch(fits: Callable[[int], bool], sizes: Sequence[int]) -> int | None:
    """Return the first of `sizes` that fits, by Accelerate's search; None if none does.

    Args:
        fits: Tells whether a batch size fits, the same on every process.
        sizes: What to try, the largest first.
    """
    smaller = iter([*sizes[1:], 0])

    def attempt(batch_size: int) -> int | None:
        if batch_size and not fits(batch_size):
            raise RuntimeError("A process is out of memory.")  # what the search goes on after
        return batch_size or None

    def reduce() -> int:
        return next(smaller)

    search = find_executable_batch_size(
        attempt, starting_batch_size=sizes[0], reduce_batch_size_fn=reduce
    )
    try:
        found: int | None = search()
    except RuntimeError as error:
        if "No executable batch size" not in str(error):
            raise
        return None
    return found


@contextmanager
def keep_random_states(device: torch.device) -> Iterator[None]:
    """Give every global generator back as it was: Python's, numpy's, torch's, the device's."""
    state, legacy = random.getstate(), np.random.get_state()
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(state)
        np.random.set_state(legacy)


def is_sharded(accelerator: Accelerator) -> bool:
    """Tell whether no process has the whole model: FSDP and DeepSpeed."""
    return accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED)


def is_fsdp(accelerator: Accelerator) -> bool:
    """Tell whether the model is sharded by FSDP, of either version."""
    return bool(accelerator.distributed_type == DistributedType.FSDP)


def copy_from_main(accelerator: Accelerator, value: torch.Tensor) -> None:
    """Overwrite a tensor by the first process's. Call on every process."""
    value.copy_(broadcast(value.to(accelerator.device, copy=True)))
