"""Why a run stops before its last step: a signal, the launcher's end, or the clock."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

import torch

from audio_cls.distributed import Accelerator

AGREE_EVERY = 10  # most steps between two agreements of several processes; each is an exchange
AGREE_SECONDS = 2.0  # where steps are long, they agree at least this often
GO, FINISH, PAUSE = 0, 1, 2  # the largest wish of all processes counts
SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK")  # the last is Windows' Ctrl-Break
    if hasattr(signal, name)
)
# A launcher may pass on a Ctrl-C that the terminal has sent to all: not a second one yet.
REPEAT_SECONDS = 1.0
PARENT_SECONDS = 1.0  # between two looks whether the launcher is still there


class StopController:
    """Listens for signals and the clock while it is entered; is asked after each step.

    A first SIGTERM, SIGINT (Ctrl-C) or SIGHUP asks for a pause: it is answered at once, then the
    step is finished, the state saved, and the run ends with `Paused`. A second SIGINT ends the
    process at once. A signal that was ignored when the process started, as nohup does with SIGHUP,
    stays ignored.
    """

    def __init__(self, accelerator: Accelerator, max_minutes: float | None) -> None:
        self.accelerator = accelerator
        self.max_seconds = None if max_minutes is None else 60 * max_minutes
        self.started = time.monotonic()
        self.wish = GO
        self.paused_at: float | None = None
        self.agreed_at = (0, self.started)  # step and time of the last agreement
        self.next_step = 1  # of the next agreement
        self.previous: dict[int, Any] = {}
        self.pipe: tuple[socket.socket, socket.socket] | None = None

    def __enter__(self) -> StopController:
        """Take the signals over, which is possible in the main thread only.

        Python runs a signal's handler between two of its own instructions, and a backward pass is
        one that may take a minute. So a thread answers, which the system wakes at once.
        """
        self.started = time.monotonic()
        self.agreed_at = (0, self.started)
        if threading.current_thread() is not threading.main_thread():
            return self
        self.pipe = socket.socketpair()
        self.pipe[1].setblocking(False)  # noqa: FBT003 (the standard library's own signature)
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self.previous[number] = signal.signal(number, self._hear)
        signal.set_wakeup_fd(self.pipe[1].fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._listen, name="signals", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signals back."""
        if self.pipe is None:
            return
        signal.set_wakeup_fd(-1)
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous.clear()
        self.pipe[1].close()  # ends the thread
        self.pipe = None

    def ask(self, step: int, seconds_before: float = 0.0) -> int:
        """Say whether to go on after `step`. Call on every process.

        Args:
            step: Optimizer steps done.
            seconds_before: Seconds that the run trained before it was resumed.

        Returns:
            GO, FINISH (evaluate what there is and end the run) or PAUSE (save, to go on later).
        """
        used = seconds_before + self.seconds
        if self.max_seconds is not None and used >= self.max_seconds:
            self.wish = max(self.wish, FINISH)
        if self.accelerator.num_processes == 1:
            return self.wish
        if step < self.next_step:
            return GO
        return self._agree(step)

    @property
    def seconds(self) -> float:
        """Return the seconds since the brakes were entered."""
        return time.monotonic() - self.started

    def _agree(self, step: int) -> int:
        """Return the largest wish of all processes, and choose the step of the next agreement."""
        before, then = self.agreed_at
        now = time.monotonic()
        own = [self.wish, (now - then) / max(1, step - before)]
        device = self.accelerator.device
        rows = self.accelerator.gather(torch.tensor([own], dtype=torch.float32, device=device))
        wish, step_seconds = rows.max(dim=0).values.tolist()
        self.agreed_at = (step, now)
        self.next_step = step + max(
            1, min(AGREE_EVERY, int(AGREE_SECONDS / max(step_seconds, 1e-9)))
        )
        return int(wish)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        """Ask for a pause; all else is up to the thread, which may be earlier or later."""
        self.wish = PAUSE

    def _listen(self) -> None:
        """Act on each signal as it comes, until the pipe is closed. In a thread of its own."""
        assert self.pipe is not None
        with self.pipe[0] as end:
            while received := end.recv(1):
                self._act(received[0])

    def _act(self, number: int) -> None:
        """Ask for a pause, or at the second Ctrl-C end the process; not for other signals."""
        now = time.monotonic()
        if number not in self.previous:  # such as SIGCHLD, which torch listens for
            return
        if self.paused_at is None:
            self.paused_at, self.wish = now, PAUSE
            if self.accelerator.is_main_process:
                _say(
                    f"{signal.Signals(number).name}: stopping after this step, then saving. To stop"
                    f" at once without saving, press Ctrl-C again or: kill -INT {os.getpid()}"
                )
        elif number == signal.SIGINT and now - self.paused_at >= REPEAT_SECONDS:
            if self.accelerator.is_main_process:
                _say("Stopped at once; the steps since the last checkpoint are not saved.")
            os._exit(128 + number)


def _say(text: str) -> None:
    """Write a line past the logger, whose lock the main thread may hold."""
    sys.stderr.write(f"\n{text}\n")
    sys.stderr.flush()


@contextmanager
def end_with_launcher() -> Iterator[None]:
    """Send this process SIGTERM when the launcher that started it has ended; on POSIX.

    `accelerate launch` with one process passes no signal on: when it is stopped by one, its child
    would go on alone. In training the signal saves the state (`StopController`); before and after
    there is nothing to save that a checkpoint does not have.
    """
    if sys.platform == "win32" or not is_launched():
        yield
        return
    launcher, is_over = os.getppid(), threading.Event()

    def watch() -> None:
        while not is_over.wait(PARENT_SECONDS):
            if os.getppid() != launcher:
                _say(f"The launcher (process {launcher}) has ended: this process stops, too.")
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=watch, name="launcher", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()


def is_launched() -> bool:
    """Tell whether `accelerate launch` or torchrun started this process: both leave variables."""
    return any(name in os.environ for name in ("ACCELERATE_MIXED_PRECISION", "TORCHELASTIC_RUN_ID"))
