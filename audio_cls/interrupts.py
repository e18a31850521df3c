"""Signals answered at once: a thread handles them, also during a long call into C code.

Python runs a signal handler between two bytecode instructions, and a backward pass or the decoding
of a long file may take a minute. A thread that reads Python's signal file descriptor runs without
that delay.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from audio_cls.exit_codes import EXIT_INTERRUPTED

# A launcher may pass on a Ctrl-C that the terminal has sent to all: that is no second one.
REPEAT_SECONDS = 1.0
PR_SET_PDEATHSIG = 1  # of Linux: a signal at the end of the parent
STOP_SECONDS = 3.0  # after Ctrl-C; then the process is ended, whatever it does


class SignalWatcher:
    """Context manager that calls `act` in a thread as soon as one of some signals arrives.

    A signal that was ignored when the process started, as nohup does with SIGHUP, stays ignored.
    Forked children ignore SIGINT: a terminal sends Ctrl-C to them, too, and the parent ends them.
    """

    def __init__(
        self,
        numbers: Sequence[int],
        act: Callable[[int], None],
        handle: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Make the watcher.

        Args:
            numbers: The signals.
            act: Called in a thread, at once.
            handle: Called in the main thread, when Python gets to it.
        """
        self.numbers = numbers
        self.act = act
        self.handle = handle
        self.previous: dict[int, Any] = {}
        self._previous_fd = -1
        self._pipe: tuple[socket.socket, socket.socket] | None = None

    def __enter__(self) -> SignalWatcher:
        """Install the handlers, which is possible in the main thread only."""
        if threading.current_thread() is not threading.main_thread():
            return self
        self._pipe = socket.socketpair()
        self._pipe[1].setblocking(False)  # noqa: FBT003 (the standard library's own signature)
        for number in self.numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self.previous[number] = signal.signal(number, self._run_handler)
        self._previous_fd = signal.set_wakeup_fd(self._pipe[1].fileno(), warn_on_full_buffer=False)
        threading.Thread(
            target=self._watch, args=(self._pipe[0],), name="signals", daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the handlers of before."""
        if self._pipe is None:
            return
        signal.set_wakeup_fd(self._previous_fd)
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous.clear()
        self._pipe[1].close()  # ends the thread
        self._pipe = None

    def handles(self, number: int) -> bool:
        """Return whether the handler of a signal is still that of this watcher."""
        return signal.getsignal(number) == self._run_handler

    def _run_handler(self, number: int, frame: FrameType | None) -> None:
        """Call `handle`, in the main thread."""
        self.handle(number)

    def _watch(self, end: socket.socket) -> None:
        """Act on each signal, until the other end is closed, as a short body does before this."""
        with end:
            while received := end.recv(1):
                if received[0] in self.numbers:  # not such as SIGCHLD, which torch handles
                    self.act(received[0])


def _reset_in_child() -> None:
    """Leave the parent's watcher in a forked child: SIGINT is ignored, others act as usual.

    On Linux the child ends with its parent, also where that is killed: the workers and the manager
    of a multiprocessing pool would wait for it for ever.
    """
    watcher = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
    if isinstance(watcher, SignalWatcher):
        # The end of the thread that forked counts as that of the parent; other threads may end.
        if sys.platform == "linux" and threading.current_thread().name == "MainThread":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        for number in watcher.previous:
            signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_in_child)


@contextmanager
def exit_on_interrupt(*, is_shown: bool) -> Iterator[None]:
    """Answer Ctrl-C in the body by one line at once, and end the process with exit code 130.

    SIGTERM is answered by one line, too, and ends the process at once with exit code 143, unless
    the body has another handler for it, as training has.

    The body gets a KeyboardInterrupt, so that it can remove temporary files. If it has not ended
    after `STOP_SECONDS`, or at a second Ctrl-C, the process and its workers are ended.

    Args:
        is_shown: Whether this process writes the line.
    """
    interrupt = _Interrupt(is_shown=is_shown)
    with SignalWatcher((signal.SIGINT, signal.SIGTERM), interrupt.act, interrupt.handle) as watcher:
        interrupt.watcher = watcher
        try:
            yield
        except BaseException:
            if interrupt.is_first_done:  # also an error that cleaning up has raised
                # CPython remembers a KeyboardInterrupt that ended code given as text, such as the
                # methods of a dataclass, and then ends `python -m` by SIGINT; the next text resets
                # that (run_eval_code_obj in pythonrun.c).
                exec("")  # nosec B102 # no code
                raise SystemExit(EXIT_INTERRUPTED) from None
            raise


class _Interrupt:
    """What is done at the first and at the second Ctrl-C."""

    def __init__(self, *, is_shown: bool) -> None:
        self.is_shown = is_shown
        self.watcher: SignalWatcher | None = None
        self.terminated = threading.Lock()  # as `first`, at SIGTERM
        self.first = threading.Lock()  # taken once, by the thread or the main thread
        self.stopped_at = 0.0
        self.is_first_done = False
        self.is_raised = False

    def act(self, number: int) -> None:
        """Write the line; at SIGTERM, a second Ctrl-C, or if the process does not end, end it."""
        if number == signal.SIGTERM:
            is_own = self.watcher is not None and self.watcher.handles(number)
            if is_own and self.terminated.acquire(blocking=False):
                if self.is_shown:
                    write_at_once("Stopped by SIGTERM.")
                end_process(128 + number)
            return
        now = time.monotonic()
        if self.first.acquire(blocking=False):
            self.stopped_at, self.is_first_done = now, True
            if self.is_shown:
                write_at_once("Interrupted.")
            timer = threading.Timer(STOP_SECONDS, end_process, (128 + number,))
            timer.daemon = True
            timer.start()
        elif now - self.stopped_at >= REPEAT_SECONDS:
            end_process(128 + number)

    def handle(self, number: int) -> None:
        """Interrupt the main thread once: a second time would interrupt the cleaning up."""
        self.act(number)  # the thread may not have had its turn
        if number == signal.SIGINT and not self.is_raised:
            self.is_raised = True
            raise KeyboardInterrupt


def end_process(exit_code: int) -> None:
    """End this process now, from any thread, and the worker processes that it started."""
    for name in ("multiprocessing", "multiprocess"):  # the latter is that of `datasets`
        module = sys.modules.get(name)
        for child in module.active_children() if module is not None else ():
            with contextlib.suppress(Exception):
                child.kill()
    os._exit(exit_code)


def write_at_once(text: str) -> None:
    """Write a line to stderr without its buffer and the logger, which the main thread may lock."""
    try:
        os.write(sys.stderr.fileno(), f"\n{text}\n".encode())
    except (OSError, ValueError):  # standard error is no file
        sys.stderr.write(f"\n{text}\n")
