"""Reading of inputs: what is one input, and what is several."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from audio_cls.inference.reading import is_single_input


@pytest.mark.parametrize("value", [io.BytesIO(b"a\nb"), bytearray(b"ab"), memoryview(b"ab")])
def test_open_files_and_buffers_are_refused_and_are_not_several_inputs(value: object) -> None:
    assert is_single_input(value)


# References that are never dropped, as torch has some, let modules be cleared before the iterator.
HELD = """
import __main__, concurrent.futures.thread, ctypes
import numpy as np
from audio_cls.config import AudioConfig
from audio_cls.inference.reading import InputReader, read_ahead
one = (np.zeros(1_000, np.float32), 100)
held = read_ahead((InputReader(one, AudioConfig(max_seconds=1.0), 100) for _ in range(100)), 2)
next(held)
for module in (__main__, concurrent.futures.thread):
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(module))"""


def test_an_iterator_that_is_not_used_up_ends_quietly_with_the_program() -> None:
    command = [sys.executable, "-c", HELD]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert done.stderr == b""
