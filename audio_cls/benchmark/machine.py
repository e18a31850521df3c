"""Machine description, rate of a matrix product, and FLOP counts."""

from __future__ import annotations

import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

SIZE = 2048  # of the square matrices on a CPU
GPU_SIZE = 8192
REPEATS = 5


def measure_matrix_product() -> float:
    """Return the best rate of a float32 matrix product (bf16 on a GPU), in FLOP/s."""
    is_gpu = torch.cuda.is_available()
    size, kind = (GPU_SIZE, torch.bfloat16) if is_gpu else (SIZE, torch.float32)
    device = "cuda" if is_gpu else "cpu"
    left, right = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    best = float("inf")
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        left @ right
        if is_gpu:
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def count_flops(model: Any, inputs: dict[str, torch.Tensor], names: tuple[str, ...]) -> list[float]:  # noqa: ANN401
    """Count the FLOP of a batch: forward of frozen modules, forward of the rest, backward.

    A backward pass counts as two forward passes of the trained modules: torch's count is too high
    by the number of groups of a convolution.

    Args:
        model: A stock classifier.
        inputs: A batch.
        names: The frozen modules.
    """
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(**inputs)
    counts = counter.get_flop_counts()
    prefix = type(model).__name__
    frozen = sum(sum(counts.get(f"{prefix}.{name}", {}).values()) for name in names)
    rest = counter.get_total_flops() - frozen
    return [float(frozen), float(rest), 2.0 * rest]


def describe_machine() -> dict[str, Any]:
    """Return the machine, its load and the versions that the numbers depend on."""
    lines = (
        Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc/cpuinfo") else []
    )
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "gpu": gpu,
        "load": round(os.getloadavg()[0], 2),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def read_peak_memory() -> float:
    """Return the peak memory of this process in MB; on a GPU, the memory allocated there."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6
