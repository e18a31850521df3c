"""Raw samples: sound without a header, as programs write it to a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from audio_cls.config import Hertz

BLOCK_SECONDS = 0.25
SAMPLE_FORMATS = ("u8", "s16le", "s24le", "s32le", "f32le")  # names of FFmpeg
SAMPLE_BYTES = dict(zip(SAMPLE_FORMATS, (1, 2, 3, 4, 4), strict=True))


@dataclass(frozen=True)
class RawFormat:
    """Encoding of raw samples; the channels of a sample follow each other."""

    sampling_rate: Hertz
    sample_format: str = "s16le"  # one of SAMPLE_FORMATS
    num_channels: int = 1


def read_raw_blocks(file: BinaryIO, raw: RawFormat) -> Iterator[NDArray[np.float32]]:
    """Read raw samples in blocks of a quarter of a second, each as soon as it is there.

    Args:
        file: A pipe or a file.
        raw: The encoding.

    Yields:
        Shape (T, C), nominally in [-1, 1]; an incomplete sample at the end is left out.
    """
    frame = SAMPLE_BYTES[raw.sample_format] * raw.num_channels
    size = max(1, round(raw.sampling_rate * BLOCK_SECONDS)) * frame
    rest = b""
    while data := file.read(size - len(rest)):
        data = rest + data
        end = len(data) // frame * frame
        rest = data[end:]
        if end:
            yield decode_raw(data[:end], raw)


def decode_raw(data: bytes, raw: RawFormat) -> NDArray[np.float32]:
    """Decode whole samples of all channels: bytes -> (T, C).

    >>> decode_raw(bytes([0, 64, 0, 192]), RawFormat(8000, "s16le", 2)).tolist()
    [[0.5, -0.5]]
    """
    if raw.sample_format == "f32le":
        return np.frombuffer(data, "<f4").astype(np.float32).reshape(-1, raw.num_channels)
    if raw.sample_format == "u8":
        numbers = np.frombuffer(data, np.uint8).astype(np.int16) - 2**7
    elif raw.sample_format == "s24le":
        padded = np.zeros((len(data) // 3, 4), np.uint8)  # a lowest byte of zero
        padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        numbers = padded.reshape(-1).view("<i4")
    else:
        numbers = np.frombuffer(data, f"<i{SAMPLE_BYTES[raw.sample_format]}")
    scale = np.float32(2.0 ** (1 - 8 * (1 if raw.sample_format == "u8" else numbers.itemsize)))
    samples = numbers.astype(np.float32) * scale
    return samples.reshape(-1, raw.num_channels)


def save_raw(file: BinaryIO, raw: RawFormat, path: Path) -> None:
    """Save raw samples as a W64 file (WAV without a limit of size), block by block.

    Raises:
        OSError: The file cannot be written, such as on a full disk.
    """
    try:
        with soundfile.SoundFile(
            path, "w", raw.sampling_rate, raw.num_channels, subtype="FLOAT", format="W64"
        ) as output:
            for block in read_raw_blocks(file, raw):
                output.write(block)
    except soundfile.SoundFileError as error:
        raise OSError(f"the samples cannot be written: {error}") from error
