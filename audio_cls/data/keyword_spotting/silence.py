"""Pieces of silence for keyword spotting: cut from recordings of background, or made as noise.

What a keyword spotter hears when nobody speaks is the class `_silence_`. Speech Commands brings it
as recordings of a minute or more; a piece of one is a clip like any other, with the id
`RECORDING#START` (seconds).
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
NOISE_RATE: Hertz = 16_000  # of made noise
NOISE_DB = (-70.0, -25.0)  # rms of made noise, dB of full scale: a quiet room to a noisy one
MIN_HOP: Seconds = 0.1  # pieces that start closer together would hardly differ
NOISE_STREAM = 5  # keeps these random numbers apart from the splits'


@dataclass(frozen=True)
class Recording:
    """A sound without words, whole."""

    name: str
    bytes_: bytes | None
    path: str | None


@dataclass(frozen=True)
class SilencePiece:
    """One clip of silence on its way into a table."""

    id: str  # RECORDING#START, or synthesised/COLOUR#NUMBER
    recording: str  # pieces of one recording must not be on two sides of a split
    bytes_: bytes  # WAV


def list_recordings(folder: Path) -> list[Recording]:
    """List the sounds below a folder, named by their path there.

    Raises:
        DatasetError: There is none.
    """
    paths = find_audio_files(folder)
    if not paths:
        raise DatasetError(
            f"--silence-from: the folder '{folder}' holds no recording. Give one that does, a"
            f" label, or '{SYNTHESISE}'."
        )
    return [Recording(p.relative_to(folder).as_posix(), None, str(p)) for p in paths]


def cut_recordings(
    recordings: Sequence[Recording], seconds: Seconds, count: int
) -> list[SilencePiece]:
    """Cut recordings into pieces of `seconds`, as many as asked for where there is enough sound.

    Pieces follow each other without a gap; where that gives too few they overlap, evenly over all
    recordings, and start at least 0.1 s apart. A recording shorter than a piece is one piece.

    Args:
        recordings: What to cut.
        seconds: Length of a piece.
        count: Wanted number of pieces over all recordings.

    Raises:
        DatasetError: A recording cannot be read.
    """
    sounds = [(one, _read_recording(one)) for one in recordings]
    room = [max(0.0, len(s.samples) / s.sampling_rate - seconds) for _, s in sounds]
    wanted = max(1, count - len(recordings))  # every recording has a piece at its start
    hop = min(seconds, max(MIN_HOP, sum(room) / wanted))
    return [
        _cut_piece(one.name, sound, step * hop, seconds)
        for (one, sound), space in zip(sounds, room, strict=True)
        for step in range(int(space / hop + 1e-6) + 1)
    ]


def make_silence(count: int, seconds: Seconds, seed: int) -> list[SilencePiece]:
    """Make pieces of noise: white, pink and brown in turn, each at a loudness of its own.

    Pure in its arguments; every piece is a recording of its own.
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


def _cut_piece(name: str, sound: DecodedAudio, start: Seconds, seconds: Seconds) -> SilencePiece:
    """Cut one piece out and name it after where it begins."""
    rate = sound.sampling_rate
    first = round(start * rate)
    wave = mix_channels(sound.samples[first : first + round(seconds * rate)])
    return SilencePiece(f"{name}#{start:.2f}", name, encode_wav(wave, rate))


def _read_recording(recording: Recording) -> DecodedAudio:
    """Decode a recording whole."""
    try:
        return decode_file(recording.bytes_, recording.path)
    except AudioError as error:
        raise DatasetError(
            f"--silence-from: the recording '{recording.name}' cannot be read ({error}). Mend it or"
            " take it away."
        ) from error
