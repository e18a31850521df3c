"""Reading of inputs: what is one input, and what is several."""

from __future__ import annotations

import io

import pytest

from audio_cls.inference.reading import is_single_input


@pytest.mark.parametrize("value", [io.BytesIO(b"a\nb"), bytearray(b"ab"), memoryview(b"ab")])
def test_open_files_and_buffers_are_refused_and_are_not_several_inputs(value: object) -> None:
    assert is_single_input(value)
