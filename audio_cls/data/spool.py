"""Streamed clips that cannot be used: found by loader workers, written down as they are met.

One file a process below the run folder, so that a run that is cut off and goes on loses none.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from audio_cls.data.batches import Batch

FOLDER = "streamed"  # below the run folder


@dataclass(frozen=True)
class Fault:
    """Why a streamed clip was left out."""

    id: str
    reason: str


@dataclass(frozen=True)
class StreamBatch(Batch):
    """A batch, and the clips that should have been in it."""

    faults: tuple[tuple[int, Fault], ...] = ()  # (clip number, fault)

    def pin_memory(self) -> StreamBatch:
        """Pin the tensors; the faults go along."""
        pinned = super().pin_memory()
        return StreamBatch(
            pinned.inputs, pinned.labels, pinned.numbers, pinned.weights, self.faults
        )

    def to(self, device: torch.device) -> Batch:
        """Copy to a device; the faults stay."""
        return super().to(device)


def write_faults(folder: Path, rank: int, faults: Mapping[int, Fault]) -> None:
    """Append to this process's list. Creates the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"bad_audio-{rank}.csv").open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([number, fault.id, fault.reason] for number, fault in faults.items())


def read_faults(folder: Path) -> dict[str, str]:
    """Return {clip id: reason} of all processes, each clip once, by number."""
    found: dict[int, tuple[str, str]] = {}
    for path in sorted(folder.glob("bad_audio-*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            found.update((int(number), (name, reason)) for number, name, reason in csv.reader(file))
    return {name: reason for _, (name, reason) in sorted(found.items())}
