"""Segments of recordings as clips: `long.wav#12.500-14.000`, times in seconds.

The segment is part of the clip's path, and so of its id and of its cache key. Sample indices: a
time of t seconds is sample floor(t * rate + 0.5) of the recording at the file's rate. A segment
includes its start and excludes its end, so that adjacent segments share no sample and miss none.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass

from audio_cls.config import Hertz, Seconds
from audio_cls.errors import AudioError

DECIMALS = 9  # of a segment's times in seconds
SLACK: Seconds = 0.1  # by which a segment may end after its recording: lengths may be rounded
_SEGMENT = re.compile(r"(?P<file>.+)#(?P<start>\d+\.\d{3,9})-(?P<end>\d+\.\d{3,9}|end)", re.DOTALL)


@dataclass(frozen=True)
class Segment:
    """A part of a recording, in seconds from the start of the recording."""

    start: Seconds
    end: Seconds | None = None  # None: to the end of the recording

    def __str__(self) -> str:
        """Format the segment as in clip ids.

        >>> str(Segment(12.5, 14)), str(Segment(0.0625))
        ('12.500-14.000', '0.0625-end')
        """
        return f"{_write_time(self.start)}-{'end' if self.end is None else _write_time(self.end)}"

    def to_samples(self, num_samples: int, sampling_rate: Hertz) -> tuple[int, int]:
        """Return start and stop of the segment in a recording of `num_samples`.

        Raises:
            AudioError: The segment is empty or not inside the recording. A segment that ends up to
                0.1 s after the recording is shortened.

        >>> Segment(0.5, 1.5).to_samples(16_000, 8_000)
        (4000, 12000)
        """
        first = to_sample(self.start, sampling_rate)
        last = num_samples if self.end is None else to_sample(self.end, sampling_rate)
        if last <= first and self.end is not None:
            raise AudioError("empty segment", str(self))
        if first >= num_samples or last > num_samples + SLACK * sampling_rate:
            seconds = num_samples / sampling_rate
            raise AudioError("segment past the end", f"{self} of a recording of {seconds:.3f} s")
        return first, min(last, num_samples)


def to_sample(time: Seconds, sampling_rate: Hertz) -> int:
    """Return the sample at a time: floor(time * rate + 0.5).

    >>> to_sample(0.00003125, 16_000)
    1
    """
    return math.floor(time * sampling_rate + 0.5)


def join_segment(path: str, segment: Segment | None) -> str:
    """Return the path or id of a clip: a recording, or a segment of it.

    >>> join_segment("long.wav", Segment(12.5, 14))
    'long.wav#12.500-14.000'
    """
    return path if segment is None else f"{path}#{segment}"


def split_segment(path: str) -> tuple[str, Segment | None]:
    """Split a clip's path into the recording's path and the segment; None for a whole file.

    >>> split_segment("long.wav#12.500-14.000")
    ('long.wav', Segment(start=12.5, end=14.0))
    """
    match = _SEGMENT.fullmatch(path)
    if match is None or os.path.isfile(path):
        return path, None
    end = None if match["end"] == "end" else float(match["end"])
    return match["file"], Segment(float(match["start"]), end)


def _write_time(time: Seconds) -> str:
    """Format seconds with three to nine decimals, without trailing zeros after the third."""
    text = f"{time:.{DECIMALS}f}"
    return text[: len(text.rstrip("0"))].ljust(text.index(".") + 4, "0")
