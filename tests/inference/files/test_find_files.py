"""Files to classify: folders, patterns, lists, hidden files."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from audio_cls.errors import AudioClsError
from audio_cls.inference.files.find_files import find_files, read_file_list


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with audio files, hidden ones and others."""
    for name in ("b/2.wav", "b/1.FLAC", "a.mp3", "._a.mp3", "b/.x.wav", "notes.txt", "c/n.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "3.wav").touch()
    return tmp_path


def test_a_folder_gives_its_audio_files_sorted_and_counts_hidden_ones(folder: Path) -> None:
    found = find_files([str(folder)])
    names = [os.path.relpath(path, folder) for path in found.paths]
    assert names == ["a.mp3", "b/1.FLAC", "b/2.wav"]
    assert (found.num_hidden, found.without_audio) == (2, [])


def test_a_given_file_is_kept_whatever_its_name_or_existence(folder: Path) -> None:
    given = [str(folder / "notes.txt"), "missing.wav", "-", str(folder / "._a.mp3")]
    assert find_files(given).paths == given


def test_a_link_to_a_missing_file_is_listed_so_that_it_becomes_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.wav").symlink_to(tmp_path / "gone.wav")
    assert find_files([str(tmp_path)]).paths == [str(tmp_path / "a.wav")]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.mp3", ["a.mp3"]),
        ("**/*", ["a.mp3", "b/1.FLAC", "b/2.wav"]),
        ("[ab]*", ["a.mp3", "b/1.FLAC", "b/2.wav"]),
        ("*.aiff", []),
    ],
)
def test_a_pattern_gives_audio_files_and_the_files_of_folders(
    folder: Path, pattern: str, names: list[str]
) -> None:
    found = find_files([str(folder / pattern)])
    assert [os.path.relpath(path, folder) for path in found.paths] == names
    assert bool(found.without_audio) is not bool(names)


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a[1].wav").touch()
    (tmp_path / "b[1].wav").symlink_to(tmp_path / "gone.wav")  # an error in its row
    (tmp_path / "a1.wav").touch()
    for name in ("a[1].wav", "b[1].wav"):
        assert find_files([str(tmp_path / name)]).paths == [str(tmp_path / name)]
    with pytest.raises(AudioClsError, match=r"c\[1\].wav \(there is no file of this name, and no"):
        find_files([str(tmp_path / "c[1].wav")]).check()


def test_an_empty_folder_alone_is_an_error_and_among_others_it_is_listed(folder: Path) -> None:
    (folder / "c" / ".y.wav").touch()
    alone = find_files([str(folder / "c")])
    with pytest.raises(AudioClsError, match=r"no audio file in .*c \(1 hidden, skipped\)"):
        alone.check()
    both = find_files([str(folder / "c"), str(folder / "a.mp3")])
    both.check()
    assert both.without_audio == [str(folder / "c")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"])
def test_a_list_has_one_path_per_line_or_zero_bytes_at_their_ends(end: bytes) -> None:
    names = ["a b.wav", "é.wav", "x/._c.wav", "d.wav"]
    content = b"".join(name.encode() + end for name in names)
    found = read_file_list(io.BytesIO(content))
    assert (found.paths, found.num_hidden) == (["a b.wav", "é.wav", "d.wav"], 1)


def test_names_that_are_not_utf8_are_kept() -> None:
    (path,) = read_file_list(io.BytesIO(b"\xff.wav\n")).paths
    assert os.fsencode(path) == b"\xff.wav"
    with pytest.raises(AudioClsError, match="the list of files"):
        read_file_list(io.BytesIO(b"\n")).check()
