"""Killed by SIGKILL at random moments and resumed each time: the same run, bit for bit.

AUDIO_CLS_KILLS=10 pytest tests/end_to_end/test_kills.py raises the number of kills; the moments are
drawn from a seed, over the time that the run needs when nobody kills it.
"""

from __future__ import annotations

import csv
import os
import random
import time
from pathlib import Path

import pytest
import torch
from forked import Forked
from safetensors.torch import load_file
from tiny_models import write_tiny_checkpoint

KILLS = int(os.environ.get("AUDIO_CLS_KILLS", "0"))
STEPS = 36  # 48 clips, 4 a step, 3 epochs


def _kill_after(process: Forked, run: Path, step: int, pause: float) -> bool:
    """Kill a run and all its processes a moment after it reached a step; tell whether it lived."""
    end = time.monotonic() + 120
    while not _has_reached(run, step) and process.is_alive() and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(pause)
    lived = process.is_alive()
    process.kill()
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
    common = [
        "--dataset", tone_folder, "--model", tmp_path / "m", "--max-seconds", 0.3, "--epochs", 3,
        "--batch-size", 2 // processes, "--gradient-accumulation-steps", 2, "--ema-decay", 0.9,
        "--learning-rate", 0.001, "--save-every-steps", 2, "--num-workers", 2,
    ]  # fmt: skip
    whole, cut = tmp_path / "whole", tmp_path / "cut"

    def start(*words: object) -> Forked:
        return Forked("scripts/train.py", [*common, *words], tmp_path / "log", processes)

    start("--output-dir", whole).finish()
    words = ["--output-dir", cut]
    rng = random.Random(processes)
    steps = sorted(rng.randrange(STEPS) for _ in range(kills))
    lived = 0
    for step in steps:
        lived += _kill_after(start(*words), cut, step, rng.uniform(0, 0.3))
        words = ["--output-dir", cut, "--resume", "auto"]
    assert lived >= kills - 1  # the kills met running processes
    start(*words).finish()
    one, other = load_file(whole / "model.safetensors"), load_file(cut / "model.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (whole / "predictions.csv").read_bytes() == (cut / "predictions.csv").read_bytes()
    assert _read_rows(whole) == _read_rows(cut)


def _read_rows(run: Path) -> list[dict[str, str]]:
    """Read summary.csv but for the seconds, which no two runs share."""
    rows = list(csv.DictReader((run / "summary.csv").open()))
    measured = ("seconds", "data_share", "clips_per_second")
    return [{key: value for key, value in row.items() if key not in measured} for row in rows]
