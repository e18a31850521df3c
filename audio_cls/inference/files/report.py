"""Report of a prediction: numbers of files, failures by reason, seconds of audio, and speed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from audio_cls.config import Seconds
from audio_cls.errors import count_of
from audio_cls.progress import describe_seconds


class Report:
    """Counts the files that are done, also those of interrupted calls before."""

    def __init__(self) -> None:
        self.num_files = 0
        self.failures: Counter[str] = Counter()  # reason -> number of files
        self.audio_seconds: Seconds = 0.0  # of the files that were read
        self.work_seconds: Seconds = 0.0  # of the calls before this one
        self.num_rows = 0  # of events, where they are numbered
        self.recording_seconds: Seconds = 0.0  # of the files of these rows, by their headers
        self._started = time.monotonic()

    @property
    def num_failed(self) -> int:
        """Return the number of files that could not be read."""
        return self.failures.total()

    def count(self, error: str | None, audio_seconds: Seconds | None) -> None:
        """Count a file that is done.

        Args:
            error: Why it could not be read; the reason is the text before the first colon.
            audio_seconds: Its length, where it is known.
        """
        self.num_files += 1
        self.audio_seconds += audio_seconds or 0.0
        if error is not None:
            self.failures[error.partition(":")[0]] += 1

    def restore(self, counts: Mapping[str, Any]) -> None:
        """Continue the counts of `to_json`."""
        own = {name: counts[name] for name in self.to_json() if name in counts}
        self.__dict__.update(own, failures=Counter(own.get("failures", {})))

    def to_json(self) -> dict[str, Any]:
        """Return the counts as JSON."""
        return {
            "num_files": self.num_files,
            "failures": dict(self.failures),
            "audio_seconds": self.audio_seconds,
            "work_seconds": self._seconds,
            "num_rows": self.num_rows,
            "recording_seconds": self.recording_seconds,
        }

    @property
    def _seconds(self) -> Seconds:
        """Return the time of all calls."""
        return self.work_seconds + time.monotonic() - self._started

    def describe(self, num_hidden: int = 0) -> str:
        """Return the closing line.

        >>> report = Report()
        >>> report.count(None, 2.0)
        >>> report.count("unreadable: no header", None)
        >>> report.describe().partition(" in ")[0]
        '2 files, 1 failed (1 unreadable), 2.0 s of audio'
        """
        parts = [count_of(self.num_files, "file")]
        if self.num_failed:
            reasons = ", ".join(f"{n:,} {reason}" for reason, n in self.failures.most_common())
            parts.append(f"{self.num_failed:,} failed ({reasons})")
        if num_hidden:
            parts.append(f"{num_hidden:,} hidden skipped")
        seconds = self._seconds
        if self.audio_seconds:
            speed = self.audio_seconds / max(seconds, 1e-9)
            parts.append(
                f"{_describe(self.audio_seconds)} of audio in {_describe(seconds)}"
                f" ({speed:,.{0 if speed >= 10 else 1}f}x real time)"
            )
        return ", ".join(parts)


def _describe(seconds: Seconds) -> str:
    """Return a duration; a short one with one decimal."""
    return f"{seconds:.1f} s" if seconds < 59.5 else describe_seconds(seconds)


def describe_scores(*, is_multilabel: bool, temperature: float) -> str:
    """Return which numbers the scores are.

    >>> describe_scores(is_multilabel=False, temperature=1.25)
    'softmax, temperature 1.25'
    """
    kind = "sigmoid" if is_multilabel else "softmax"
    return f"{kind}, temperature {temperature:.3g}"
