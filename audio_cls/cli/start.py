"""Start of the program `audio-cls`: before its modules are imported, which takes time.

Ctrl-C meanwhile ends it without a traceback, and closed standard streams are opened. Nothing is
imported here that takes time. `audio_cls.interrupts` answers Ctrl-C later.
"""

from __future__ import annotations

import os
import signal

from audio_cls.cli.streams import open_closed_streams
from audio_cls.exit_codes import EXIT_INTERRUPTED


def exit_on_early_interrupt() -> None:
    """End the process at Ctrl-C with exit code 130, until a command sets its own handler."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(EXIT_INTERRUPTED))


def main() -> None:
    """Run `audio-cls`."""
    open_closed_streams()
    exit_on_early_interrupt()
    from audio_cls.cli.main import main as run

    run()
