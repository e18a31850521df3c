"""Checksums of a folder: every changed, cut, missing or unreadable file is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from audio_cls.storage.checksums import CHECKSUMS, find_damaged, write_checksums


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with checksums."""
    (tmp_path / "best").mkdir()
    (tmp_path / "weights").write_bytes(bytes(range(256)) * 9)
    (tmp_path / "best" / "config.json").write_text("{}")
    write_checksums(tmp_path)
    return tmp_path


def test_an_unchanged_folder_has_no_damage_nor_has_one_of_an_earlier_version(folder: Path) -> None:
    assert find_damaged(folder) == []
    (folder / "new").touch()  # such as a note of the user
    assert find_damaged(folder) == []
    (folder / "weights").unlink()
    (folder / CHECKSUMS).unlink()
    assert find_damaged(folder) == []


@pytest.mark.parametrize("name", ["weights", "best/config.json", CHECKSUMS])
def test_a_flipped_bit_a_cut_and_a_missing_file_are_found(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    flipped = bytes([whole[0] ^ 1]) + whole[1:]
    for content in (flipped, whole[: len(whole) // 2], b""):
        (folder / name).write_bytes(content)
        assert find_damaged(folder) == [name]
    (folder / name).unlink()
    if name != CHECKSUMS:
        assert find_damaged(folder) == [name]
