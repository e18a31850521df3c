"""Other systems than Linux, as far as Linux can show: Windows' modules, macOS' way of workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from forked import Forked
from tiny_runs import write_quiet_checkpoint

ROOT = Path(__file__).parents[2]
SPAWN = """
import multiprocessing, runpy, sys
if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    sys.argv = ["scripts/train.py", *sys.argv[1:]]
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


def _train(start: list[str], dataset: Path, folder: Path, *more: str) -> Path:
    """Train two steps in a process; return the run folder."""
    write_quiet_checkpoint(folder / "checkpoint")
    command = [
        sys.executable, *start, "--dataset", str(dataset), "--model", str(folder / "checkpoint"),
        "--max-seconds", "0.5", "--max-steps", "2", "--output-dir", str(folder / "run"), *more,
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True,
        text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "run"


@pytest.mark.slow
def test_everything_imports_and_a_run_works_without_what_windows_lacks(
    tone_folder: Path, tmp_path: Path
) -> None:
    start = ["tests/end_to_end/on_windows.py", "scripts/train.py"]
    run = _train(start, tone_folder, tmp_path)
    assert json.loads((run / "results.json").read_text("utf-8"))["timing"]["steps"] == 2
    assert (run / "README.md").is_file()


@pytest.mark.long
def test_loader_workers_that_are_spawned_give_the_run_without_workers(
    tone_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "spawn.py").write_text(SPAWN)
    (tmp_path / "b").mkdir()
    words = ["--dataset", tone_folder, "--model", write_quiet_checkpoint(tmp_path / "checkpoint"),
             "--max-seconds", 0.5, "--max-steps", 2, "--output-dir", tmp_path / "a"]  # fmt: skip
    Forked("scripts/train.py", words, tmp_path / "log").finish()
    alone = tmp_path / "a"
    spawned = _train(
        [str(tmp_path / "spawn.py")], tone_folder, tmp_path / "b", "--num-workers", "1"
    )
    weights = [(run / "model.safetensors").read_bytes() for run in (alone, spawned)]
    assert weights[0] == weights[1]
