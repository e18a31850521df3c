"""Write spoken digits whose test clips come from another source than the clips to train on.

    python make_shifted.py FSDD OUT

FSDD is a folder or id of the Free Spoken Digit Dataset with a column `speaker`. Clips of four
speakers (train, and validation from the same speakers) get noise and the response of one room;
those of the two others (test) stay as they are. Speakers and recording conditions of the test are
then both unseen, and a validation split with the speakers of training does not show it.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import soundfile
from scipy.signal import fftconvolve  # type: ignore[import-untyped]

TEST_SPEAKERS = ("lucas", "theo")
VALIDATION_TAKES = range(5, 8)
RATE = 8_000
SNR_DB = 10.0
DECAY_SECONDS = 0.25  # the response is 60 dB lower after this time


def make_room(rng: np.random.Generator) -> np.ndarray:
    """Return the response of one room, (samples,): the direct sound, then noise that decays."""
    time = np.arange(int(DECAY_SECONDS * RATE)) / RATE
    response = 0.3 * rng.normal(size=len(time)) * 10 ** (-3 * time / DECAY_SECONDS)
    response[0] = 1.0
    return response


def add_room_and_noise(wave: np.ndarray, room: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a waveform, (samples,), in the room, with white noise at SNR_DB."""
    wet = np.asarray(fftconvolve(wave, room))
    level = np.sqrt(np.mean(wet**2)) * 10 ** (-SNR_DB / 20)
    noisy = wet + rng.normal(0, level, len(wet))
    return np.asarray(noisy * min(1.0, 0.9 / np.abs(noisy).max()))


def convert(row: dict[str, Any], room: np.ndarray, index: int) -> dict[str, Any]:
    """Return a row with the waveform of its split, as FLAC."""
    wave, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
    assert rate == RATE, f"{rate} Hz instead of {RATE}"
    if row["speaker"] not in TEST_SPEAKERS:
        wave = add_room_and_noise(wave, room, np.random.default_rng(index))
    data = io.BytesIO()
    soundfile.write(data, wave, rate, format="FLAC")
    return {"audio": {"bytes": data.getvalue(), "path": row["audio"]["path"]}}


def main() -> None:
    """Write train, validation and test as parquet."""
    source, out = sys.argv[1], Path(sys.argv[2])
    splits = datasets.load_dataset(source)
    clips = datasets.concatenate_datasets([splits["train"], splits["test"]])
    clips = clips.cast_column("audio", datasets.Audio(decode=False))
    room = make_room(np.random.default_rng(0))
    clips = clips.map(lambda row, index: convert(row, room, index), with_indices=True)
    is_test = np.isin(clips["speaker"], TEST_SPEAKERS)
    takes = np.array([int(Path(row["path"]).stem.rsplit("_", 1)[1]) for row in clips["audio"]])
    is_validation = ~is_test & np.isin(takes, VALIDATION_TAKES)
    for name, chosen in (
        ("train", ~is_test & ~is_validation),
        ("validation", is_validation),
        ("test", is_test),
    ):
        path = out / "data" / f"{name}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        clips.select(np.flatnonzero(chosen)).to_parquet(path)


if __name__ == "__main__":
    main()
