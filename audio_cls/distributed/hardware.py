"""What a run was trained on, and how much memory it took there."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from audio_cls.distributed.accelerator import Accelerator


def describe_hardware(accelerator: Accelerator) -> dict[str, object]:
    """Return the `hardware` part of results.json."""
    device = accelerator.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "device": name,
        "num_processes": accelerator.num_processes,
        "num_threads": torch.get_num_threads(),
        "mixed_precision": str(accelerator.mixed_precision),
    }


def read_peak_memory(accelerator: Accelerator) -> int:
    """Return the most memory this process has held so far, in MB, on its device; 0: not known."""
    if accelerator.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(accelerator.device) / 1e6)
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where ru_maxrss begins at the peak of the starting program
        own = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(int(own["VmHWM"].split()[0]) * 1024 / 1e6)
    try:
        import resource
    except ImportError:  # Windows has no such module
        return 0
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)
