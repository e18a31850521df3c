"""Segments of recordings as clips: `long.wav#12.500-14.000` is a piece of long.wav, in seconds.

The piece is part of the clip's path, so that whatever reads, names or caches a clip by its path
does so with the segment. Sample indices: a time of t seconds is sample floor(t * rate + 0.5) of the
recording at its own rate; the piece has the samples from its start up to, but without, its end, so
that adjoining segments share no sample and leave none out.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass

from audio_cls.config import Hertz, Seconds
from audio_cls.errors import AudioError

DECIMALS = 9  # of a second, kept of a segment's times
SLACK: Seconds = 0.1  # that a segment may end after its recording, by a rounded or estimated length
_SEGMENT = re.compile(r"(?P<file>.+)#(?P<start>\d+\.\d{3,9})-(?P<end>\d+\.\d{3,9}|end)", re.DOTALL)


@dataclass(frozen=True)
class Segment:
    """A part of a recording, in seconds from its beginning."""

    start: Seconds
    end: Seconds | None = None  # None: to the end of the recording

    def __str__(self) -> str:
        """Write the segment as ids have it.

        >>> str(Segment(12.5, 14)), str(Segment(0.0625))
        ('12.500-14.000', '0.0625-end')
        """
        return f"{_write_time(self.start)}-{'end' if self.end is None else _write_time(self.end)}"

    def to_samples(self, num_samples: int, sampling_rate: Hertz) -> tuple[int, int]:
        """Return first sample and the one after the last, in a recording of `num_samples`.

        Raises:
            AudioError: The segment has no length, or it is not inside the recording; one that ends
                up to 0.1 s after the recording ends with it.

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
    """Return the path, or the id, of a segment of a recording.

    >>> join_segment("long.wav", Segment(12.5, 14))
    'long.wav#12.500-14.000'
    """
    return path if segment is None else f"{path}#{segment}"


def split_segment(path: str) -> tuple[str, Segment | None]:
    """Return the recording's path and the segment, None where the path names a whole file.

    >>> split_segment("long.wav#12.500-14.000")
    ('long.wav', Segment(start=12.5, end=14.0))
    """
    match = _SEGMENT.fullmatch(path)
    if match is None or os.path.isfile(path):
        return path, None
    end = None if match["end"] == "end" else float(match["end"])
    return match["file"], Segment(float(match["start"]), end)


def _write_time(time: Seconds) -> str:
    """Write seconds with three decimals, or with as many as they have up to nine."""
    text = f"{time:.{DECIMALS}f}"
    return text[: len(text.rstrip("0"))].ljust(text.index(".") + 4, "0")
