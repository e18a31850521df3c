"""Decoding with PyAV (optional extra `formats`): M4A, WebM, WMA and AAC."""

from __future__ import annotations

import importlib
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import Hertz
from audio_cls.errors import AudioError

EXTRA = "needs the extra 'formats'"  # reason in bad_audio.csv


def decode_with_pyav(bytes_: bytes, container: str) -> tuple[NDArray[np.float32], Hertz, str]:
    """Decode the first audio stream of a file with PyAV, which includes FFmpeg.

    Args:
        bytes_: The encoded file.
        container: The container's name, for messages.

    Returns:
        Samples, shape (T, C), float32; their rate in Hz; the codec's name.

    Raises:
        AudioError: PyAV is not installed (the message names the extra), or decoding fails.
    """
    try:
        av: Any = importlib.import_module("av")
    except ImportError as error:
        detail = f"{container} is decoded by PyAV; run pip install 'audio-cls[formats]'"
        raise AudioError(EXTRA, detail) from error
    blocks = []
    try:
        with av.open(io.BytesIO(bytes_)) as file:
            if not file.streams.audio:
                raise AudioError("unreadable", f"the {container} file contains no audio stream")
            stream = file.streams.audio[0]
            sampling_rate, codec = int(stream.rate), str(stream.codec_context.name)
            planar = av.AudioResampler(format="fltp")
            for frame in file.decode(stream):
                blocks += [part.to_ndarray() for part in planar.resample(frame)]
            blocks += [part.to_ndarray() for part in planar.resample(None)]
    except (av.error.FFmpegError, ValueError, RuntimeError) as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError("unreadable", str(error)) from error
    if not blocks:
        raise AudioError("empty")
    return np.concatenate(blocks, axis=1).T, sampling_rate, codec
