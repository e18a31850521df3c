"""LiveBuffer: the last seconds that a microphone sent, for one visitor of the page."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.audio.blocks import to_samples
from audio_cls.audio.waveform import Wave, mix_channels
from audio_cls.config import Hertz, Seconds


class LiveBuffer:
    """A ring buffer: `append` only copies, so that the browser's next block is not lost.

    The stream's handler appends while a timer's handler reads, in another thread.
    """

    def __init__(self, max_seconds: Seconds) -> None:
        self.max_seconds = max_seconds  # older samples are dropped
        self._lock = threading.Lock()
        self.clear()

    def __deepcopy__(self, _: dict[int, Any]) -> LiveBuffer:
        """Return an empty buffer: the page copies its initial value for each visitor."""
        return LiveBuffer(self.max_seconds)

    def clear(self) -> None:
        """Drop all samples, and start to count from 0."""
        with self._lock:
            self.sampling_rate: Hertz = 0  # of the microphone; 0 before the first block
            self.num_received = 0  # samples since the start
            self.started = 0.0  # time of the first block
            self._samples: Wave = np.zeros(0, np.float32)

    @property
    def seconds(self) -> Seconds:
        """Return the seconds of audio received since the start."""
        return self.num_received / self.sampling_rate if self.sampling_rate else 0.0

    def describe(self) -> str:
        """Return how much audio was received, and in how many seconds, so that a loss is seen."""
        passed = time.monotonic() - self.started if self.sampling_rate else 0.0
        return f"{self.seconds:.1f} s of audio received in {passed:.1f} s"

    def append(self, sampling_rate: Hertz, block: NDArray[Any]) -> None:
        """Add a block.

        Args:
            sampling_rate: In Hz; another one than before empties the buffer.
            block: Shape (T,) or (T, C), see `to_samples`.
        """
        if len(block) == 0:
            return
        wave = mix_channels(to_samples(block))
        if sampling_rate != self.sampling_rate:
            self.clear()
        with self._lock:
            if not self.sampling_rate:
                self.sampling_rate, self.started = sampling_rate, time.monotonic()
                self._samples = np.zeros(round(self.max_seconds * sampling_rate), np.float32)
            size = len(self._samples)
            places = np.arange(self.num_received, self.num_received + len(wave)) % size
            self._samples[places[-size:]] = wave[-size:]
            self.num_received += len(wave)

    def read(self, seconds: Seconds) -> Wave:
        """Copy the last seconds, or what there is, at the microphone's rate: shape (T,)."""
        with self._lock:
            size = len(self._samples)
            count = min(round(seconds * self.sampling_rate), self.num_received, size)
            places = np.arange(self.num_received - count, self.num_received) % max(1, size)
            return self._samples[places]
