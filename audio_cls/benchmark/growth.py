"""Growth: seconds an epoch and memory over the number of clips, of a network that costs nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from audio_cls.benchmark.cases import Case
from audio_cls.benchmark.compare import start_child
from audio_cls.benchmark.shapes import write_checkpoint
from audio_cls.benchmark.sounds import write_clips

SECONDS = (0.2, 0.2)


def measure_growth(counts: tuple[int, ...], *, gpu: bool) -> list[dict[str, float]]:
    """Train one epoch on ever more clips; start each a second time with its caches filled.

    Returns:
        Per count: clips, seconds to prepare cold and warm, seconds of the epoch, peak MB.
    """
    rows: list[dict[str, float]] = []
    for count in counts:
        case = Case("tiny", SECONDS, count, 64, 1, 64, "none")
        with tempfile.TemporaryDirectory(prefix="audio_cls_growth_") as made:
            folder = Path(made)
            write_clips(folder / "data", "train", count, SECONDS)
            write_clips(folder / "data", "validation", 64, SECONDS)
            write_checkpoint("tiny", folder / "checkpoint")
            spec: dict[str, Any] = {
                "case": case.to_json(),
                "data": str(folder / "data"),
                "checkpoint": str(folder / "checkpoint"),
                "contender": "audio_cls",
                "gpu": gpu,
                "bf16": False,
            }
            cache = folder / "cache"
            cold = start_child("audio_cls.benchmark.child", spec, folder / "cold", cache)
            warm = start_child("audio_cls.benchmark.child", spec, folder / "warm", cache)
        rows.append(
            {
                "clips": count,
                "prepare_seconds": cold["prepare_seconds"],
                "prepare_again_seconds": warm["prepare_seconds"],
                "epoch_seconds": min(cold["train_seconds"], warm["train_seconds"]),
                "peak_memory_mb": max(cold["peak_memory_mb"], warm["peak_memory_mb"]),
                "peak_memory_again_mb": warm["peak_memory_mb"],
            }
        )
    return rows


def format_growth(rows: list[dict[str, float]]) -> str:
    """Return the table of `measure_growth`."""
    lines = [
        "### growth: a tiny network, clips of 0.2 s, one epoch",
        "",
        "| clips | prepare s | again s | epoch s | clips/s | peak MB | again MB |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['clips']:.0f} | {row['prepare_seconds']:.1f} | {row['prepare_again_seconds']:.1f}"
        f" | {row['epoch_seconds']:.1f} | {row['clips'] / row['epoch_seconds']:.0f}"
        f" | {row['peak_memory_mb']:.0f} | {row['peak_memory_again_mb']:.0f} |"
        for row in rows
    ]
    return "\n".join([*lines, ""])
