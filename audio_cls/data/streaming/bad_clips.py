"""Streamed clips that cannot be used: found by loader workers, written down as they are met.

One file a process below the run folder, so that a run that is cut off and goes on loses none.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from audio_cls.config import DataConfig
from audio_cls.data.loading.batch import Batch
from audio_cls.errors import DatasetError

FOLDER = "streamed"  # below the run folder
MIN_CHECKED = 20  # clips before which a share says little


@dataclass(frozen=True)
class BadClip:
    """Why a streamed clip was left out."""

    id: str
    reason: str


@dataclass(frozen=True)
class StreamBatch(Batch):
    """A batch, and the clips that should have been in it."""

    faults: tuple[tuple[int, BadClip], ...] = ()  # (clip number, fault)

    def pin_memory(self) -> StreamBatch:
        """Pin the tensors; the faults go along."""
        pinned = super().pin_memory()
        return StreamBatch(
            pinned.inputs, pinned.labels, pinned.numbers, pinned.weights, self.faults
        )


@dataclass
class BadClipLog:
    """One process's list of streamed clips that cannot be used."""

    folder: Path
    rank: int
    cfg: DataConfig
    num_clips: int = 0  # heard by this process since it started, good and bad
    num_bad: int = 0

    def note(self, batches: Iterable[Batch]) -> None:
        """Append the faults of a step's batches. Creates the folder.

        Raises:
            DatasetError: There are more than `--max-bad-audio-ratio` of them, or any at all with
                `--bad-audio fail`.
        """
        faults = [f for batch in batches if isinstance(batch, StreamBatch) for f in batch.faults]
        self.num_clips += sum(len(batch.numbers) for batch in batches) + len(faults)
        if not faults:
            return
        self.num_bad += len(faults)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"bad_audio-{self.rank}.csv"
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerows([number, fault.id, fault.reason] for number, fault in faults)
        self._check(faults[-1][1])

    def _check(self, last: BadClip) -> None:
        """Stop the run when too many clips are bad, of at least `MIN_CHECKED`."""
        share = self.num_bad / max(self.num_clips, MIN_CHECKED)
        if self.cfg.bad_audio == "skip" and share <= self.cfg.max_bad_audio_ratio:
            return
        advice = (
            "set them aside by --bad-audio skip."
            if self.cfg.bad_audio == "fail"
            else f"allow it by --max-bad-audio-ratio {math.ceil(100 * share) / 100:.2f}"
        )
        raise DatasetError(
            f"{self.num_bad} of {self.num_clips} streamed clips cannot be used (last: {last.id},"
            f" {last.reason}). Mend them, or {advice}"
        )


def read_faults(folder: Path) -> dict[str, str]:
    """Return {clip id: reason} of all processes, each clip once, by number."""
    found: dict[int, tuple[str, str]] = {}
    for path in sorted(folder.glob("bad_audio-*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            found.update((int(number), (name, reason)) for number, name, reason in csv.reader(file))
    return {name: reason for _, (name, reason) in sorted(found.items())}
