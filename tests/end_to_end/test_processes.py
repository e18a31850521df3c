"""Processes that end before their time: the launcher, another process, a second start."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from forked import Forked
from tiny_runs import write_quiet_checkpoint

from audio_cls.storage.locks import FileLock

ROOT = Path(__file__).parents[2]
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--config_file"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def _wait_for(condition: str, folder: Path, seconds: float) -> float:
    """Wait until a file is there; return the seconds it took."""
    started = time.monotonic()
    while not list(folder.glob(condition)) and time.monotonic() - started < seconds:
        time.sleep(0.05)
    return time.monotonic() - started


@pytest.mark.slow
def test_training_saves_and_ends_when_its_launcher_is_killed_and_nobody_else_writes_meanwhile(
    tone_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train = [
        "scripts/train.py", "--dataset", str(tone_folder), "--model",
        str(write_quiet_checkpoint(tmp_path / "checkpoint")), "--max-seconds", "0.5", "--epochs",
        "5000", "--output-dir", str(run), "--log", "quiet",
    ]  # fmt: skip
    launcher = subprocess.Popen(
        [*LAUNCH, "examples/accelerate/one.yaml", *train], cwd=ROOT, env=ENVIRONMENT,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        _wait_for("checkpoints/step-*", run, 120)
        holder = FileLock(run / ".lock").read_holder()
        assert holder is not None and holder.pid != launcher.pid
        second = Forked(train[0], [*train[1:], "--resume", "auto"], tmp_path / "second")
        assert second.wait() == 2
        expected = f"is in use by process {holder.pid} on {holder.host}"
        assert expected in " ".join((tmp_path / "second").read_text().split())
        launcher.send_signal(signal.SIGKILL)
        started = time.monotonic()
        _, said = launcher.communicate(timeout=60)  # until the last process has ended
        assert time.monotonic() - started < 30
        assert "The launcher" in said and "the state is saved" in said
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(launcher.pid, signal.SIGKILL)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["error", "killed"])
def test_the_error_of_any_process_is_shown_and_ends_the_others(kind: str) -> None:
    started = time.monotonic()
    done = subprocess.run(
        [*LAUNCH, "examples/accelerate/cpu.yaml", "--main_process_port", "0",
         "tests/helpers/failing_process.py", kind],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert time.monotonic() - started < 90  # a minute, and the start
    assert done.returncode == 1
    if kind == "error":
        assert "Error in process 1 (of 0 to 1): Out of memory with 8 clips." in done.stderr
    else:
        assert "Signal 9" in done.stderr or "exitcode: -9" in done.stderr.replace(" ", " ")
