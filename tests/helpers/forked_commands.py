"""Commands that `fork_server.py` forks: started, killed at a moment, and waited for.

with CommandServer(ROOT) as server:
    command = server.start("train", "--preset", "demo", folder=tmp_path)
    command.kill(signal.SIGKILL, after=0.5)
    assert command.wait() == -9
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[2]
START_SECONDS = 180  # of the imports, on a machine that is busy
MARK = "AUDIO_CLS_FAULT_CASE"  # variable that programs started by a command inherit


@dataclass
class Command:
    """One command: its process, its output files and, when it has ended, its exit code."""

    pid: int
    out: Path
    err: Path
    mark: str
    ended: threading.Event = field(default_factory=threading.Event)
    code: int = 0
    cpu: float = 0.0  # seconds
    rss_kb: int = 0

    def wait(self, seconds: float = 300) -> int:
        """Wait for the end; return the exit code, -N after signal N.

        Raises:
            TimeoutError: It runs longer; it is killed.
        """
        if not self.ended.wait(seconds):
            self.kill(signal.SIGKILL)
            raise TimeoutError(f"process {self.pid} did not end in {seconds} s: {self.said}")
        return self.code

    def kill(self, number: int, after: float = 0.0, *, is_group: bool = False) -> bool:
        """Send a signal after some seconds, unless it ends before; tell whether it lived."""
        if self.ended.wait(after):
            return False
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if is_group else os.kill)(self.pid, number)
            return True
        return False

    @property
    def said(self) -> str:
        """Return standard output and standard error."""
        return "".join(path.read_text("utf-8", "replace") for path in (self.out, self.err))

    def find_left(self) -> list[int]:
        """List the processes of its session, or with its mark, that are running."""
        return [
            pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._owns(pid)
        ]

    def _owns(self, pid: int) -> bool:
        try:
            state, _, _, session = (
                Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:4]
            )
            if state == "Z":
                return False
            marked = f"{MARK}={self.mark}\0".encode()
            return int(session) == self.pid or marked in Path(f"/proc/{pid}/environ").read_bytes()
        except (OSError, ValueError):
            return False

    def wait_for_left(self, seconds: float = 10) -> list[int]:
        """Wait until no process of it is left; return those that are, and kill them."""
        end = time.monotonic() + seconds
        while (left := self.find_left()) and time.monotonic() < end:
            time.sleep(0.05)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return left


class CommandServer:
    """The fork server, from `with CommandServer(folder):` to the end of the block.

    Attributes:
        pid: Its process.
    """

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.environment = environment or {}
        self.commands: dict[int, Command] = {}
        self._answers: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._count = 0

    def __enter__(self) -> CommandServer:
        self.folder.mkdir(parents=True, exist_ok=True)
        variables = {**os.environ, "OMP_NUM_THREADS": "1", **self.environment}
        variables["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'helpers'}"
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("fork_server.py"))], env=variables,
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=(self.folder / "server.err").open("w"), start_new_session=True,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.pid = int(self._take("ready", START_SECONDS)["ready"])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for command in self.commands.values():
            if not command.ended.is_set():
                command.kill(signal.SIGKILL, is_group=True)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._thread.join(5)

    def start(self, *words: object, **more: Any) -> Command:  # noqa: ANN401
        """Fork one command: `audio-cls WORDS`; `more` are keys of a request, see `run_child`."""
        self._count += 1
        mark = f"{os.getpid()}-{self._count}"
        out, err = (self.folder / f"{self._count}.{name}" for name in ("out", "err"))
        request = {
            "words": [str(word) for word in words], "cwd": str(ROOT), "stdout": str(out),
            "stderr": str(err), **more, "env": {**more.get("env", {}), MARK: mark},
        }  # fmt: skip
        assert self._process.stdin is not None
        out.touch(), err.touch()
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        pid = int(self._take("started", 60)["started"])
        with self._changed:
            command = self.commands[pid] = Command(pid, out, err, mark)
            self._settle()
        return command

    def run(self, *words: object, **more: Any) -> Command:  # noqa: ANN401
        """Run one command to its end."""
        command = self.start(*words, **more)
        command.wait()
        return command

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._answers.append(json.loads(line))
                self._settle()
                self._changed.notify_all()

    def _settle(self) -> None:
        """Give the ends that came to their commands."""
        for found in [item for item in self._answers if item.get("ended") in self.commands]:
            self._answers.remove(found)
            command = self.commands.pop(found["ended"])
            command.code, command.cpu = found["code"], found["cpu"]
            command.rss_kb = found["rss_kb"]
            command.ended.set()

    def _take(self, key: str, seconds: float) -> dict[str, Any]:
        """Wait for an answer with a key."""
        end = time.monotonic() + seconds
        with self._changed:
            while True:
                for found in self._answers:
                    if key in found:
                        self._answers.remove(found)
                        return found
                if not self._changed.wait(max(0.0, end - time.monotonic())):
                    raise TimeoutError(f"The fork server did not answer: {self.folder}/server.err")
