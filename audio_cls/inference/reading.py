"""Reading of inputs: their windows, decoded part by part in threads ahead of the model."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from audio_cls.audio.blocks import AudioInput, is_number, read_blocks
from audio_cls.audio.waveform import SILENT_PEAK, Wave, peak
from audio_cls.audio.windows import Window, cut_windows
from audio_cls.config import MIN_CROP_SECONDS, AudioConfig, Hertz
from audio_cls.errors import AudioError

PART_SAMPLES = 2**20  # of the windows that are read at once: 4 MB
READ_AHEAD = 4  # parts per thread that wait for the model


@dataclass
class Part:
    """Windows of an input that follow each other, in order."""

    reader: InputReader
    windows: list[Window]
    num_samples: int  # of the input, up to the end of these windows
    is_last: bool
    error: AudioError | None = None  # the input cannot be read on; is_last is True


@dataclass
class InputReader:
    """Reads the windows of one input; not shared by threads at a time."""

    source: AudioInput
    audio: AudioConfig
    sampling_rate: Hertz
    num_samples: int = 0  # read so far
    peak: float = 0.0  # of them
    file: str = field(init=False)

    def __post_init__(self) -> None:
        """Prepare the windows; nothing is opened yet."""
        self.file = name_input(self.source)
        blocks = self._measure(read_blocks(self.source, self.sampling_rate))
        self._windows = cut_windows(blocks, self.audio, self.sampling_rate)

    def read_part(self) -> Part:
        """Read about `PART_SAMPLES` samples of windows, at least one window unless at the end."""
        windows: list[Window] = []
        num_samples = 0
        try:
            for window in self._windows:
                windows.append(window)
                num_samples += len(window.wave)
                if num_samples >= PART_SAMPLES:
                    return Part(self, windows, window.stop, is_last=False)
        except AudioError as error:
            return Part(self, windows, self.num_samples, is_last=True, error=error)
        return Part(self, windows, self.num_samples, is_last=True)

    def describe(self) -> str | None:
        """Return why the prediction for the whole input is not reliable, or None."""
        remarks = []
        if self.peak < SILENT_PEAK:
            remarks.append("digital silence")
        if self.num_samples < MIN_CROP_SECONDS * self.sampling_rate:
            remarks.append(f"only {self.num_samples / self.sampling_rate:.3f} s long")
        return "; ".join(remarks) or None

    def _measure(self, blocks: Iterable[Wave]) -> Iterator[Wave]:
        """Yield the blocks, and keep their length and peak."""
        for block in blocks:
            self.num_samples += len(block)
            self.peak = max(self.peak, peak(block))
            yield block


def is_single_input(value: object) -> bool:
    """Return whether a value is one input, or can be none, rather than several inputs.

    >>> is_single_input("a.wav"), is_single_input(["a.wav"]), is_single_input((np.zeros(9), 8000))
    (True, False, True)
    """
    if isinstance(value, tuple):
        return len(value) == 2 and any(map(is_number, value))
    is_single = isinstance(value, str | Path | np.ndarray | dict | bytes | bytearray | memoryview)
    is_open_file = hasattr(value, "read")  # its lines are no inputs
    is_tensor = hasattr(value, "__array__") and hasattr(value, "device")  # its rows are none
    return is_single or is_open_file or is_tensor or not isinstance(value, Iterable)


def name_input(source: object) -> str:
    """Return the path of an input as text, or what it is instead of a path."""
    if isinstance(source, str | Path):
        return str(source)
    return "<bytes>" if isinstance(source, bytes) else "<array>"


def read_ahead(readers: Iterable[InputReader], num_workers: int) -> Iterator[Part]:
    """Yield the parts of inputs in order, while threads read those that follow.

    Args:
        readers: Of the inputs; taken only as far as needed.
        num_workers: Threads; 0: this one reads.
    """
    if num_workers == 0:
        for reader in readers:
            part = reader.read_part()
            while not part.is_last:
                yield part
                part = reader.read_part()
            yield part
        return
    rest, is_ending = iter(readers), sys.is_finalizing
    waiting: deque[Future[Part]] = deque()
    pool = ThreadPoolExecutor(num_workers, thread_name_prefix="audio_cls_decode")
    try:
        while True:
            while len(waiting) < READ_AHEAD * num_workers:
                following = next(rest, None)
                if following is None:
                    break
                waiting.append(pool.submit(following.read_part))
            if not waiting:
                return
            part = waiting.popleft().result()
            if not part.is_last:
                waiting.appendleft(pool.submit(part.reader.read_part))
            yield part
    finally:
        if not is_ending():  # else the threads have ended, and `threading` is being cleared
            pool.shutdown(cancel_futures=True)
