"""Sounds, files and tables of clips that the tests of this room make on the spot."""

from __future__ import annotations

import importlib
import io
from typing import Any

import numpy as np
import soundfile
from datasets import Audio, Dataset
from numpy.typing import NDArray

Wave = NDArray[np.float32]


def make_tone(hz: float, seconds: float, sampling_rate: int = 16_000, seed: int = 0) -> Wave:
    """Return a sine of amplitude 0.5 with a little noise, shape (T,)."""
    time = np.arange(round(seconds * sampling_rate)) / sampling_rate
    noise = np.random.default_rng(seed).normal(0, 0.01, len(time))
    return (0.5 * np.sin(2 * np.pi * hz * time) + noise).astype(np.float32)


def make_noise(num_samples: int, seed: int = 0, rms: float = 0.1) -> Wave:
    """Return white noise, shape (T,)."""
    noise = np.random.default_rng(seed).normal(0, rms, num_samples)
    return noise.astype(np.float32)


def encode_sound(samples: NDArray[np.float32], sampling_rate: int, **options: str) -> bytes:
    """Return an audio file's bytes, wav unless `format` says otherwise; samples (T,) or (T, C)."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sampling_rate, **{"format": "WAV", **options})
    return buffer.getvalue()


def encode_by_pyav(wave: Wave, container: str, codec: str, num_channels: int) -> bytes:
    """Encode a 48 kHz wave (T,), the same in every channel, by PyAV."""
    av: Any = importlib.import_module("av")
    layout = {1: "mono", 2: "stereo"}[num_channels]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as file:
        stream = file.add_stream(codec, rate=48_000, layout=layout)
        coder = av.AudioResampler(format=stream.format, layout=layout, rate=48_000)
        planes = np.stack([wave] * num_channels)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        frame.sample_rate = 48_000
        fifo = av.AudioFifo()
        for part in coder.resample(frame):
            fifo.write(part)
        stream.codec_context.bit_rate = 128_000
        stream.codec_context.open()
        for part in fifo.read_many(stream.codec_context.frame_size or 960, partial=True):
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return buffer.getvalue()


def measure_hz(wave: Wave, sampling_rate: int) -> float:
    """Return the strongest frequency of a wave (T,)."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(np.fft.rfftfreq(len(wave), 1 / sampling_rate)[spectrum.argmax()])


def measure_rms(wave: Wave) -> float:
    """Return the root of the mean square of a wave (T,)."""
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))


def make_table(clips: list[bytes | None], **columns: list[Any]) -> Dataset:
    """Return a table whose audio column holds these files' bytes, or null for no clip at all."""
    rows = [clip if clip is None else {"bytes": clip, "path": None} for clip in clips]
    table = Dataset.from_dict({"audio": rows, **columns})
    return table.cast_column("audio", Audio(decode=False))
