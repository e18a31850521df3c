"""Scaling: seconds per epoch and memory against the number of clips, with a tiny network."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

from audio_cls.benchmark.cases import Case
from audio_cls.benchmark.random_checkpoints import write_checkpoint
from audio_cls.benchmark.runner import start_child
from audio_cls.benchmark.synthetic_clips import write_clips
from audio_cls.benchmark.tables import format_cells, format_titles

SECONDS = (0.1, 0.1)
BATCH_SIZE = 64
CLIPS_PER_FILE = 20_000  # 66 MB: `datasets` holds a whole file while it copies it to its cache
COLUMNS = (
    ("clips", "clips", "{:.0f}"),
    ("prepare s", "prepare_seconds", "{:.1f}"),
    ("again s", "prepare_again_seconds", "{:.1f}"),
    ("epoch s", "epoch_seconds", "{:.1f}"),
    ("clips/s", "clips_per_second", "{:.0f}"),
    ("peak MB", "peak_memory_mb", "{:.0f}"),
    ("again MB", "peak_memory_again_mb", "{:.0f}"),
    ("streamed: prepare s", "stream_prepare_seconds", "{:.1f}"),
    ("epoch s", "stream_epoch_seconds", "{:.1f}"),
    ("peak MB", "stream_peak_memory_mb", "{:.0f}"),
)


def measure_growth(counts: tuple[int, ...], *, gpu: bool) -> list[dict[str, float]]:
    """Train one epoch for each number of clips: with empty caches, with filled caches, streamed.

    Returns:
        For each count the numbers of `COLUMNS`; "again": a second run, with the first one's caches.
    """
    rows: list[dict[str, float]] = []
    for count in counts:
        case = Case("tiny", SECONDS, count, BATCH_SIZE, 1, BATCH_SIZE, "none")
        with tempfile.TemporaryDirectory(prefix="audio_cls_growth_") as made:
            folder = Path(made)
            write_clips(folder / "data", "train", count, SECONDS, CLIPS_PER_FILE)
            write_clips(folder / "data", "validation", BATCH_SIZE, SECONDS, CLIPS_PER_FILE)
            write_checkpoint("tiny", folder / "checkpoint")
            spec: dict[str, Any] = {
                "case": case.to_json(),
                "data": str(folder / "data"),
                "checkpoint": str(folder / "checkpoint"),
                "contender": "audio_cls",
                "gpu": gpu,
                "bf16": False,
            }
            streamed = {"streaming": True, "max_steps": math.ceil(count / BATCH_SIZE)}
            child, cache = "audio_cls.benchmark.contender", folder / "cache"
            cold = start_child(child, spec, folder / "cold", cache)
            warm = start_child(child, spec, folder / "warm", cache)
            stream = start_child(child, {**spec, "settings": streamed}, folder / "streamed")
        epoch_seconds = min(cold["train_seconds"], warm["train_seconds"])
        rows.append(
            {
                "clips": count,
                "prepare_seconds": cold["prepare_seconds"],
                "prepare_again_seconds": warm["prepare_seconds"],
                "epoch_seconds": epoch_seconds,
                "clips_per_second": count / epoch_seconds,
                "peak_memory_mb": cold["peak_memory_mb"],
                "peak_memory_again_mb": warm["peak_memory_mb"],
                "stream_prepare_seconds": stream["prepare_seconds"],
                "stream_epoch_seconds": stream["train_seconds"],
                "stream_peak_memory_mb": stream["peak_memory_mb"],
            }
        )
    return rows


def format_growth(rows: list[dict[str, float]]) -> str:
    """Return the table of `measure_growth`."""
    lines = [
        f"### growth: an epoch of a tiny network, {BATCH_SIZE} clips of {SECONDS[0]:g} s per step",
        "",
        *format_titles(COLUMNS),
    ]
    lines += [format_cells(row, COLUMNS) for row in rows]
    return "\n".join([*lines, ""])
