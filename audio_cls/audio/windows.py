"""Training crops and evaluation windows of clips, in samples (pure functions)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import AudioConfig, Hertz, Seconds

SHARE_OF_REST = 20  # the end of a clip is used if it is at least 1 / 20 of a window


def seconds_to_samples(seconds: Seconds, sampling_rate: Hertz) -> int:
    """Return the number of samples, rounded to the nearest, at least 1.

    >>> seconds_to_samples(0.25, 16_000)
    4000
    """
    return max(1, round(seconds * sampling_rate))


def choose_length(min_samples: int, max_samples: int, rng: np.random.Generator) -> int:
    """Draw the length of a training crop, uniformly from `min_samples` to `max_samples` inclusive.

    Args:
        min_samples: Shortest crop.
        max_samples: Longest crop.
        rng: Used only if the two differ.
    """
    if min_samples >= max_samples:
        return max_samples
    return int(rng.integers(min_samples, max_samples + 1))


def choose_crop(num_samples: int, max_samples: int, rng: np.random.Generator) -> tuple[int, int]:
    """Draw the start of a training crop, uniformly from all possible ones.

    Args:
        num_samples: Length of the clip.
        max_samples: Length of the crop; a shorter clip is used whole.
        rng: Used only if the clip is longer.

    Returns:
        Start and stop of the crop.
    """
    if num_samples <= max_samples:
        return 0, num_samples
    start = int(rng.integers(num_samples - max_samples + 1))
    return start, start + max_samples


def repeat_wave(wave: NDArray[np.float32], num_samples: int) -> NDArray[np.float32]:
    """Repeat a wave (T,) from its start to a length of `num_samples`; an empty one becomes zeros.

    >>> repeat_wave(np.array([1, 2, 3], np.float32), 7).tolist()
    [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0]
    """
    return np.resize(wave, num_samples)


def cut_wave(wave: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
    """Copy the samples from `start` to `stop` of a wave (T,), which is repeated after its end.

    >>> cut_wave(np.array([1, 2, 3], np.float32), 0, 5).tolist()
    [1.0, 2.0, 3.0, 1.0, 2.0]
    """
    return wave[start:stop].copy() if stop <= len(wave) else repeat_wave(wave, stop)[start:]


def list_windows(num_samples: int, cfg: AudioConfig, sampling_rate: Hertz) -> list[tuple[int, int]]:
    """List start and stop of the windows of a clip in evaluation.

    Windows start every hop; the last one ends at the clip's end. It is left out where less than
    1 / `SHARE_OF_REST` of it follows the window before: a clip of 5.005 s is one window of 5 s. A
    clip no longer than a window is one window. With `cfg.repeat_short` that window has full length:
    past the clip's end the clip is repeated, see `cut_wave`.

    >>> list_windows(10, AudioConfig(max_seconds=4, hop_seconds=4), 1)
    [(0, 4), (4, 8), (6, 10)]
    >>> list_windows(3, AudioConfig(max_seconds=4, repeat_short=True), 1)
    [(0, 4)]
    """
    window, hop = measure_window(cfg, sampling_rate)
    if num_samples <= window or cfg.aggregate == "first":
        return [(0, window if cfg.repeat_short else min(window, num_samples))]
    starts = list(range(0, num_samples - window + 1, hop))
    if is_rest_used(num_samples - window - starts[-1], window):
        starts.append(num_samples - window)
    return [(start, start + window) for start in starts]


def is_rest_used(num_samples: int, window: int) -> bool:
    """Return whether samples after the last whole window are scored, in a window that they end.

    >>> is_rest_used(4, 100), is_rest_used(5, 100), is_rest_used(0, 4)
    (False, True, False)
    """
    return num_samples > 0 and SHARE_OF_REST * num_samples >= window


def measure_window(cfg: AudioConfig, sampling_rate: Hertz) -> tuple[int, int]:
    """Return length and hop of the windows in samples."""
    window = seconds_to_samples(cfg.window_seconds or cfg.piece_seconds, sampling_rate)
    hop = seconds_to_samples(cfg.hop_seconds, sampling_rate) if cfg.hop_seconds else window
    return window, hop


class Window(NamedTuple):
    """One window of a clip."""

    start: int
    stop: int  # exclusive; at most the clip's end
    wave: NDArray[np.float32]  # (stop - start,); longer with `repeat_short` where the clip is short


def cut_windows(
    blocks: Iterable[NDArray[np.float32]], cfg: AudioConfig, sampling_rate: Hertz
) -> Iterator[Window]:
    """Cut the windows of `list_windows` out of a clip that comes in blocks (T,), in order.

    With `cfg.repeat_short` the one window of a short clip has full length, but stops at its end.

    Each window comes as soon as its samples are there. All blocks are read, also for
    `aggregate="first"`. At most a window, a hop and a block are in memory.
    """
    window, hop = measure_window(cfg, sampling_rate)
    buffer, offset = np.zeros(0, np.float32), 0  # `offset`: place in the clip of buffer[0]
    start, last = 0, None  # of the next and the last window
    for block in blocks:
        buffer = np.concatenate([buffer, block])
        while start + window <= offset + len(buffer):
            if last is None or cfg.aggregate != "first":
                yield Window(start, start + window, buffer[start - offset :][:window].copy())
            start, last = start + hop, start
        kept = max(0, min(start - offset, len(buffer) - window))
        buffer, offset = buffer[kept:], offset + kept
    length = offset + len(buffer)
    if last is None:  # shorter than a window
        stop = window if cfg.repeat_short else length
        yield Window(0, length, cut_wave(buffer, 0, stop))
    elif is_rest_used(length - last - window, window) and cfg.aggregate != "first":
        yield Window(length - window, length, buffer[-window:].copy())
