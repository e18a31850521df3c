"""The expected training time: which steps are measured, and the line."""

from __future__ import annotations

import pytest
import torch

from audio_cls.training.start.time_estimate import TimeEstimate


def _run(seconds: list[float], num_steps: int = 1130) -> tuple[list[int], list[str]]:
    """Return after which steps a line came, and the lines."""
    now = [0.0]
    estimate = TimeEstimate(num_steps, torch.device("cpu"), lambda: now[0])
    places, lines = [], []
    for step, duration in enumerate(seconds, start=1):
        now[0] += duration
        line = estimate.after_step()
        if line is not None:
            places.append(step)
            lines.append(line)
    return places, lines


@pytest.mark.parametrize(
    ("seconds", "place", "time"),
    [
        ([30.0] + [0.7] * 30, 4, "13 min 11 s for 1,130 steps"),  # the slow first step is left out
        ([1.0] + [0.1] * 60, 21, "1 min 53 s for 1,130 steps"),  # fast steps: 20 of them
        ([9.0] + [60.0] * 5, 4, "18 h 50 min for 1,130 steps"),
    ],
)
def test_the_time_is_that_of_the_first_steps_without_the_very_first(
    seconds: list[float], place: int, time: str
) -> None:
    places, lines = _run(seconds)
    assert places == [place]
    assert lines == [f"Expected training time: about {time} (without evaluations)"]


def test_a_short_training_has_no_estimate() -> None:
    assert _run([1.0] + [0.01] * 60, num_steps=100)[0] == []
    assert _run([1.0, 1.0, 1.0])[0] == []
