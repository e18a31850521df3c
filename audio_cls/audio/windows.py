"""Pieces of clips: one crop for training, all windows for evaluation, one score a clip.

Pure functions on sample counts and scores; batches.py reads the sound, scoring.py runs the model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import AudioConfig, Hertz, Seconds

LEAST_PROBABILITY = 5e-7  # half of the last of six decimals: what a written 0 can have been


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


def aggregate_windows(
    logits: NDArray[np.float64], how: str, *, is_multilabel: bool = False
) -> NDArray[np.float64]:
    """Turn the logits of one clip's windows into the clip's probabilities.

    Args:
        logits: Shape (number of windows, L).
        how: mean-logit, mean-probability, max (of probabilities, then scaled to sum 1), vote (the
            share of windows won; ties go to the smaller label), or first.
        is_multilabel: Each label has a probability of its own, by the sigmoid; max is left as it
            is, and a label's vote is the share of windows with a probability of 0.5 or more.

    Returns:
        Shape (L,), sums to 1 unless multi-label.
    """
    if is_multilabel:
        return _aggregate_marks(logits, how)
    if how == "first":
        return _softmax(logits[0])
    if how == "mean-logit":
        return _softmax(logits.mean(axis=0))
    if how == "vote":
        return np.bincount(logits.argmax(axis=1), minlength=logits.shape[1]) / len(logits)
    probabilities = _softmax(logits)
    merged = probabilities.max(axis=0) if how == "max" else probabilities.mean(axis=0)
    return np.asarray(merged / merged.sum())


def _aggregate_marks(logits: NDArray[np.float64], how: str) -> NDArray[np.float64]:
    """Do what `aggregate_windows` does for labels that do not exclude each other."""
    if how in ("first", "mean-logit"):
        return apply_sigmoid(logits[0] if how == "first" else logits.mean(axis=0))
    if how == "vote":
        return np.asarray((logits >= 0).mean(axis=0))
    probabilities = apply_sigmoid(logits)
    return np.asarray(probabilities.max(axis=0) if how == "max" else probabilities.mean(axis=0))


def apply_sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(-logit)), without overflow.

    >>> apply_sigmoid(np.array([0.0, 800.0, -800.0])).tolist()
    [0.5, 1.0, 0.0]
    """
    return np.asarray(0.5 * (1 + np.tanh(logits / 2)))


def apply_temperature(
    probabilities: NDArray[np.float64], temperature: float, *, is_multilabel: bool = False
) -> NDArray[np.float64]:
    """Return probabilities (N, L) made less sure (above 1) or surer (below 1).

    They sum to 1 unless each label has a probability of its own, whose log odds are divided then.

    >>> apply_temperature(np.array([[0.8, 0.2]]), 2.0).round(3).tolist()
    [[0.667, 0.333]]
    """
    if is_multilabel:
        held = np.clip(probabilities, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        return apply_sigmoid(np.log(held / (1 - held)) / temperature)
    logs = np.log(np.maximum(probabilities, LEAST_PROBABILITY)) / temperature
    powers = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
