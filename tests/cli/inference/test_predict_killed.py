"""`audio-cls predict` in processes that are killed: the next call completes the output."""

from __future__ import annotations

import csv
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
import soundfile
from forked import Forked
from tones import make_tone


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Return a folder with 600 short tones."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in range(600):
        wave = make_tone(200 + 5 * number, 0.3)
        soundfile.write(folder / f"{number:03d}.wav", wave, 16_000)
    return folder


def start(*words: object) -> Forked:
    """Start the command."""
    return Forked("audio_cls/__main__.py", ["predict", *words], Path(os.devnull))


def wait_for(path: Path, text: str, seconds: float = 120) -> None:
    """Wait until a file has a text."""
    end = time.monotonic() + seconds
    while not path.exists() or text not in path.read_text():
        assert time.monotonic() < end, f"{path} has no {text!r}"
        time.sleep(0.02)


@pytest.mark.long
def test_output_after_kills_equals_that_of_one_call(run: Path, clips: Path, tmp_path: Path) -> None:
    def call(name: str) -> Forked:
        embeddings = tmp_path / f"{name}.embeddings"
        return start(run, clips, "--output", tmp_path / name, "--embeddings", embeddings)

    assert call("whole.parquet").wait() == 0
    rng = random.Random(0)
    for _ in range(2):
        process = call("killed.parquet")
        wait_for(tmp_path / "killed.parquet.partial.lock", f'"pid": {process.pid}')
        time.sleep(rng.uniform(0, 1.5))
        process.kill()
    call("killed.parquet").wait()
    for suffix in ("", ".embeddings"):
        killed, whole = (tmp_path / f"{name}.parquet{suffix}" for name in ("killed", "whole"))
        assert killed.read_bytes() == whole.read_bytes()


@pytest.mark.long
def test_a_watched_folder_continues_after_a_kill(run: Path, clips: Path, tmp_path: Path) -> None:
    folder, output = tmp_path / "new", tmp_path / "rows.csv"
    folder.mkdir()
    names = [f"{number:03d}.wav" for number in range(4)]
    for part in (names[:2], names[2:]):
        process = start(run, "--watch", folder, "--output", output)
        for name in part:
            shutil.copy(clips / name, folder / name)
        wait_for(output, part[-1])
        process.kill()
    process = start(run, "--watch", folder, "--output", output)
    wait_for(output.with_name("rows.csv.partial.lock"), f'"pid": {process.pid}')
    time.sleep(5)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(Path(row["file"]).name for row in rows) == names
    assert all(row["label"] and not row["error"] for row in rows)
