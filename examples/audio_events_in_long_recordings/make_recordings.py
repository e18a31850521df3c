#!/usr/bin/env python
"""Make long recordings from a folder of clips, with the times of the clips as label tracks.

python examples/audio_events_in_long_recordings/make_recordings.py clips field

The clips of `clips/LABEL/` are added to noise at random times, each at most once. `field/train` and
`field/test` get WAV files, and next to each a label track of Audacity, which also has the pauses
between the clips as `background`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from audio_cls.audio.files import find_audio_files
from audio_cls.audio.waveform import decode_wave
from audio_cls.inference.events.event import Event
from audio_cls.inference.events.write import write_audacity

BACKGROUND = "background"


def parse_arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path, help="folder with a folder of clips per label")
    parser.add_argument("output", type=Path, help="folder for the recordings")
    parser.add_argument("--train", type=int, default=3, help="recordings for training (default 3)")
    parser.add_argument("--test", type=int, default=1, help="recordings for test (default 1)")
    parser.add_argument("--length", type=int, help="clips per recording; default: all clips")
    parser.add_argument("--gap", type=float, nargs=2, default=(1.0, 4.0), metavar=("MIN", "MAX"))
    parser.add_argument("--noise", type=float, default=0.003, help="standard deviation (0.003)")
    parser.add_argument("--rate", type=int, default=16_000, help="in Hz (default 16000)")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def place_clips(
    clips: list[Path], rate: int, gaps: tuple[float, float], rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, str]]:
    """Yield the parts of a recording with their labels: a pause, a clip, a pause ..."""
    for clip in clips:
        yield np.zeros(round(rng.uniform(*gaps) * rate), np.float32), BACKGROUND
        yield decode_wave(None, str(clip), rate), clip.parent.name
    yield np.zeros(round(rng.uniform(*gaps) * rate), np.float32), BACKGROUND


def write_recording(path: Path, clips: list[Path], options: argparse.Namespace, seed: int) -> int:
    """Write a recording and its label track; return its number of samples."""
    rng = np.random.default_rng(seed)
    events, position = [], 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(path, "w", options.rate, 1, "PCM_16") as file:
        for wave, label in place_clips(clips, options.rate, options.gap, rng):
            noise = rng.normal(0, options.noise, len(wave))
            file.write(np.clip(wave + noise, -1, 1))
            start, position = position, position + len(wave)
            events.append(Event(str(path), start / options.rate, position / options.rate, label))
    write_audacity(events, path.with_suffix(".txt"))
    return position


def main() -> None:
    """Distribute the clips of each label evenly, and write the recordings."""
    options = parse_arguments()
    rng = np.random.default_rng(options.seed)
    clips = find_audio_files(options.clips)
    rng.shuffle(clips)
    clips.sort(key=lambda clip: clip.parent.name)  # stable: labels together, clips in random order
    names = [f"train/recording_{n}.wav" for n in range(1, options.train + 1)]
    names += [f"test/recording_{n + options.train}.wav" for n in range(1, options.test + 1)]
    for number, name in enumerate(names):
        own = clips[number :: len(names)]
        rng.shuffle(own)
        own = own[: options.length]
        samples = write_recording(options.output / name, own, options, options.seed + number)
        minutes = samples / options.rate / 60
        sys.stdout.write(f"{options.output / name}: {minutes:.1f} minutes, {len(own)} clips\n")


if __name__ == "__main__":
    main()
