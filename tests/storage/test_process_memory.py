"""Tests of audio_cls.storage.process_memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from pathlib import Path
import torch
from audio_cls.storage.process_memory import retain_freed_memory, release_freed_memory

def count_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def read_resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

def walk(times):
    before = count_faults()
    for _ in range(times):
        torch.empty(2**24).fill_(1.0)  # 64 MB
    return count_faults() - before

pages = 2**26 // resource.getpagesize()
walk(1)
assert walk(5) > 2 * pages / 512, "the system's own way: fresh pages each time, large ones or small"
assert retain_freed_memory()
walk(20)  # until the heap has settled: a small block behind a large one moves the next large one
assert walk(5) < 64, "kept: no fresh page"
held = read_resident()
assert retain_freed_memory(large=False)
torch.empty(2**25).fill_(1.0)  # 128 MB: fits in nothing that is kept
assert read_resident() < held + 2**22, "a large block goes back at once"
before = count_faults()
for _ in range(5):
    torch.empty(2**20).fill_(1.0)  # 4 MB
assert count_faults() - before < 64, "a small one is kept"
assert release_freed_memory()
assert held - read_resident() > 0.9 * 2**26, "returned"
assert walk(5) > 2 * pages / 512
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is asked")
def test_freed_memory_is_retained_and_released() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], check=True)
