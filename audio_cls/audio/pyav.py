"""Decoding with PyAV (optional extra `formats`): M4A, WebM, WMA and AAC."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import Hertz
from audio_cls.errors import AudioError

EXTRA = "needs the extra 'formats'"  # reason in bad_audio.csv


def decode_with_pyav(
    source: BinaryIO, container: str, block_frames: int | None = None
) -> Iterator[tuple[NDArray[np.float32], Hertz, str]]:
    """Decode the first audio stream of a file with PyAV, which includes FFmpeg.

    Args:
        source: The encoded file.
        container: The container's name, for messages.
        block_frames: Least number of samples of a block but the last; None: one block.

    Yields:
        Samples, shape (T, C), float32; their rate in Hz; the codec's name.

    Raises:
        AudioError: PyAV is not installed (the message names the extra), or decoding fails.
    """
    try:
        av: Any = importlib.import_module("av")
    except ImportError as error:
        detail = f"{container} is decoded by PyAV; run pip install 'audio-cls[formats]'"
        raise AudioError(EXTRA, detail) from error
    parts: list[NDArray[np.float32]] = []
    try:
        with av.open(source) as file:
            if not file.streams.audio:
                raise AudioError("unreadable", f"the {container} file contains no audio stream")
            stream = file.streams.audio[0]
            if stream.codec_context is None:
                raise AudioError("unreadable", f"the codec in the {container} file is unknown")
            sampling_rate, codec = int(stream.rate), str(stream.codec_context.name)
            planar = av.AudioResampler(format="fltp")
            for frame in itertools.chain(file.decode(stream), [None]):
                parts += [part.to_ndarray() for part in planar.resample(frame)]
                if block_frames and sum(part.shape[1] for part in parts) >= block_frames:
                    yield np.concatenate(parts, axis=1).T, sampling_rate, codec
                    parts = []
    except (av.error.FFmpegError, ValueError, RuntimeError) as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError("unreadable", getattr(error, "strerror", None) or str(error)) from error
    if parts:
        yield np.concatenate(parts, axis=1).T, sampling_rate, codec
