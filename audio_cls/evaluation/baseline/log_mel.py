"""Log-mel statistics of a waveform: level, spread and change of each mel band over a clip.

Letters: T samples, F frames, D = 3 * BANDS statistics.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import fft  # type: ignore[import-untyped]

from audio_cls.audio.fingerprint import make_mel_filters
from audio_cls.audio.waveform import Wave
from audio_cls.config import Hertz, Seconds

Levels = NDArray[np.float32]  # (F, BANDS), natural logarithms of power
Statistics = NDArray[np.float32]  # (D,)

BANDS = 64  # mel bands from 0 Hz to half the sampling rate
NUM_STATISTICS = 3 * BANDS
WINDOW: Seconds = 0.025
HOP: Seconds = 0.010
FLOOR = 1e-10  # power below this counts as this: there is no logarithm of digital silence
BLOCK_FRAMES = 1000  # frames computed at a time: 10 s
MAX_BLOCKS = 30  # of a longer clip, that many evenly spaced blocks are used: five minutes


def compute_levels(wave: Wave, rate: Hertz) -> Levels:
    """Return the log-mel levels of a waveform (T,): (F, BANDS).

    A frame is 25 ms long and begins 10 ms after the one before; a last part shorter than a frame
    is left out. A waveform shorter than one frame is padded with zeros to one.
    """
    window, num_fft = _make_window(rate)
    if len(wave) < len(window):
        wave = np.pad(wave, (0, len(window) - len(wave)))
    frames = np.lib.stride_tricks.sliding_window_view(wave, len(window))[:: _hop(rate)]
    spectrum = fft.rfft(frames * window, num_fft, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    bands = power @ make_mel_filters(rate, num_fft, BANDS, 0.0, rate / 2)
    return np.asarray(np.log(np.maximum(bands, FLOOR)), dtype=np.float32)


def compute_statistics(
    read_wave: Callable[[int, int], Wave], num_samples: int, rate: Hertz
) -> Statistics:
    """Return the statistics of a clip, (D,): three numbers for each mel band.

    They are the mean of its level over all frames, its standard deviation, and the standard
    deviation of the differences between neighbouring frames. A clip of one frame has deviations of
    0. The clip is read in blocks of 10 s, so that memory does not grow with its length. Of a clip
    longer than five minutes, 30 evenly spaced blocks are used.

    Args:
        read_wave: Returns the samples from a start to a stop, both in samples.
        num_samples: Length of the clip.
        rate: Its sampling rate in Hz.
    """
    hop, window = _hop(rate), len(_make_window(rate)[0])
    num_frames = 1 + max(0, num_samples - window) // hop
    num_blocks = -(-num_frames // BLOCK_FRAMES)
    blocks = np.linspace(0, num_blocks - 1, min(num_blocks, MAX_BLOCKS)).round().astype(int)
    levels, changes = _Moments(), _Moments()
    last, before = None, -1
    for block in blocks.tolist():
        first = block * BLOCK_FRAMES
        frames = min(BLOCK_FRAMES, num_frames - first)
        stop = min(num_samples, (first + frames - 1) * hop + window)
        found = compute_levels(read_wave(first * hop, stop), rate)
        levels.add(found)
        joined = found if last is None or block != before + 1 else np.vstack([last, found])
        changes.add(np.diff(joined, axis=0))
        last, before = found[-1:], block
    return np.concatenate([levels.mean, levels.deviation, changes.deviation]).astype(np.float32)


class _Moments:
    """Mean and standard deviation of rows (F, BANDS) that are added in parts.

    Sums are of the differences from the first row, so that the deviation of equal rows is 0.
    """

    def __init__(self) -> None:
        self.count = 0
        self.origin = self.total = self.squares = np.zeros(BANDS)

    def add(self, rows: Levels) -> None:
        """Add rows; none is allowed."""
        if self.count == 0 and len(rows):
            self.origin = rows[0].astype(np.float64)
        shifted = rows - self.origin
        self.count += len(rows)
        self.total = self.total + shifted.sum(axis=0)
        self.squares = self.squares + (shifted**2).sum(axis=0)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Return the mean, (BANDS,); 0 without rows."""
        return self.origin + self.total / max(1, self.count)

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Return the standard deviation of all rows, (BANDS,); 0 without rows."""
        shift = self.total / max(1, self.count)
        return np.sqrt(np.maximum(0, self.squares / max(1, self.count) - shift**2))


def _hop(rate: Hertz) -> int:
    """Return the samples between the beginnings of two frames."""
    return max(1, round(HOP * rate))


@functools.cache
def _make_window(rate: Hertz) -> tuple[NDArray[np.float32], int]:
    """Return the Hann window of a frame, (T,), and the samples of its Fourier transform."""
    length = max(2, round(WINDOW * rate))
    return np.hanning(length).astype(np.float32), 2 ** (length - 1).bit_length()
