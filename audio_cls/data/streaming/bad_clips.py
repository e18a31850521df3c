"""Log of the streamed clips that cannot be used, in one CSV file per process below the run folder.

Loader workers find them during training; each is appended at once, so that a resumed run has those
of the interrupted one.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from audio_cls.config import DataConfig
from audio_cls.data.loading.batch import BadClip, Batch
from audio_cls.errors import DatasetError, count_of

FOLDER = "streamed"  # below the run folder
MIN_CHECKED = 20  # smallest number of clips that the ratio of unusable ones is computed with


@dataclass
class BadClipLog:
    """One process's log."""

    folder: Path
    rank: int
    cfg: DataConfig
    num_clips: int = 0  # loaded by this process since it started, usable or not
    num_bad: int = 0

    def note(self, batches: Collection[Batch]) -> None:
        """Append the unusable clips of a step's batches. Creates the folder.

        Raises:
            DatasetError: There are more than `--max-bad-audio-ratio` of them, or any at all with
                `--bad-audio fail`.
        """
        found = [clip for batch in batches for clip in batch.bad_clips]
        self.num_clips += sum(len(batch.numbers) for batch in batches) + len(found)
        if not found:
            return
        self.num_bad += len(found)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"bad_audio-{self.rank}.csv"
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(found)
        self._check(found[-1])

    def _check(self, last: BadClip) -> None:
        """Stop the run if too many clips cannot be used."""
        ratio = self.num_bad / max(self.num_clips, MIN_CHECKED)
        if self.cfg.bad_audio == "skip" and ratio <= self.cfg.max_bad_audio_ratio:
            return
        advice = (
            "leave them out with --bad-audio skip."
            if self.cfg.bad_audio == "fail"
            else f"allow it by --max-bad-audio-ratio {math.ceil(100 * ratio) / 100:.2f}"
        )
        raise DatasetError(
            f"{self.num_bad} of {count_of(self.num_clips, 'streamed clip')} cannot be used (last:"
            f" {last.id}, {last.reason}). Repair or remove them, or {advice}"
        )


def read_bad_clips(folder: Path) -> dict[str, str]:
    """Return {clip id: reason} of all processes' logs, each clip once, by clip number."""
    found: dict[int, tuple[str, str]] = {}
    for path in sorted(folder.glob("bad_audio-*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            found.update((int(number), (name, reason)) for number, name, reason in csv.reader(file))
    return {name: reason for _, (name, reason) in sorted(found.items())}
