"""A script for `accelerate launch` in which one process fails while the others wait for it."""

from __future__ import annotations

import os
import signal
import sys

from audio_cls.cli.console import one_line_errors
from audio_cls.config import TrainConfig
from audio_cls.distributed.accelerator import start_accelerator
from audio_cls.errors import TrainingError


def main(kind: str) -> None:
    """Fail in process 1: by an error of this package, or as the system kills for memory."""
    with one_line_errors():
        accelerator = start_accelerator(TrainConfig())
        accelerator.wait_for_everyone()
        if accelerator.process_index == 1:
            if kind == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise TrainingError("Out of memory with 8 clips.")
        accelerator.wait_for_everyone()


if __name__ == "__main__":
    main(sys.argv[1])
