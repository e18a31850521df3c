"""Exit codes of the commands. Nothing is imported here that takes time."""

from __future__ import annotations

import signal

EXIT_FAILED = 1  # such as a full disk, or no file that could be read
EXIT_REFUSED = 2  # an error that the user can fix
EXIT_PAUSED = 3  # a run that was asked to pause
EXIT_INTERRUPTED = 128 + signal.SIGINT  # Ctrl-C
