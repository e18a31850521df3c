"""Provenance of a run, for results.json: hardware, date, command, commit, base model."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import torch

from audio_cls.config import RunConfig
from audio_cls.demo_data import BUILTIN
from audio_cls.distributed import Accelerator
from audio_cls.models.audio_model import AudioModel
from audio_cls.runs.results import Hardware, ModelDescription


def describe_hardware(accelerator: Accelerator, method: str = "fine-tune") -> Hardware:
    """Return the `hardware` part of results.json.

    Args:
        accelerator: This run's processes.
        method: Value of `--method`; a linear probe computes in float32 always.
    """
    device = accelerator.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return Hardware(
        device=name,
        num_processes=accelerator.num_processes,
        num_threads=torch.get_num_threads(),
        mixed_precision="no" if method == "probe" else str(accelerator.mixed_precision),
    )


def describe_date() -> str:
    """Return today's date in UTC, ISO 8601."""
    return datetime.now(UTC).date().isoformat()


def describe_command() -> str:
    """Return the command line that repeats this run, quoted as a shell reads it (`shlex.join`).

    Empty when the run was started from Python and not by a command of this package.
    """
    path, arguments = Path(sys.argv[0]).absolute(), sys.argv[1:]
    if path.name == "audio-cls":
        return shlex.join(["audio-cls", *arguments])
    if path.parts[-2:] == ("audio_cls", "__main__.py"):
        return shlex.join(["python", "-m", "audio_cls", *arguments])
    if path.parts[-3:-1] == ("audio_cls", "cli"):
        return shlex.join(["accelerate", "launch", "-m", f"audio_cls.cli.{path.stem}", *arguments])
    if path.parent.name == "scripts":
        return shlex.join(["accelerate", "launch", f"scripts/{path.name}", *arguments])
    return ""


def describe_commit(file: Path = Path(__file__)) -> str | None:
    """Return the git commit of this code, with "-dirty" if tracked files differ from it.

    Args:
        file: A file of the code.

    Returns:
        40 hexadecimal digits; None if the file is not tracked by git, such as an installed one.
    """
    git = ["git", "--no-optional-locks", "-C", str(file.parent)]
    try:
        for command in (
            ["ls-files", "--error-unmatch", file.name],
            ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        ):
            done = subprocess.run(  # nosec B603 # without a shell; the name of a module
                [*git, *command], capture_output=True, text=True, check=True, timeout=10
            )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


class Clock:
    """Stopwatch that starts when it is made."""

    def __init__(self) -> None:
        self.started = time.perf_counter()

    def lap(self) -> float:
        """Return the seconds since the start or the last call."""
        now = time.perf_counter()
        seconds, self.started = now - self.started, now
        return seconds


def describe_model(cfg: RunConfig, audio_model: AudioModel) -> ModelDescription:
    """Return the `model` part of results.json: the checkpoint that training started from."""
    return ModelDescription(
        id=cfg.model.model,
        revision=audio_model.revision,
        is_local=cfg.model.model.startswith(BUILTIN) or Path(cfg.model.model).is_dir(),
        num_parameters=count_parameters(audio_model),
    )


def count_parameters(audio_model: AudioModel) -> int:
    """Count the parameters of the saved model: with frozen ones, without LoRA adapters."""
    named = audio_model.model.named_parameters()
    return sum(weight.numel() for name, weight in named if ".lora_" not in name)
