"""Comparison of an exported model with PyTorch, clip by clip, at several lengths.

A graph may be right at the length that it was traced with and wrong at others, without an error:
models that treat odd and even numbers of frames differently keep one of the two branches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from audio_cls.audio.waveform import Wave
from audio_cls.audio.windows import cut_wave, seconds_to_samples
from audio_cls.config import Seconds
from audio_cls.export.graph import make_inputs
from audio_cls.inference.onnx.session import OnnxSession
from audio_cls.models.audio_model import AudioModel

TOLERANCE = 1e-3  # of the logits; of their spread over clips where that is below 1
# Of the largest logit, for models whose logits are nearly the same for all clips.
ROUNDING = 1e-5
# Of the clips that are compared, besides the shortest and the window's length. The frames of the
# models are 20 or 40 ms long: neighbours have odd and even numbers of frames.
LENGTHS: tuple[Seconds, ...] = (0.1, 0.12, 0.25, 0.5, 0.52, 0.54, 1.0, 1.02, 1.31, 2.7, 2.72)


@dataclass(frozen=True)
class Comparison:
    """Differences between the logits of PyTorch and of an exported model."""

    differences: dict[int, float]  # number of samples -> largest difference of a logit
    tolerance: float
    seconds: dict[int, Seconds]  # number of samples -> length of the clip

    @property
    def largest(self) -> float:
        """Return the largest difference; infinite where one is not a number."""
        return max(d if np.isfinite(d) else np.inf for d in self.differences.values())

    @property
    def is_equal(self) -> bool:
        """Return whether the exported model gives the logits of PyTorch."""
        return self.largest <= self.tolerance

    def describe_failure(self) -> str:
        """Return how large the difference is, and at which lengths."""
        wrong = [n for n, d in self.differences.items() if not d <= self.tolerance]
        lengths = ", ".join(f"{self.seconds[n]:g} s" for n in wrong)
        return (
            f"logits differ from PyTorch by up to {self.largest:.2g} (allowed:"
            f" {self.tolerance:.2g}) at {len(wrong)} of {len(self.differences)} lengths: {lengths}"
        )


def choose_lengths(audio_model: AudioModel, window_seconds: Seconds) -> list[int]:
    """List the lengths to compare, in samples: up to the longest window or 2.72 s."""
    spec = audio_model.processor.input_spec
    window = seconds_to_samples(window_seconds, spec.sampling_rate)
    lengths = {seconds_to_samples(seconds, spec.sampling_rate) for seconds in LENGTHS}
    longest = spec.max_samples or max(lengths | {window})
    shortest = max(spec.min_samples, min(lengths))
    return sorted({n for n in lengths | {window, shortest} if spec.min_samples <= n <= longest})


def reference_logits(audio_model: AudioModel, waves: Sequence[Wave]) -> list[NDArray[np.float32]]:
    """Return the logits of PyTorch for each waveform alone, (L,) each."""
    with torch.inference_mode():
        return [
            audio_model.model(**audio_model.processor([wave])).logits[0].numpy() for wave in waves
        ]


def cut_clips(clips: Sequence[Wave], lengths: Sequence[int]) -> list[Wave]:
    """Return a clip of each length, from different clips; shorter ones are repeated."""
    return [cut_wave(clips[n % len(clips)], 0, length) for n, length in enumerate(lengths)]


def compare(
    audio_model: AudioModel,
    session: OnnxSession,
    waves: Sequence[Wave],
    expected: Sequence[NDArray[np.float32]],
) -> Comparison:
    """Compare an exported model with PyTorch, one clip at a time, and three in a batch.

    Args:
        audio_model: The classifier.
        session: Its export.
        waves: Clips of different lengths.
        expected: Of `reference_logits`.
    """
    differences = {}
    for wave, logits in zip(waves, expected, strict=True):
        inputs = make_inputs(audio_model, [wave])
        given = session.run({name: value.numpy() for name, value in inputs.items()})[0]
        differences[len(wave)] = float(np.abs(given - logits).max())
    middle = waves[len(waves) // 2]
    in_batch = _compare_batch(audio_model, session, middle)
    differences[len(middle)] = float(np.maximum(differences[len(middle)], in_batch))  # keeps nan
    table = np.stack(expected)
    spread = float(np.ptp(table, axis=0).max())
    tolerance = max(TOLERANCE * spread, ROUNDING * float(np.abs(table).max()))
    rate = audio_model.processor.input_spec.sampling_rate
    return Comparison(differences, min(TOLERANCE, tolerance), {n: n / rate for n in differences})


def _compare_batch(audio_model: AudioModel, session: OnnxSession, wave: Wave) -> float:
    """Return the largest difference in a batch of three clips, of unequal length if allowed."""
    spec = audio_model.processor.input_spec
    shortest = max(spec.min_samples, len(wave) // 2)
    stops = (len(wave), shortest, len(wave)) if spec.pads_safely else (len(wave),) * 3
    clips = [factor * wave[:stop] for factor, stop in zip((1, 0.5, -1), stops, strict=True)]
    expected = np.stack(reference_logits(audio_model, clips))
    inputs = make_inputs(audio_model, clips)
    given = session.run({name: value.numpy() for name, value in inputs.items()})
    return float(np.abs(given - expected).max())
