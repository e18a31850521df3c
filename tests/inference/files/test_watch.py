"""Watching a folder: files that grow, files that are done, names in the output."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from audio_cls.inference.files.formats import make_format
from audio_cls.inference.files.rows import RowLayout
from audio_cls.inference.files.watch import read_done, watch_folder


class Clock:
    """A clock that is moved by waiting."""

    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        """Return the time."""
        return self.now

    def wait(self, seconds: float) -> None:
        """Move the clock."""
        self.now += seconds


def watch(folder: Path, done: tuple[str, ...] = ()) -> Iterator[list[str]]:
    clock = Clock()
    for files in watch_folder(str(folder), done, settle=2.0, wait=clock.wait, clock=clock.read):
        yield [str(Path(file).relative_to(folder)) for file in files]


def test_a_file_is_given_once_when_it_has_stopped_growing(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.wav").write_bytes(b"1")
    (tmp_path / ".hidden.wav").write_bytes(b"1")
    (tmp_path / "notes.txt").write_bytes(b"1")
    looks = watch(tmp_path)
    assert [next(looks), next(looks)] == [[], []]
    (tmp_path / "b.wav").write_bytes(b"1")
    assert next(looks) == ["sub/a.wav"]
    (tmp_path / "b.wav").write_bytes(b"12")
    assert [next(looks), next(looks), next(looks)] == [[], [], ["b.wav"]]
    assert [next(looks), next(looks), next(looks)] == [[], [], []]


def test_a_file_that_disappears_and_comes_back_starts_again(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"1")
    looks = watch(tmp_path)
    assert [next(looks), next(looks)] == [[], []]
    (tmp_path / "a.wav").unlink()
    assert next(looks) == []
    (tmp_path / "a.wav").write_bytes(b"1")
    assert [next(looks), next(looks), next(looks)] == [[], [], ["a.wav"]]


def test_a_file_that_is_done_is_not_given_again(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"1")
    looks = watch(tmp_path, (str(tmp_path / "a.wav"),))
    assert [next(looks), next(looks), next(looks)] == [[], [], ["b.wav"]]


@pytest.mark.parametrize("name", ["csv", "jsonl"])
def test_the_files_that_are_done_are_read_from_the_output(tmp_path: Path, name: str) -> None:
    names = ["a.wav", 'x,"y"\n.wav', "\udcff.wav"]
    one = make_format(name, RowLayout("file", ("cat",)))
    rows = [{"file": file, "error": "empty"} for file in names]
    (tmp_path / "out").write_bytes(one.header() + one.encode([*rows, rows[0]]))
    assert read_done(tmp_path / "out", name) == {*names[:2], "\\udcff.wav"}
    assert read_done(tmp_path / "none", name) == set()
