"""Folders and tables of words for keyword spotting: short noises, and longer ones as background."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile
from datasets import Audio, Dataset

from audio_cls.config import DataConfig

RATE = 16_000
WORDS = ("yes", "no", "up", "bed", "cat")


def make_noise_wav(seconds: float, seed: int) -> bytes:
    """Return a WAV of noise, another one for each seed."""
    wave = np.random.default_rng(seed).uniform(-0.4, 0.4, round(seconds * RATE))
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, RATE, format="WAV")
    return buffer.getvalue()


def write_words(
    root: Path, clips: int = 20, background: int = 0, seconds: float = 0.1, long: float = 3.0
) -> Path:
    """Write LABEL/SPEAKER_nohash_NUMBER.wav, and recordings in `_background_noise_`."""
    for place, word in enumerate(WORDS):
        (root / word).mkdir(parents=True)
        for number in range(clips):
            name = f"{number // 2:08x}_nohash_{number % 2}.wav"
            (root / word / name).write_bytes(make_noise_wav(seconds, 1000 * place + number))
    if background:
        (root / "_background_noise_").mkdir()
    for number in range(background):
        path = root / "_background_noise_" / f"hum{number}.wav"
        path.write_bytes(make_noise_wav(long, 9000 + number))
    return root


def make_word_tables(long_in: tuple[str, ...] = ("train",)) -> dict[str, Dataset]:
    """Return train, validation and test of 20, 10 and 10 clips a word, without a sound in them.

    Splits in `long_in` have two recordings of 2 s labelled `_silence_` each; test has short ones.
    """
    tables = {}
    for place, (split, clips) in enumerate({"train": 20, "validation": 10, "test": 10}.items()):
        audio = [
            {"bytes": b"", "path": f"{split}-{word}-{n}.wav"}
            for word in WORDS
            for n in range(clips)
        ]
        label = [word for word in WORDS for _ in range(clips)]
        if split in long_in:
            for n in range(2):
                sound = make_noise_wav(2.0, 50 * place + n)
                audio.append({"bytes": sound, "path": f"{split}-hum{n}.wav"})
        else:
            audio += [
                {"bytes": make_noise_wav(0.2, 70 + n), "path": f"{split}-s{n}.wav"}
                for n in range(2)
            ]
            audio = audio if split == "test" else audio[:-2]
        label += ["_silence_"] * (len(audio) - len(label))
        speakers = [f"s{n % 4}" for n in range(len(label))]
        columns = {"audio": audio, "label": label, "speaker": speakers}
        tables[split] = Dataset.from_dict(columns).cast_column("audio", Audio(decode=False))
    return tables


def spotting(**changes: object) -> DataConfig:
    """Return settings with two keywords and silence cut from the label `_silence_`."""
    return DataConfig(**{"keywords": ("yes", "no"), "silence_seconds": 0.2, **changes})  # type: ignore[arg-type]
