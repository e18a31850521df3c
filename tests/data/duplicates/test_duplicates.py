"""Tests of audio_cls.data.duplicates.exact."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from audio_cls.data.duplicates.exact import (
    Duplicate,
    drop_duplicates,
    find_duplicates,
    save_duplicates,
    warn_of_duplicates,
)

IDS = np.array(["a", "b", "c", "d", "e"])
LABELS = np.array([0, 0, 0, 1, 1])


def find(hashes: str, **parts: list[int]) -> list[Duplicate]:
    """Find the duplicates among rows whose hashes are one letter each, `-` for none."""
    sounds = np.array([-1 if letter == "-" else ord(letter) for letter in hashes])
    rows = {name: np.array(own, dtype=np.int64) for name, own in parts.items()}
    return find_duplicates(rows, sounds, IDS, LABELS)


def test_test_keeps_its_clips_then_validation() -> None:
    found = find("xxxyy", train=[0, 3], validation=[1, 4], test=[2])
    assert [(one.id, one.split, one.same_as, one.same_as_split) for one in found] == [
        ("b", "validation", "c", "test"),
        ("a", "train", "c", "test"),
        ("d", "train", "e", "validation"),
    ]
    assert all(one.is_leak for one in found)


def test_a_repeat_inside_a_split_is_no_leak() -> None:
    (one,) = find("xyxzw", train=[0, 1, 2], test=[3, 4])
    assert (one.id, one.same_as, one.is_leak, one.has_same_label) == ("c", "a", False, True)


def test_a_copy_with_another_label_is_marked() -> None:
    (one,) = find("xyzxw", train=[0, 1, 2], test=[3, 4])
    assert not one.has_same_label


def test_validation_and_test_of_the_same_clips_are_no_duplicates() -> None:
    assert find("vwxyz", train=[0, 1, 2], validation=[3, 4], test=[3, 4]) == []


def test_clips_without_audio_are_no_duplicates() -> None:
    assert find("--xyz", train=[0, 1, 2], test=[3, 4]) == []


def test_dropping_leaves_each_audio_once() -> None:
    parts = {"train": np.array([0, 3, 1]), "validation": np.array([4]), "test": np.array([2])}
    duplicates = find_duplicates(parts, np.array([1, 2, 1, 3, 3]), IDS, LABELS)
    left = drop_duplicates(parts, IDS, duplicates)
    assert {name: own.tolist() for name, own in left.items()} == {
        "train": [1],
        "validation": [4],
        "test": [2],
    }


def test_dropping_leaves_test_whole() -> None:
    parts = {"train": np.array([0]), "validation": np.array([1]), "test": np.array([2, 3, 4])}
    duplicates = find_duplicates(parts, np.array([1, 1, 1, 1, 2]), IDS, LABELS)
    left = drop_duplicates(parts, IDS, duplicates)
    assert {name: own.tolist() for name, own in left.items()} == {
        "train": [], "validation": [], "test": [2, 3, 4],
    }  # fmt: skip


def test_one_warning_has_the_number_of_duplicates(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_duplicates([], are_dropped=False)
    assert not caplog.records
    duplicates = find("xxxyx", train=[0, 1, 3], test=[2, 4])
    warn_of_duplicates(duplicates, are_dropped=False)
    warn_of_duplicates(duplicates, are_dropped=True)
    kept, dropped = [record.getMessage() for record in caplog.records]
    assert kept.startswith(
        "3 clips have the same audio as another clip (2 in another split, 1 with another"
    )
    assert "--deduplicate leaves those of train and validation out" in kept
    assert "2 of train and validation left out" in dropped


def test_the_list_has_one_row_per_duplicate(tmp_path: Path) -> None:
    save_duplicates(tmp_path / "d.csv", find("xyzxw", train=[0, 1, 2], test=[3, 4]))
    rows = list(csv.DictReader((tmp_path / "d.csv").open()))
    assert rows == [
        {"id": "a", "split": "train", "same_as": "d", "same_as_split": "test", "same_label": "no"}
    ]
