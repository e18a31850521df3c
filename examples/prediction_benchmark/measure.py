"""Measure `audio-cls predict` against the pipeline of transformers, and its memory.

    python measure.py speed MODEL [REPEATS]     60 mixed clips, whole processes in turn
    python measure.py memory MODEL              recordings of 10 and 60 minutes

Clips are generated: wav, flac, mp3, ogg; 16, 22.05 and 44.1 kHz; mono and stereo; 0.3 to 12 s. The
pipeline gets waveforms from soundfile and soxr, so that it needs neither ffmpeg nor torchaudio, and
the same windows: clips of a model with an input of fixed length are not longer than that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

PIPELINE = """
import sys
import soundfile, soxr
from transformers import pipeline

classify = pipeline("audio-classification", model=sys.argv[1])
rate = classify.feature_extractor.sampling_rate

def waves():
    for path in sys.argv[2:]:
        samples, own = soundfile.read(path, dtype="float32", always_2d=True)
        yield {"raw": soxr.resample(samples.mean(axis=1), own, rate), "sampling_rate": rate}

for scores in classify(waves(), batch_size=8):
    print(scores[0]["label"])
"""


def write_clips(folder: Path) -> list[str]:
    """Write 60 mixed clips; return their paths."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(60):
        kind = ("wav", "flac", "mp3", "ogg")[number % 4]
        rate = (16_000, 22_050, 44_100)[number // 4 % 3]
        num_samples = round(float(np.exp(rng.uniform(np.log(0.3), np.log(12)))) * rate)
        tone = np.sin(2 * np.pi * rng.uniform(100, 2_000) * np.arange(num_samples) / rate)
        wave = 0.3 * tone + rng.normal(0, 0.05, num_samples)
        if number // 12 % 2:
            wave = np.stack([wave, rng.normal(0, 0.05, num_samples)], axis=1)
        paths.append(str(folder / f"{number:02d}.{kind}"))
        soundfile.write(paths[-1], wave, rate)
    return paths


def write_recording(path: Path, minutes: int) -> None:
    """Write noise, 44.1 kHz stereo."""
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", 44_100, 2, "PCM_16") as file:
        for _ in range(minutes):
            file.write(rng.normal(0, 0.1, (60 * 44_100, 2)).astype(np.float32))


def run(command: list[str]) -> tuple[float, float, float]:
    """Run a process; return its CPU and wall seconds and its peak memory in MB (Linux)."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    wall = time.monotonic() - started
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024 / 1e6


def show(line: str) -> None:
    """Write a line of the output at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def predict(model: str, *arguments: str) -> list[str]:
    """Return the command of `predict`."""
    return [sys.executable, "-m", "audio_cls", "predict", model, *arguments]


def main() -> None:
    """Measure one of the two."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    what, model, *rest = sys.argv[1:]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if what == "memory":
            for minutes in (10, 60):
                path = folder / f"{minutes}.wav"
                write_recording(path, minutes)
                for options in ((), ("--timeline",)):
                    cpu, wall, memory = run(predict(model, str(path), *options))
                    kind = "timeline" if options else "one label"
                    show(f"{minutes} min, {kind}: {cpu:.0f} s CPU, {wall:.0f} s, {memory:.0f} MB")
            return
        paths = write_clips(folder)
        commands = {
            "predict": predict(model, *paths),
            "pipeline": [sys.executable, "-c", PIPELINE, model, *paths],
        }
        best = dict.fromkeys(commands, (float("inf"), float("inf")))
        for _ in range(int(rest[0]) if rest else 3):
            for name, command in commands.items():
                cpu, wall, memory = run(command)
                show(f"{name}: {cpu:.1f} s CPU, {wall:.1f} s, {memory:.0f} MB")
                best[name] = (min(best[name][0], cpu), min(best[name][1], wall))
        ratios = [own / other for own, other in zip(best["predict"], best["pipeline"], strict=True)]
        show(f"predict / pipeline: {ratios[0]:.2f} of its CPU, {ratios[1]:.2f} of its seconds")


if __name__ == "__main__":
    main()
