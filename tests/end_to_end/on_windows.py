"""Run a script of this package as if it were on Windows, which has no POSIX modules.

    python tests/end_to_end/on_windows.py scripts/train.py --dataset ...

Only this package's own modules see another system: what POSIX alone has is missing for them,
`sys.platform` is win32, and `msvcrt` is a stand-in that locks bytes. Libraries work as ever.
"""

from __future__ import annotations

import builtins
import fcntl
import importlib
import os
import pkgutil
import runpy
import signal
import sys
from types import ModuleType
from typing import Any

POSIX_ONLY = {"resource", "fcntl", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix"}


class OnWindows:
    """A module as Windows has it: without some names, and others with another value."""

    def __init__(self, module: ModuleType, missing: set[str], **values: object) -> None:
        vars(self).update(values)
        self._module, self._missing = module, missing

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        """Return what the module itself has."""
        if name in self._missing:
            raise AttributeError(f"Windows has no {self._module.__name__}.{name}")
        return getattr(self._module, name)


class Msvcrt:
    """The part of Windows' runtime that this package uses."""

    LK_NBLCK = 2

    def locking(self, file: int, mode: int, num_bytes: int) -> None:
        """Lock bytes at the current place of an open file, or raise OSError."""
        assert mode == self.LK_NBLCK
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, num_bytes, 0, os.SEEK_CUR)


def install() -> None:
    """Give the modules of this package what they would find on Windows."""
    posix_names = {"getppid", "fork", "geteuid", "getuid", "uname", "sysconf", "statvfs", "getpgid"}
    modules: dict[str, object] = {
        "sys": OnWindows(sys, set(), platform="win32"),
        "os": OnWindows(os, posix_names, name="nt"),
        "signal": OnWindows(signal, {"SIGHUP", "SIGKILL", "SIGUSR1", "SIGALRM", "alarm"}),
        "msvcrt": Msvcrt(),
    }
    original = builtins.__import__

    def find(name: str, scope: Any = None, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        asker = (scope or {}).get("__name__", "")
        if asker.partition(".")[0] == "audio_cls":
            if name in POSIX_ONLY:
                raise ImportError(f"{asker} imports {name}, which Windows does not have")
            if name in modules:
                return modules[name]
        return original(name, scope, *args, **kwargs)

    builtins.__import__ = find


def main() -> None:
    """Import every module, then run the script of the command line."""
    install()
    import audio_cls

    for found in pkgutil.walk_packages(audio_cls.__path__, "audio_cls."):
        importlib.import_module(found.name)
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
