"""Threads of the CPU."""

from __future__ import annotations

import os

import pytest

from audio_cls.distributed.hardware import choose_num_threads

LARGE = 2_000_000  # parameters


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, 8),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "many"}, 8),
        # The launcher sets 1 where the user set nothing.
        ({"OMP_NUM_THREADS": "1", "ACCELERATE_MIXED_PRECISION": "no", "LOCAL_WORLD_SIZE": "2"}, 4),
        ({"OMP_NUM_THREADS": "1", "TORCHELASTIC_RUN_ID": "a", "LOCAL_WORLD_SIZE": "16"}, 1),
        ({"OMP_NUM_THREADS": "3", "ACCELERATE_MIXED_PRECISION": "no", "LOCAL_WORLD_SIZE": "2"}, 3),
    ],
)
def test_threads_are_those_asked_for_or_a_share_of_the_usable_cores(
    variables: dict[str, str], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        *("OMP_NUM_THREADS", "LOCAL_WORLD_SIZE"),
        *("ACCELERATE_MIXED_PRECISION", "TORCHELASTIC_RUN_ID"),
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "cpu_count", lambda: 32)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert choose_num_threads(LARGE) == expected
    assert choose_num_threads(1000) == 1
