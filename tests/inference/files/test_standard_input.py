"""Sound on standard input that cannot be saved."""

from __future__ import annotations

import io
import resource
import signal
from collections.abc import Iterator

import pytest

from audio_cls.audio.raw_samples import RawFormat
from audio_cls.errors import AudioClsError
from audio_cls.inference.files.standard_input import saved_input


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Let files have at most 100 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_disk")
@pytest.mark.parametrize("raw", [None, RawFormat(16_000)])
def test_a_full_disk_is_explained(raw: RawFormat | None) -> None:
    stream = io.BytesIO(bytes(1_000_000))
    with (
        pytest.raises(AudioClsError, match="cannot be saved in"),
        saved_input(stream, raw),
    ):
        pass
