"""Microphone: the samples of an input device, in blocks, by PortAudio (sounddevice).

sounddevice is imported when a microphone is opened: it is an extra, and needs a system library.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterator
from types import ModuleType, TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import Hertz, Seconds
from audio_cls.errors import AudioClsError, list_names

BLOCK_SECONDS: Seconds = 0.1
MAX_WAITING: Seconds = 10.0  # of sound that the model has not processed; then it is skipped
TIMEOUT: Seconds = 5.0  # without a block: the device is gone

logger = logging.getLogger(__name__)


class Microphone:
    """An open input device; a context manager.

    Example:
        >>> with Microphone(None, 16_000) as microphone:  # doctest: +SKIP
        ...     for start, blocks in microphone.read():
        ...         for block in blocks:
        ...             print(start, len(block))
    """

    def __init__(self, device: str | None, sampling_rate: Hertz) -> None:
        """Find a device.

        Args:
            device: Its number, or a part of its name; None for the default device.
            sampling_rate: The wanted one. A device that does not have it is opened at its own rate.

        Raises:
            AudioClsError: sounddevice or PortAudio is missing, or there is no such device.
        """
        self._library = import_sounddevice()
        self.device = int(device) if device is not None and device.isdigit() else device
        self.sampling_rate = sampling_rate
        self._blocks: queue.Queue[NDArray[np.float32]] = queue.Queue()
        self._num_samples = 0  # taken out of the queue
        self._has_lost = self._is_loss_stated = False
        try:
            found = self._library.query_devices(self.device, "input")
        except (ValueError, self._library.PortAudioError) as error:
            raise AudioClsError(self._explain(error)) from error
        self.name = str(found["name"])
        try:
            self._library.check_input_settings(self.device, 1, "float32", None, sampling_rate)
        except self._library.PortAudioError:
            self.sampling_rate = round(found["default_samplerate"])

    def __enter__(self) -> Microphone:
        """Start to record.

        Raises:
            AudioClsError: The device cannot be opened.
        """
        try:
            self._stream = self._library.InputStream(
                samplerate=self.sampling_rate,
                blocksize=round(self.sampling_rate * BLOCK_SECONDS),
                device=self.device,
                channels=1,
                dtype="float32",
                callback=self._put,
            )
            self._stream.start()
        except self._library.PortAudioError as error:
            raise AudioClsError(self._explain(error)) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the device."""
        self._stream.close()

    def read(self) -> Iterator[tuple[Seconds, Iterator[NDArray[np.float32]]]]:
        """Yield sound without a gap: the time of its first sample, and its blocks, (T,).

        A new one follows when more than `MAX_WAITING` seconds were waiting, which are skipped, with
        a warning.

        Raises:
            AudioClsError: The device gives no more sound.
        """
        while True:
            yield self._num_samples / self.sampling_rate, self._read_blocks()
            skipped = 0
            while not self._blocks.empty():
                skipped += len(self._blocks.get())
            self._num_samples += skipped
            logger.warning(
                "Skipped %.1f s of sound: the model is slower than the microphone. Give a longer"
                " --hop-seconds.",
                skipped / self.sampling_rate,
            )

    def _read_blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield blocks until too many are waiting."""
        while self._blocks.qsize() * BLOCK_SECONDS <= MAX_WAITING:
            try:
                block = self._blocks.get(timeout=TIMEOUT)
            except queue.Empty:
                raise AudioClsError(
                    f"No sound from '{self.name}' for {TIMEOUT:g} s: connect it again, or choose"
                    " another one with --input."
                ) from None
            self._num_samples += len(block)
            if self._has_lost and not self._is_loss_stated:
                self._is_loss_stated = True
                logger.warning(
                    "The input device has lost sound, because this computer is busy: times that"
                    " follow are too early."
                )
            yield block

    def _put(self, samples: NDArray[np.float32], frames: int, time: Any, status: Any) -> None:  # noqa: ANN401
        """Take samples (T, 1) from PortAudio, in its thread."""
        self._blocks.put(samples[:, 0].copy())
        self._has_lost |= bool(status and status.input_overflow)

    def _explain(self, error: Exception) -> str:
        """Return the message for a device that cannot be used."""
        devices = self._library.query_devices()
        inputs = [
            f"{number}: {one['name']}"
            for number, one in enumerate(devices)
            if one["max_input_channels"] > 0
        ]
        if not inputs:
            return (
                "There is no input device: connect a microphone, or give a file or - for sound on"
                " standard input instead."
            )
        name = "The default input device" if self.device is None else f"--input {self.device}"
        reason = str(error).splitlines()[0]
        return f"{name} cannot be used ({reason}). Give one of {list_names(inputs)} as --input."


def import_sounddevice() -> ModuleType:
    """Import sounddevice.

    Raises:
        AudioClsError: It is not installed, or the system lacks PortAudio.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise AudioClsError(
            'The microphone needs sounddevice: pip install "audio-cls[microphone]"'
        ) from error
    except OSError as error:
        raise AudioClsError(
            f"The microphone needs a system library ({error}). Debian and Ubuntu: apt install"
            " libportaudio2; Fedora: dnf install portaudio."
        ) from error
    module: ModuleType = sounddevice
    return module
