"""Killed by SIGKILL at random moments and resumed each time: the same run, bit for bit.

AUDIO_CLS_KILLS=10 pytest tests/end_to_end/test_kills.py raises the number of kills; the moments are
drawn from a seed, over the time that the run needs when nobody kills it.
"""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import write_tiny_checkpoint

ROOT = Path(__file__).parents[2]
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch"]
KILLS = int(os.environ.get("AUDIO_CLS_KILLS", "0"))
STEPS = 36  # 48 clips, 4 a step, 3 epochs


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    """Start a run in a process group of its own."""
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _kill_after(command: list[str], run: Path, step: int, pause: float) -> bool:
    """Kill a run and all its processes a moment after it reached a step; tell whether it lived."""
    process = _start(command)
    end = time.monotonic() + 120
    while not _has_reached(run, step) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(pause)
    lived = process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return lived


def _has_reached(run: Path, step: int) -> bool:
    """Tell whether a checkpoint of this step or a later one is there or being written."""
    folders = list((run / "checkpoints").glob("*-*"))
    numbers = [int(path.name.rpartition("-")[2]) for path in folders]
    return max(numbers, default=0) >= step


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "kills"), [(1, KILLS or 1), pytest.param(2, KILLS or 2, marks=pytest.mark.long)]
)
def test_sigkill_at_random_moments_then_resume_gives_the_same_weights(
    tone_folder: Path, tmp_path: Path, processes: int, kills: int
) -> None:
    # With dropout and random crops: their random states must come back as well.
    write_tiny_checkpoint("hubert", tmp_path / "m")
    launcher = ["--multi_gpu", "--num_processes", "2", "--main_process_port", "0"]
    common = [
        *LAUNCH, *(launcher if processes == 2 else []), "scripts/train.py", "--dataset",
        str(tone_folder), "--model", str(tmp_path / "m"), "--max-seconds", "0.3", "--epochs", "3",
        "--batch-size", str(2 // processes), "--gradient-accumulation-steps", "2", "--ema-decay",
        "0.9", "--learning-rate", "0.001", "--save-every-steps", "2", "--num-workers", "2",
    ]  # fmt: skip
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert _start([*common, "--output-dir", str(whole)]).wait(timeout=180) == 0
    command = [*common, "--output-dir", str(cut)]
    rng = random.Random(processes)
    steps = sorted(rng.randrange(STEPS) for _ in range(kills))
    lived = 0
    for step in steps:
        lived += _kill_after(command, cut, step, rng.uniform(0, 0.3))
        command = [*common, "--output-dir", str(cut), "--resume", "auto"]
    assert lived >= kills - 1  # the kills met running processes
    assert _start(command).wait(timeout=180) == 0
    one, other = load_file(whole / "model.safetensors"), load_file(cut / "model.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (whole / "predictions.csv").read_bytes() == (cut / "predictions.csv").read_bytes()
    assert _read_rows(whole) == _read_rows(cut)


def _read_rows(run: Path) -> list[dict[str, str]]:
    """Read summary.csv but for the seconds, which no two runs share."""
    rows = list(csv.DictReader((run / "summary.csv").open()))
    measured = ("seconds", "data_share", "clips_per_second")
    return [{key: value for key, value in row.items() if key not in measured} for row in rows]
