"""Pieces of clips: one crop for training, all windows for evaluation, one score a clip.

Pure functions on sample counts and scores; batches.py reads the sound, scoring.py runs the model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import AudioConfig, Hertz, Seconds


def seconds_to_samples(seconds: Seconds, sampling_rate: Hertz) -> int:
    """Return the number of samples, rounded to the nearest, at least 1.

    >>> seconds_to_samples(0.25, 16_000)
    4000
    """
    return max(1, round(seconds * sampling_rate))


def choose_length(shortest: int, longest: int, rng: np.random.Generator) -> int:
    """Choose how long a training piece is: uniform from `shortest` to `longest`, both included.

    Args:
        shortest: In samples.
        longest: In samples.
        rng: Used only when the two differ.
    """
    return longest if shortest >= longest else int(rng.integers(shortest, longest + 1))


def choose_crop(num_samples: int, longest: int, rng: np.random.Generator) -> tuple[int, int]:
    """Choose where to cut a training piece: uniform over every start, the last included.

    Args:
        num_samples: Length of the clip.
        longest: Longest piece, in samples; a shorter clip is taken whole.
        rng: Used only when the clip is longer.

    Returns:
        Start and stop of the piece.
    """
    if num_samples <= longest:
        return 0, num_samples
    start = int(rng.integers(num_samples - longest + 1))
    return start, start + longest


def repeat_wave(wave: NDArray[np.float32], num_samples: int) -> NDArray[np.float32]:
    """Repeat a wave (T,) from its start until it has `num_samples`; an empty one becomes zeros.

    >>> repeat_wave(np.array([1, 2, 3], np.float32), 7).tolist()
    [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0]
    """
    return np.resize(wave, num_samples)


def cut_wave(wave: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
    """Copy a piece of a wave (T,); past its end the wave begins again, see `list_windows`.

    >>> cut_wave(np.array([1, 2, 3], np.float32), 0, 5).tolist()
    [1.0, 2.0, 3.0, 1.0, 2.0]
    """
    return wave[start:stop].copy() if stop <= len(wave) else repeat_wave(wave, stop)[start:]


def list_windows(num_samples: int, cfg: AudioConfig, sampling_rate: Hertz) -> list[tuple[int, int]]:
    """List the windows in which a clip is heard in evaluation.

    Windows start every hop; the last one ends at the clip's end, so that every sample is heard. A
    clip no longer than a window is one window; with `cfg.repeat_short` that window is whole, and
    reaches as far past the clip's end as the clip is to be repeated.

    >>> list_windows(10, AudioConfig(max_seconds=4, hop_seconds=4), 1)
    [(0, 4), (4, 8), (6, 10)]
    >>> list_windows(3, AudioConfig(max_seconds=4, repeat_short=True), 1)
    [(0, 4)]
    """
    window = seconds_to_samples(cfg.window_seconds or cfg.piece_seconds, sampling_rate)
    hop = seconds_to_samples(cfg.hop_seconds, sampling_rate) if cfg.hop_seconds else window
    if num_samples <= window or cfg.aggregate == "first":
        return [(0, window if cfg.repeat_short else min(window, num_samples))]
    starts = list(range(0, num_samples - window, hop))
    starts.append(num_samples - window)
    return [(start, start + window) for start in starts]
