"""Standard streams that the shell has closed. Nothing is imported here that takes time."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def open_closed_streams() -> None:
    """Connect standard streams that are closed, as `<&-` does, to the null device.

    Otherwise the next files that are opened would get their numbers.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            file = os.open(os.devnull, os.O_RDWR)
            if file != number:
                os.dup2(file, number)
                os.close(file)
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: SIM115 (stays open)


def discard_unwritable(stream: TextIO) -> None:
    """Connect a standard stream whose buffer cannot be written to the null device.

    The buffer would fail again when the process ends, and change its exit code to 120.
    """
    try:
        stream.flush()
    except OSError:
        file = os.open(os.devnull, os.O_WRONLY)
        os.dup2(file, stream.fileno())
        os.close(file)
