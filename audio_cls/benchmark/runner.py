"""Runner of a case: each contender in a fresh process with empty caches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audio_cls.benchmark.cases import CONTENDERS, Case
from audio_cls.benchmark.random_checkpoints import write_checkpoint
from audio_cls.benchmark.synthetic_clips import write_clips

ROOT = Path(__file__).parents[2]


def compare(
    case: Case, *, repeats: int, gpu: bool, names: Sequence[str] = tuple(CONTENDERS)
) -> dict[str, Any]:
    """Measure a case.

    Args:
        case: Clips, weights and settings.
        repeats: Runs of each contender, in turn.
        gpu: Train on a GPU, in bf16.
        names: The contenders.

    Returns:
        Per contender its best run by total seconds, with rates; `matrix_rate` in FLOP/s, and
        `flops`, the stock model's FLOP for a clip; `part`, the rate of audio_cls's largest kind of
        module relative to a matrix product (CPU, where more than the head is trained).
    """
    with tempfile.TemporaryDirectory(prefix="audio_cls_benchmark_") as made:
        folder = Path(made)
        write_clips(folder / "data", "train", case.train_clips, case.seconds)
        write_clips(folder / "data", "validation", case.eval_clips, case.seconds)
        write_checkpoint(case.shape, folder / "checkpoint")
        common = {
            "case": case.to_json(),
            "data": str(folder / "data"),
            "checkpoint": str(folder / "checkpoint"),
            "gpu": gpu,
            "bf16": gpu,
        }
        flops = start_child("audio_cls.benchmark.flops", common, folder / "flops")
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for number in range(repeats):
            for name in names:
                spec = {**common, "contender": name}
                runs[name].append(
                    start_child("audio_cls.benchmark.contender", spec, folder / f"{name}-{number}")
                )
        part = None
        if case.freeze != "backbone" and not gpu:
            part = start_child("audio_cls.benchmark.profile_step", common, folder / "part")
    rate = max(run["matrix_rate"] for found in runs.values() for run in found)
    best = {name: min(found, key=lambda run: run["total_seconds"]) for name, found in runs.items()}
    for name, run in best.items():
        _add_rates(run, case, flops, rate, is_own=name == "audio_cls")
    return {
        "case": case.to_json(),
        "contenders": best,
        "matrix_rate": rate,
        "flops": flops,
        "part": part,
    }


def profile(case: Case, *, gpu: bool) -> str:
    """Return torch's profile of one training step of audio_cls, as a table."""
    with tempfile.TemporaryDirectory(prefix="audio_cls_profile_") as made:
        write_checkpoint(case.shape, Path(made) / "checkpoint")
        spec = {
            "case": case.to_json(),
            "checkpoint": f"{made}/checkpoint",
            "gpu": gpu,
            "profile": True,
        }
        found = start_child("audio_cls.benchmark.profile_step", spec, Path(made) / "step")
    return str(found["table"])


def start_child(
    module: str, spec: dict[str, Any], folder: Path, cache: Path | None = None
) -> dict[str, Any]:
    """Run a module on a spec in a fresh process; return its result.

    Args:
        module: `audio_cls.benchmark.contender`, `.flops` or `.profile_step`.
        spec: Input of the module.
        folder: Created; the output is written there.
        cache: Caches to use; default: empty ones.
    """
    folder.mkdir()
    paths = {"output": str(folder / "run"), "result": str(folder / "result.json")}
    (folder / "spec.json").write_text(json.dumps({**spec, **paths}), "utf-8")
    run_python("-m", module, str(folder / "spec.json"), cache=cache or folder / "cache")
    found: dict[str, Any] = json.loads(Path(paths["result"]).read_text("utf-8"))
    return found


def run_python(*arguments: str, cache: Path) -> None:
    """Run Python in a new process: offline, on all cores, with these caches."""
    env = {
        **{name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"},
        "HF_HOME": str(cache),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, *arguments]
    # Without a shell; the arguments are those of this package.
    subprocess.run(command, env=env, cwd=ROOT, check=True, stdout=sys.stderr)  # nosec B603


def _add_rates(
    run: dict[str, float], case: Case, flops: dict[str, float], rate: float, *, is_own: bool
) -> None:
    """Add clips per second, and FLOP/s relative to a matrix product."""
    clips = case.train_clips * case.epochs
    run["train_clips_per_second"] = clips / run["train_seconds"]
    is_stored = is_own and case.freeze != "none"
    live = flops["rest"] + flops["backward"]
    work = clips * (live if is_stored else live + flops["frozen"])
    run["train_flops_per_second"] = work / run["train_seconds"]
    run["share_of_matrix_product"] = run["train_flops_per_second"] / rate
