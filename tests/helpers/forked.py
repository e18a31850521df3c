"""Scripts in forks of this process, which has imported torch and transformers already.

A fork can be killed and sent signals as any process, and starts in a hundredth of a second instead
of the 5 s of processor time that the imports take. Several forks find each other by the variables
that torchrun and `accelerate launch` set. Tests of the start and of launchers start real ones.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from accelerate.state import AcceleratorState

ROOT = Path(__file__).parents[2]


class Forked:
    """The processes of one run."""

    def __init__(self, script: str, words: Sequence[object], log: Path, count: int = 1) -> None:
        """Start a script of this repository, such as "scripts/train.py".

        Args:
            script: Its path from the root.
            words: Its arguments.
            log: File that standard output and error of all processes are written to.
            count: Number of processes, each in a process group of its own.
        """
        self.log = log
        fork = multiprocessing.get_context("fork")
        port = find_port()
        self.processes = [
            fork.Process(target=_run, args=(script, words, log, (rank, count, port)))
            for rank in range(count)
        ]
        for process in self.processes:
            process.start()

    def is_alive(self) -> bool:
        """Tell whether a process has not ended yet."""
        return any(process.is_alive() for process in self.processes)

    @property
    def pid(self) -> int:
        """Return the id of the first process."""
        return self.processes[0].pid or 0

    def send_signal(self, number: int) -> None:
        """Send a signal to each process."""
        for process in self.processes:
            os.kill(process.pid or 0, number)

    def kill(self) -> None:
        """Kill all processes and their children by SIGKILL."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid or 0, signal.SIGKILL)
            process.join()

    def wait(self, seconds: float = 120) -> int:
        """Wait for the end of all processes and return the exit code of one that failed, or 0."""
        end = time.monotonic() + seconds
        for process in self.processes:
            process.join(max(0.0, end - time.monotonic()))
        self.kill()
        return next((process.exitcode for process in self.processes if process.exitcode), 0)

    def finish(self) -> None:
        """Wait for the end, and fail with what was written unless all went well."""
        assert self.wait() == 0, self.log.read_text()[-3000:]


def find_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(script: str, words: Sequence[object], log: Path, place: tuple[int, int, int]) -> None:
    rank, count, port = place
    os.setsid()
    with log.open("a") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    sys.stdout, sys.stderr = (open(n, "w", buffering=1, closefd=False) for n in (1, 2))  # noqa: SIM115
    os.chdir(ROOT)
    os.environ["ACCELERATE_USE_CPU"] = "true"  # a GPU cannot be used in a fork
    if count > 1:
        places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in {**places, **address}.items()})
    AcceleratorState._reset_state(reset_partial_state=True)  # type: ignore[no-untyped-call]
    sys.argv = [script, *map(str, words)]
    runpy.run_path(str(ROOT / script), run_name="__main__")
