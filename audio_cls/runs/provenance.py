"""What results.json says of how a run was trained."""

from __future__ import annotations

import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from audio_cls import __version__
from audio_cls.training.loop import Training

LIBRARIES = ("torch", "transformers", "datasets", "accelerate", "evaluate", "huggingface_hub")


def describe_timing(run: Training, test_seconds: float) -> dict[str, Any]:
    """Return the `timing` part of results.json, summed over all starts of the run.

    Training seconds leave evaluation out; `energy`, where that was measured, is of training and its
    evaluations. What a start that was killed did after its last checkpoint is not known.
    """
    times = run.progress.sum_times()
    seconds, num_clips = times.train_seconds, run.position.step * run.order.shape.clips
    energy = run.meter.describe(times.energy)
    return {
        "starts": times.starts,
        "prepare_seconds": round(times.prepare_seconds, 2),
        "train_seconds": round(seconds, 2),
        "evaluate_seconds": round(times.evaluate_seconds + test_seconds, 2),
        "steps": run.position.step,
        "clips_per_step": run.order.shape.clips,
        "overhead_share": times.overhead_share,
        "skipped_steps": run.position.skipped,
        "evaluations": times.evaluations,
        "validation_seconds": round(times.evaluate_seconds, 3),
        "train_clips_per_second": round(num_clips / seconds, 2) if seconds else 0.0,
        "peak_memory_mb": times.peak_memory_mb,
        **({"energy": energy} if energy is not None else {}),
    }


def describe_versions() -> dict[str, str]:
    """Return the versions that a repetition needs to know."""
    found = {name: metadata.version(name) for name in LIBRARIES}
    return {"audio_cls": __version__, "python": platform.python_version(), **found}


def describe_date() -> str:
    """Return today's date in UTC, ISO 8601."""
    return datetime.now(UTC).date().isoformat()


def describe_command() -> str:
    """Return the launch line that repeats this run, quoted as a shell reads it (`shlex.join`)."""
    script = f"scripts/{Path(sys.argv[0]).name}"
    return shlex.join(["accelerate", "launch", script, *sys.argv[1:]])
