"""Tests of audio_cls.storage.locks, also between processes, and on Windows' byte ranges."""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import struct
import subprocess
import sys
import types
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from audio_cls.storage import locks
from audio_cls.storage.locks import FileLock, Holder

HOLD = """
import sys
from pathlib import Path
from audio_cls.storage.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
sys.stdin.read()
"""


def test_an_exclusive_lock_excludes_all_others_and_shared_ones_exclude_exclusive_ones(
    tmp_path: Path,
) -> None:
    one, two, three = (FileLock(tmp_path / "lock") for _ in range(3))
    assert one.acquire(shared=True)
    assert two.acquire(shared=True)
    assert not three.acquire()
    one.release()
    assert not three.acquire()
    two.release()
    assert three.acquire()
    assert not one.acquire(shared=True)
    three.release()
    assert one.acquire()


def test_the_holder_of_an_exclusive_lock_is_known_until_it_is_released(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.read_holder() is None
    assert lock.acquire()
    holder = FileLock(tmp_path / "lock").read_holder()
    assert isinstance(holder, Holder)
    assert holder.pid == os.getpid()
    assert str(holder).startswith(f"process {os.getpid()} on {holder.host}, since 20")
    lock.release()
    assert lock.read_holder() is None


def test_a_lock_is_free_when_its_process_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"
        lock = FileLock(tmp_path / "lock")
        assert not lock.acquire()
        assert not lock.acquire(shared=True)
        holder = lock.read_holder()
        assert holder is not None
        assert holder.pid == process.pid
        process.kill()
    assert lock.acquire()


def test_a_forked_child_does_not_free_its_parents_lock(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire()
    child = os.fork()
    if child == 0:
        lock.release()
        os._exit(0)
    os.waitpid(child, 0)
    assert not FileLock(tmp_path / "lock").acquire()


def test_a_lock_that_is_sent_to_another_process_is_not_held_there(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire()
    sent: FileLock = pickle.loads(pickle.dumps(lock))
    assert sent.path == lock.path
    assert not sent.acquire()
    sent.release()
    assert not FileLock(tmp_path / "lock").acquire()


def test_a_removed_lock_file_is_no_lock(tmp_path: Path) -> None:
    one, two = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert one.acquire()
    one.release(remove=True)
    assert not (tmp_path / "lock").exists()
    assert one.acquire()
    assert not two.acquire()


def test_a_file_that_is_replaced_between_opening_and_locking_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    real, calls = locks._lock, []

    def lock_after_removal(file: int, *, shared: bool) -> bool:
        if not calls:
            path.unlink()  # as its user did before releasing it
        calls.append(file)
        return real(file, shared=shared)

    monkeypatch.setattr(locks, "_lock", lock_after_removal)
    assert FileLock(path).acquire()
    monkeypatch.undo()
    assert len(calls) == 2
    assert path.exists()


def test_a_lock_is_not_taken_twice_by_one_object(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock") as lock:
        assert lock.acquire()
        with pytest.raises(RuntimeError, match="already"):
            lock.acquire()
    assert FileLock(tmp_path / "lock").acquire()


def test_a_folder_that_is_missing_is_an_error_and_not_a_lock_of_another(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "absent" / "lock").acquire()


@pytest.fixture
def windows_locks(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 (a module)
    """Import the module as Windows would, over byte ranges of open files that Linux has, too."""

    def locking(file: int, _mode: int, num_bytes: int) -> None:
        start = os.lseek(file, 0, os.SEEK_CUR)
        wanted = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, start, num_bytes, 0)
        fcntl.fcntl(file, 37, wanted)  # F_OFD_SETLK

    fake = types.ModuleType("msvcrt")
    vars(fake).update(LK_NBLCK=2, locking=locking)
    monkeypatch.setitem(sys.modules, "msvcrt", fake)
    monkeypatch.setattr(sys, "platform", "win32")
    specification = util.spec_from_file_location("windows_locks", locks.__file__)
    assert specification is not None
    assert specification.loader is not None
    module = util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "windows_locks", module)
    specification.loader.exec_module(module)
    return module


@pytest.mark.skipif(sys.platform != "linux", reason="locks of open files by Linux's F_OFD_SETLK")
def test_on_windows_locks_exclude_each_other_as_well(tmp_path: Path, windows_locks: Any) -> None:  # noqa: ANN401
    one, two, three = (windows_locks.FileLock(tmp_path / "lock") for _ in range(3))
    assert one.acquire(shared=True)
    assert two.acquire(shared=True)
    assert not three.acquire()
    one.release()
    assert not three.acquire()
    two.release()
    assert three.acquire()
    assert not one.acquire(shared=True)
    assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    three.release()
    assert one.acquire()
