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


def configure_cpu(accelerator: Accelerator, num_parameters: int) -> None:
    """Set the number of CPU threads, and release the memory that was freed so far.

    `accelerate launch` sets one thread per process: here each gets its share of the cores. A model
    of fewer than a million parameters gets one thread, since threads cost more than they save for
    small operations, many times more if another program uses the cores, too.
    """
    if accelerator.device.type != "cpu":
        return
    release_freed_memory()
    local_processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    share = max(1, (os.cpu_count() or 1) // local_processes)
    torch.set_num_threads(share if num_parameters >= ONE_THREAD_BELOW else 1)
