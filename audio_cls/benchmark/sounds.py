"""Clips whose classes can be heard: low and high tones, chords and noise, as a parquet data set."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from datasets import Audio, ClassLabel, Features
from numpy.typing import NDArray

RATE = 16_000
LABELS = ("low", "high", "chord", "noise")
ROWS_AT_ONCE = 256


def write_clips(folder: Path, split: str, count: int, seconds: tuple[float, float]) -> None:
    """Write FOLDER/SPLIT.parquet: `audio` (16-bit wav) and `label`, the classes in turn.

    The same arguments give the same clips. Memory does not grow with their number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    features = Features({"audio": Audio(sampling_rate=RATE), "label": ClassLabel(names=LABELS)})
    schema = features.arrow_schema
    rng = np.random.default_rng((count, len(split)))
    with pq.ParquetWriter(folder / f"{split}.parquet", schema) as writer:
        for start in range(0, count, ROWS_AT_ONCE):
            numbers = range(start, min(count, start + ROWS_AT_ONCE))
            rows = list(_iterate_rows(split, numbers, seconds, rng))
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def _iterate_rows(
    split: str, numbers: range, seconds: tuple[float, float], rng: np.random.Generator
) -> Iterator[dict[str, Any]]:
    """Yield rows of the table."""
    for number in numbers:
        label = number % len(LABELS)
        wave = make_wave(LABELS[label], rng.uniform(*seconds), rng)
        buffer = io.BytesIO()
        soundfile.write(buffer, wave, RATE, format="WAV", subtype="PCM_16")
        yield {
            "audio": {"bytes": buffer.getvalue(), "path": f"{split}-{number:06d}.wav"},
            "label": label,
        }


def make_wave(kind: str, seconds: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Make a clip of a class, (T,), with a little noise."""
    time = np.arange(round(seconds * RATE)) / RATE
    noise = rng.normal(0, 1, len(time))
    if kind == "noise":
        return 0.2 * noise
    roots = {"low": (200,), "high": (3000,), "chord": (500, 630, 750)}[kind]
    pitch = rng.uniform(0.9, 1.1)
    tones = [np.sin(2 * np.pi * root * pitch * time) for root in roots]
    return np.asarray(0.4 * np.mean(tones, axis=0) + 0.01 * noise)
