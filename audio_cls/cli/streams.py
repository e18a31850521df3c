"""Standard streams that the shell has closed. Nothing is imported here that takes time."""

from __future__ import annotations

import os
import sys


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
