"""Ctrl-C: one line at once and exit code 130, in the main process and its children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from audio_cls import interrupts
from audio_cls.interrupts import SignalWatcher, exit_on_interrupt

ROOT = Path(__file__).parents[1]

BODY = """
import hashlib, multiprocessing, os, sys, time
from audio_cls.interrupts import exit_on_interrupt

def work(start):
    start.set()
    time.sleep(60)

def hold():
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        time.sleep(60)

with exit_on_interrupt(is_shown=True):
    context = multiprocessing.get_context("fork")
    started = context.Event()
    child = context.Process(target=work, args=(started,), daemon=True)
    child.start()
    started.wait()
    try:
        print(child.pid, flush=True)
        {work}
    finally:
        print("cleaned up", flush=True)
"""
LONG_CALL = 'hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)'  # minutes, in one instruction


def _start(work: str) -> tuple[subprocess.Popen[str], int]:
    """Start a process with a child in a group of their own; return it and the child's id."""
    process = subprocess.Popen(
        [sys.executable, "-c", BODY.format(work=work)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    child = int(process.stdout.readline())
    time.sleep(0.5)  # the work begins after the line
    return process, child


def _is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
@pytest.mark.parametrize("work", ["time.sleep(60)", LONG_CALL, "os.wait() and 1 / 0"])
def test_the_first_ctrl_c_writes_one_line_at_once_and_ends_the_process_and_its_children(
    work: str,
) -> None:
    process, child = _start(work)
    assert process.stderr is not None
    started = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.stderr.readline() == "\n"
    assert process.stderr.readline() == "Interrupted.\n"
    assert time.monotonic() - started < 2
    output, errors = process.communicate(timeout=15)
    assert (process.returncode, errors) == (130, "")
    assert output == ("" if work == LONG_CALL else "cleaned up\n")
    deadline = time.monotonic() + 5  # a killed child may need a moment to end
    while _is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_running(child)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a signal at the end of the parent is Linux'")
def test_the_children_of_a_process_that_is_killed_end_with_it() -> None:
    process, child = _start("time.sleep(60)")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=15)
    deadline = time.monotonic() + 5
    while _is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_running(child)


@pytest.mark.slow
def test_a_second_ctrl_c_ends_a_process_that_does_not_clean_up() -> None:
    work = "hold()"
    process, _ = _start(work)
    os.kill(process.pid, signal.SIGINT)
    time.sleep(1.3)
    assert process.poll() is None
    started = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(timeout=5) == 130
    assert time.monotonic() - started < 1
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_ctrl_c_while_the_libraries_are_imported_ends_a_command_without_a_traceback(
    command: str, tmp_path: Path
) -> None:
    options = {"train": "--dataset", "evaluate": "--model"}[command]
    code = f"from audio_cls.cli.{command} import main; print(flush=True); main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, options, str(tmp_path)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.5)  # torch takes seconds
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=15)
    assert (process.returncode, errors.count("Interrupted.")) == (130, 1)
    assert "Traceback" not in errors


def test_an_error_of_the_cleaning_up_does_not_hide_the_interrupt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interrupts, "STOP_SECONDS", 1e6)  # else this process would end
    with pytest.raises(SystemExit) as caught, exit_on_interrupt(is_shown=False):
        try:
            signal.raise_signal(signal.SIGINT)
            time.sleep(1)
        finally:
            _fail()
    assert caught.value.code == 130


def test_ctrl_c_in_code_given_as_text_has_the_exit_code_too(tmp_path: Path) -> None:
    text = "signal.raise_signal(2)\ntime.sleep(9)"
    lines = ["from audio_cls.interrupts import *", "with exit_on_interrupt(is_shown=False):"]
    (tmp_path / "module.py").write_text("\n".join([*lines, f"    exec({text!r})"]))
    command = [sys.executable, "-m", "module"]  # only -m: elsewhere CPython forgets the interrupt
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, timeout=60, check=False)
    assert done.returncode == 130


def _fail() -> None:
    raise TimeoutError


def test_other_errors_pass_and_the_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(TimeoutError), exit_on_interrupt(is_shown=True):
        _fail()
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.set_wakeup_fd(-1) == -1


def test_an_inner_watcher_gives_the_signals_back_to_the_outer_one() -> None:
    acted: list[str] = []
    with SignalWatcher((signal.SIGUSR1,), lambda _: acted.append("outer")):
        with SignalWatcher((signal.SIGUSR1,), lambda _: acted.append("inner")):
            signal.raise_signal(signal.SIGUSR1)
            _wait_for(acted, 1)
        signal.raise_signal(signal.SIGUSR1)
        _wait_for(acted, 2)
    assert acted == ["inner", "outer"]


def _wait_for(acted: list[str], number: int) -> None:
    end = time.monotonic() + 5
    while len(acted) < number and time.monotonic() < end:
        time.sleep(0.01)


def test_a_watcher_that_ends_before_its_thread_begins_raises_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[threading.Thread] = []
    monkeypatch.setattr(threading.Thread, "start", lambda self: threads.append(self))
    with SignalWatcher((signal.SIGTERM,), lambda _: None):
        pass
    monkeypatch.undo()
    (thread,) = threads
    thread.run()  # an exception would be raised here


@pytest.mark.parametrize("program", ["scripts/train.py", "-m audio_cls"])
def test_ctrl_c_during_the_imports_of_a_command_prints_no_traceback(
    tmp_path: Path, program: str
) -> None:
    # A stand-in for click, which every command imports first, sends the signal.
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    env = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = [sys.executable, *program.split(), "--help"]
    result = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (130, "")


def test_sigterm_is_answered_by_one_line_and_exit_code_143() -> None:
    process, child = _start("time.sleep(60)")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 128 + signal.SIGTERM
    assert errors.strip() == "Stopped by SIGTERM."
    end = time.monotonic() + 5  # a killed process ends after the call that kills it
    while _is_running(child) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _is_running(child)
