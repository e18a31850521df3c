"""Synthetic data set of tones, chords and noise as parquet."""

from __future__ import annotations

import functools
import itertools
import math
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Audio, ClassLabel, Features
from numpy.typing import NDArray

from audio_cls.audio.files import encode_wav

RATE = 16_000
LABELS = ("low", "high", "chord", "noise")
SECONDS_AT_ONCE = 100.0  # of audio in a block of rows
FEW_BLOCKS = 8  # up to here, starting a pool of processes takes longer


def write_clips(
    folder: Path,
    split: str,
    count: int,
    seconds: tuple[float, float],
    clips_per_file: int | None = None,
) -> None:
    """Write FOLDER/SPLIT.parquet: `audio` (16-bit wav) and `label`, the classes in turn.

    The same arguments give the same clips. Memory does not grow with their number.

    Args:
        folder: Created if it does not exist.
        split: Name of the split.
        count: Number of clips.
        seconds: Shortest and longest clip.
        clips_per_file: Approximate size of files named as on the Hub, SPLIT-00000-of-00002.parquet;
            None: one file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    features = Features({"audio": Audio(sampling_rate=RATE), "label": ClassLabel(names=LABELS)})
    schema = features.arrow_schema
    rows_at_once = min(count, max(1, round(SECONDS_AT_ONCE / seconds[1])))
    blocks = [range(at, min(count, at + rows_at_once)) for at in range(0, count, rows_at_once)]
    made = _map_in_order(functools.partial(_make_rows, split, count, seconds), blocks)
    per_file = max(1, clips_per_file // rows_at_once) if clips_per_file else len(blocks)
    num_files = math.ceil(len(blocks) / per_file)
    for number in range(num_files):
        part = f"-{number:05d}-of-{num_files:05d}" if clips_per_file else ""
        with pq.ParquetWriter(folder / f"{split}{part}.parquet", schema) as writer:
            for rows in itertools.islice(made, per_file):
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def _map_in_order(
    make: Callable[[range], list[dict[str, Any]]], blocks: list[range]
) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of each block; several blocks at a time on all cores if there are many."""
    cores = os.cpu_count() or 1
    if len(blocks) <= FEW_BLOCKS:
        yield from map(make, blocks)
        return
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
        for first in range(0, len(blocks), 4 * cores):
            yield from pool.map(make, blocks[first : first + 4 * cores])


def _make_rows(
    split: str, count: int, seconds: tuple[float, float], numbers: range
) -> list[dict[str, Any]]:
    """Return rows of the table."""
    rng = np.random.default_rng((count, len(split), numbers.start))
    rows = []
    for number in numbers:
        label = number % len(LABELS)
        wave = make_wave(LABELS[label], rng.uniform(*seconds), rng)
        cell = {"bytes": encode_wav(wave, RATE), "path": f"{split}-{number:06d}.wav"}
        rows.append({"audio": cell, "label": label})
    return rows


def make_wave(kind: str, seconds: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Generate a clip of a class, (T,), with a little noise."""
    time = np.arange(round(seconds * RATE)) / RATE
    noise = rng.normal(0, 1, len(time))
    if kind == "noise":
        return 0.2 * noise
    roots = {"low": (200,), "high": (3000,), "chord": (500, 630, 750)}[kind]
    pitch = rng.uniform(0.9, 1.1)
    tones = [np.sin(2 * np.pi * root * pitch * time) for root in roots]
    return np.asarray(0.4 * np.mean(tones, axis=0) + 0.01 * noise)
