"""Hardware: peak memory, CPU threads, loader workers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

from audio_cls.distributed import Accelerator
from audio_cls.storage.process_memory import release_freed_memory

MAX_WORKERS = 4  # loader processes on a machine with an accelerator, without --num-workers
ONE_THREAD_BELOW = 1_000_000  # parameters


def read_peak_memory(accelerator: Accelerator) -> int:
    """Return the peak memory of this process on its device so far, in MB; 0: not known."""
    if accelerator.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(accelerator.device) / 1e6)
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where ru_maxrss starts at the peak of the parent process
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(int(fields["VmHWM"].split()[0]) * 1024 / 1e6)
    try:
        import resource
    except ImportError:  # on Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kilobytes elsewhere
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


def has_accelerator() -> bool:
    """Return whether Accelerate will use an accelerator instead of the CPU."""
    return torch.accelerator.is_available() and os.environ.get("ACCELERATE_USE_CPU") != "true"


def choose_num_workers(wanted: int | None) -> int:
    """Return the number of loader processes: `wanted`, or else 0 on a CPU, whose cores train."""
    if wanted is not None:
        return wanted
    return min(MAX_WORKERS, os.cpu_count() or 1) if has_accelerator() else 0


def is_launched() -> bool:
    """Return whether `accelerate launch` or torchrun started this process, by their variables."""
    return any(name in os.environ for name in ("ACCELERATE_MIXED_PRECISION", "TORCHELASTIC_RUN_ID"))


def configure_cpu(accelerator: Accelerator, num_parameters: int) -> None:
    """Set the number of CPU threads, and release the memory that was freed so far.

    Args:
        accelerator: This run's processes.
        num_parameters: Of the model, see `choose_num_threads`.
    """
    if accelerator.device.type == "cpu":
        release_freed_memory()
        torch.set_num_threads(choose_num_threads(num_parameters))


def choose_num_threads(num_parameters: int) -> int:
    """Return the number of CPU threads of this process.

    It is `OMP_NUM_THREADS`; without it, this process's share of the cores that it may use.
    `accelerate launch` and torchrun set the variable to 1 if the user did not: it is ignored then.
    A model of fewer than a million parameters gets one thread, since threads cost more than they
    save for small operations, many times more if another program uses the cores, too.

    Args:
        num_parameters: Of the model.
    """
    if num_parameters < ONE_THREAD_BELOW:
        return 1
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given) > (1 if is_launched() else 0):
        return int(given)
    usable = getattr(os, "sched_getaffinity", None)  # Linux: less than all in a container or job
    cores = len(usable(0)) if usable is not None else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
