"""Silence clips of keyword spotting: cut from recordings of background noise, or synthesised.

The class `_silence_` is for audio without speech. Speech Commands has it as recordings of a minute
or more; a piece of one is a clip with the id `RECORDING#START` (seconds).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio_cls.audio.augmentation.waveform import SPECTRAL_SLOPE, make_noise
from audio_cls.audio.decode import DecodedAudio, decode_file
from audio_cls.audio.files import encode_wav, find_audio_files
from audio_cls.audio.waveform import mix_channels
from audio_cls.config import Hertz, Seconds
from audio_cls.errors import AudioError, DatasetError

SYNTHESISE = "synthesise"
NOISE_RATE: Hertz = 16_000  # of synthetic noise
NOISE_DB = (-70.0, -25.0)  # rms of synthetic noise, dB of full scale: from quiet to noisy
MIN_HOP: Seconds = 0.1  # between the starts of two pieces
NOISE_STREAM = 5  # random stream of the noise, different from that of the splits


@dataclass(frozen=True)
class Recording:
    """A recording without speech."""

    name: str
    bytes_: bytes | None
    path: str | None


@dataclass(frozen=True)
class SilencePiece:
    """One clip of silence."""

    id: str  # RECORDING#START, or synthesised/COLOUR#NUMBER
    recording: str  # all pieces of a recording are in one split
    bytes_: bytes  # WAV


def list_recordings(folder: Path) -> list[Recording]:
    """List the audio files below a folder; the name is the path relative to it.

    Raises:
        DatasetError: There is no audio file.
    """
    paths = find_audio_files(folder)
    if not paths:
        raise DatasetError(
            f"--silence-from: the folder '{folder}' contains no recording. Give a folder that"
            f" does, a label or '{SYNTHESISE}'."
        )
    return [Recording(p.relative_to(folder).as_posix(), None, str(p)) for p in paths]


def cut_recordings(
    recordings: Sequence[Recording], seconds: Seconds, count: int
) -> list[SilencePiece]:
    """Cut recordings into about `count` pieces of `seconds`.

    Pieces follow each other without a gap; where that gives too few pieces, they overlap, with one
    hop of at least 0.1 s for all recordings. A recording shorter than a piece is one piece.

    Args:
        recordings: The recordings.
        seconds: Length of a piece.
        count: Wanted number of pieces of all recordings together.

    Raises:
        DatasetError: A recording cannot be read.
    """
    decoded = [_decode(recording) for recording in recordings]
    last_starts = [max(0.0, len(d.samples) / d.sampling_rate - seconds) for d in decoded]
    wanted = max(1, count - len(recordings))  # every recording has a piece at its start
    hop = min(seconds, max(MIN_HOP, sum(last_starts) / wanted))
    return [
        _cut_piece(recording.name, audio, step * hop, seconds)
        for recording, audio, last in zip(recordings, decoded, last_starts, strict=True)
        for step in range(int(last / hop + 1e-6) + 1)
    ]


def make_silence(count: int, seconds: Seconds, seed: int) -> list[SilencePiece]:
    """Synthesise noise clips: white, pink and brown in turn, each with a random level.

    Each clip counts as one recording. Equal arguments give equal clips.
    """
    pieces = []
    for number in range(count):
        rng = np.random.default_rng((seed, NOISE_STREAM, number))
        color = list(SPECTRAL_SLOPE)[number % len(SPECTRAL_SLOPE)]
        noise = make_noise(round(seconds * NOISE_RATE), color, NOISE_RATE, rng)
        rms = float(np.sqrt(np.mean(np.square(noise)))) or 1.0
        wave = noise / rms * 10 ** (rng.uniform(*NOISE_DB) / 20)
        name = f"{SYNTHESISE}d/{color}#{number}"
        pieces.append(SilencePiece(name, name, encode_wav(wave.astype(np.float32), NOISE_RATE)))
    return pieces


def _cut_piece(name: str, audio: DecodedAudio, start: Seconds, seconds: Seconds) -> SilencePiece:
    """Cut one piece out of a recording; its id has the start."""
    rate = audio.sampling_rate
    first = round(start * rate)
    wave = mix_channels(audio.samples[first : first + round(seconds * rate)])
    return SilencePiece(f"{name}#{start:.2f}", name, encode_wav(wave, rate))


def _decode(recording: Recording) -> DecodedAudio:
    """Decode a whole recording."""
    try:
        return decode_file(recording.bytes_, recording.path)
    except AudioError as error:
        raise DatasetError(
            f"--silence-from: the recording '{recording.name}' cannot be read ({error}). Repair"
            " or remove it."
        ) from error
