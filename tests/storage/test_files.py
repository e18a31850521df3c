"""Tests of audio_cls.storage.files."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import make_config, set_up, write_quiet_checkpoint

from audio_cls.errors import RunFolderError
from audio_cls.runs.folder import RunFolder
from audio_cls.storage.files import (
    check_writable,
    explain_disk,
    link_files,
    open_replaced,
    write_csv,
    write_json,
    write_whole,
)
from audio_cls.training.loop import train


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a disk of a megabyte and a half of its own, where the system lets us have one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1600k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_gives_one_line_and_the_last_checkpoint_can_be_resumed(
    tone_folder: Path, tmp_path: Path, small_disk: Path
) -> None:
    checkpoint = write_quiet_checkpoint(tmp_path / "checkpoint")
    path = small_disk / "run"
    changes = {"epochs": 2, "save_every_steps": 5, "keep_checkpoints": 9}
    run = set_up(make_config(tone_folder, checkpoint, path, **changes))
    with (
        pytest.raises(RunFolderError, match=r"No space left.*step-\d+ is complete.*--resume auto"),
        explain_disk(run.folder),
    ):
        train(run)
    *others, last = run.folder.find_checkpoints()
    left = {entry.name for entry in run.folder.checkpoints.iterdir()}
    assert not {name for name in left - {".best"} if not name.startswith("step-")}
    load_file(last / "model.safetensors")
    for other in others:
        shutil.rmtree(other)
    resumed = set_up(
        make_config(tone_folder, checkpoint, path, **{**changes, "keep_checkpoints": 1},
                    resume="auto")
    )  # fmt: skip
    train(resumed)
    whole = set_up(make_config(tone_folder, checkpoint, tmp_path / "whole", **changes))
    train(whole)
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_model_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    def write(folder: Path, text: str) -> None:
        (folder / "model.safetensors").write_text(text)
        (folder / "config.json").write_text(text)

    def fail(folder: Path) -> None:
        write(folder, "half")
        raise OSError(28, "No space left on device")

    write_whole(tmp_path, lambda folder: write(folder, "old"))
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path, fail)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "model.safetensors": "old", "config.json": "old",
    }  # fmt: skip


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"ä": [1, 2.5, None]})
    assert path.read_text("utf-8") == '{\n  "ä": [\n    1,\n    2.5,\n    null\n  ]\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(KeyError), open_replaced(path) as file:
        file.write("half")
        raise KeyError
    assert path.read_text("utf-8").startswith('{\n  "ä"')
    with open_replaced(path) as one, open_replaced(path) as other:
        one.write("first")
        other.write("second")
    assert path.read_text("utf-8") == "first"
    write_csv(tmp_path / "a.csv", ["id", "text"], [["x", 'a, "b"'], ["y", 1.5]])
    assert (tmp_path / "a.csv").read_bytes() == b'id,text\r\nx,"a, ""b"""\r\ny,1.5\r\n'
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.csv", "a.json"]


def test_a_writable_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        check_writable(tmp_path / "file" / "c")


def test_files_that_are_linked_twice_leave_no_temporary_ones(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    (source / "model.safetensors").write_bytes(b"weights")
    for _ in range(2):
        link_files(source, target)
    assert [entry.name for entry in target.iterdir()] == ["model.safetensors"]
    assert (target / "model.safetensors").read_bytes() == b"weights"


def test_other_errors_pass_through(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with pytest.raises(RuntimeError, match="shapes"), explain_disk(run):
        raise RuntimeError("shapes do not match")
