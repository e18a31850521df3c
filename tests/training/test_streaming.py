"""Streamed runs: exact resume, and no process hangs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from datasets import Audio, ClassLabel, Dataset
from forked import Forked
from tiny_runs import make_config, set_up, write_quiet_checkpoint
from tones import make_tone

from audio_cls.errors import RunFolderError
from audio_cls.runs.results import RunResults
from audio_cls.training import loop


def write_split(folder: Path, name: str, numbers: range) -> None:
    """Write a shard of tones of two classes, in row groups of four."""
    sounds = []
    for number in numbers:
        buffer = io.BytesIO()
        tone = make_tone(300 + 900 * (number % 2), 0.3 + 0.02 * (number % 9), seed=number)
        soundfile.write(buffer, tone, 16_000, format="WAV")
        sounds.append({"bytes": buffer.getvalue(), "path": f"c{number}.wav"})
    sounds[0]["bytes"] = b"no sound" if "00001-of" in name else sounds[0]["bytes"]
    table = Dataset.from_dict({"audio": sounds, "label": [n % 2 for n in numbers]})
    table = table.cast_column("audio", Audio(decode=False)).cast_column("audio", Audio())
    table = table.cast_column("label", ClassLabel(names=["low", "high"]))
    schema = dict(table.features.arrow_schema.metadata)
    arrow = table.data.table.replace_schema_metadata(schema)
    pq.write_table(arrow, folder / "data" / f"{name}.parquet", row_group_size=4)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return three shards of ten training clips, one of them broken, and twelve test clips."""
    root = tmp_path_factory.mktemp("shards")
    (root / "data").mkdir()
    for number in range(3):
        write_split(root, f"train-0000{number}-of-00003", range(10 * number, 10 * number + 10))
    write_split(root, "validation-00000-of-00001", range(100, 106))
    write_split(root, "test-00000-of-00001", range(200, 206))
    return root


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny HuBERT without dropout."""
    return write_quiet_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def train(shards: Path, checkpoint: Path, folder: Path, **changes: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401
    """Train to the last step and return the weights."""
    cfg = make_config(
        shards, checkpoint, folder,
        streaming=True, shuffle_buffer=16, max_steps=14, mixup_alpha=0.3, gain_db=6.0,
        scheduler="constant", **changes,
    )  # fmt: skip
    run = set_up(cfg)
    loop.train(run)
    return {name: value.clone() for name, value in run.model.state_dict().items()}


def test_a_streamed_run_is_resumed_bit_for_bit(
    shards: Path, checkpoint: Path, tmp_path: Path
) -> None:
    whole = train(shards, checkpoint, tmp_path / "whole")
    halves = tmp_path / "halves"
    train(shards, checkpoint, halves, save_every_steps=5, keep_checkpoints=9)
    middle = halves / "checkpoints" / "step-5"  # within the first pass of 8 steps
    again = train(shards, checkpoint, halves, resume=str(middle), num_workers=2)
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    rows = list(csv.DictReader((tmp_path / "whole" / "summary.csv").open()))
    assert [float(row["epoch"]) for row in rows] == [1.0, 1.75]


def test_a_streamed_run_is_resumed_with_the_same_number_of_processes_only(
    shards: Path, checkpoint: Path, tmp_path: Path
) -> None:
    train(shards, checkpoint, tmp_path / "run", save_every_steps=5, keep_checkpoints=9)
    middle = tmp_path / "run" / "checkpoints" / "step-5"
    (middle / "random_states_0.pkl").with_name("random_states_1.pkl").touch()
    with pytest.raises(RunFolderError, match=r"2 processes and this run has 1.*num_processes 2"):
        train(shards, checkpoint, tmp_path / "run", resume=str(middle))


@pytest.mark.long
def test_two_processes_with_two_workers_finish_a_streamed_run(
    shards: Path, checkpoint: Path, tmp_path: Path
) -> None:
    words = [
        "--dataset", shards, "--model", checkpoint, "--streaming", "--max-steps", 9,
        "--batch-size", 2, "--max-seconds", 0.5, "--num-workers", 2, "--max-bad-audio-ratio", 0.2,
        "--output-dir", tmp_path / "run",
    ]  # fmt: skip
    Forked("scripts/train.py", words, tmp_path / "log", count=2).finish()
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert RunResults.from_json(results).to_json() == results
    assert results["dataset"]["split"]["train"]["num_examples"] == 30
    assert results["dataset"]["split"]["train"]["seconds"] is None
    assert results["test"]["num_examples"] == 6
    assert results["bad_audio"]["skipped"] == 1
    assert "c10.wav" in (tmp_path / "run" / "bad_audio.csv").read_text()
    assert "streamed" in (tmp_path / "run" / "README.md").read_text()
