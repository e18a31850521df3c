"""The microphone with a stand-in for sounddevice: devices, errors, and sound that is skipped."""

from __future__ import annotations

import builtins
import logging
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from audio_cls.errors import AudioClsError
from audio_cls.inference import microphone as module
from audio_cls.inference.microphone import Microphone


class FakeError(Exception):
    """In place of PortAudioError."""


class FakeLibrary(SimpleNamespace):
    """In place of the module sounddevice: a device of 48 kHz."""

    PortAudioError = FakeError
    is_closed = False

    def __init__(self, devices: list[dict[str, Any]]) -> None:
        super().__init__(devices=devices)

    def query_devices(self, device: object = None, kind: str | None = None) -> Any:  # noqa: ANN401
        """Return all devices, or the named one."""
        if kind is None:
            return self.devices
        found = [one for one in self.devices if device in (None, one["name"])]
        if not found:
            raise ValueError(f"No input device matching {device!r}\nmore")
        return found[0]

    def check_input_settings(
        self, device: object, channels: int, dtype: str, *rest: object
    ) -> None:
        """Accept 48 kHz only."""
        if rest[-1] != 48_000:
            raise FakeError("Invalid sample rate")

    def InputStream(self, **options: Any) -> FakeLibrary:  # noqa: ANN401 (its name there)
        """Keep the options."""
        self.options = options
        return self

    def start(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Note that the stream is closed."""
        self.is_closed = True

    def record(self, value: float, number: int = 1, status: object = None) -> None:
        """Give blocks of 0.1 s to the callback."""
        for _ in range(number):
            self.options["callback"](np.full((4800, 1), value, np.float32), 4800, None, status)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> FakeLibrary:
    """Return a stand-in with one microphone."""
    device = {"name": "mic", "max_input_channels": 1, "default_samplerate": 48_000.0}
    fake = FakeLibrary([{"name": "speaker", "max_input_channels": 0}, device])
    fake.devices.reverse()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)  # type: ignore[arg-type]
    return fake


def test_blocks_come_at_the_rate_of_the_device(library: FakeLibrary) -> None:
    with Microphone(None, 16_000) as microphone:
        assert microphone.sampling_rate == 48_000 == library.options["samplerate"]
        library.record(0.5)
        library.record(0.25)
        start, blocks = next(microphone.read())
        first, second = next(blocks), next(blocks)
    assert start == 0 and library.is_closed
    assert (first == 0.5).all() and (second == 0.25).all() and first.shape == (4800,)


def test_sound_that_waits_too_long_is_skipped_with_a_warning(
    library: FakeLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    with Microphone(None, 48_000) as microphone, caplog.at_level(logging.WARNING):
        library.record(0.0)
        parts = microphone.read()
        _, blocks = next(parts)
        next(blocks)
        library.record(0.1, 101)
        assert list(blocks) == []
        start, blocks = next(parts)
        assert start == pytest.approx(10.2)
        library.record(0.9)
        assert next(blocks)[0] == np.float32(0.9)
    assert "Skipped 10.1 s of sound" in caplog.text


def test_lost_sound_is_stated_once(library: FakeLibrary, caplog: pytest.LogCaptureFixture) -> None:
    with Microphone(None, 48_000) as microphone, caplog.at_level(logging.WARNING):
        library.record(0.0, 2, SimpleNamespace(input_overflow=True))
        _, blocks = next(microphone.read())
        next(blocks)
        next(blocks)
    assert [record.getMessage()[:31] for record in caplog.records] == [
        "The input device has lost sound"
    ]


def test_a_device_that_gives_no_sound_is_an_error(
    library: FakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.01)
    with Microphone(None, 48_000) as microphone:
        _, blocks = next(microphone.read())
        with pytest.raises(AudioClsError, match="No sound from 'mic'"):
            next(blocks)


def test_missing_devices_are_explained(library: FakeLibrary) -> None:
    with pytest.raises(AudioClsError, match=r"--input usb cannot be used \(No input .* 0: mic"):
        Microphone("usb", 16_000)
    library.devices.pop(0)
    with pytest.raises(AudioClsError, match="There is no input device: connect"):
        Microphone("usb", 16_000)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ImportError("no module"), r'pip install "audio-cls\[microphone\]"'),
        (OSError("PortAudio library not found"), "apt install libportaudio2"),
    ],
)
def test_missing_libraries_are_named(
    monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:  # noqa: ANN401
        if name == "sounddevice":
            raise error
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(AudioClsError, match=message):
        Microphone(None, 16_000)
