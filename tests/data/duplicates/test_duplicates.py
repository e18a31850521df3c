"""One sound twice, under any name; and test sets that the base model has heard."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hub_datasets import load, make_dataset, write_clips
from hub_server import HubServer

from audio_cls.config import ModelConfig
from audio_cls.data.duplicates.exact import (
    Duplicate,
    drop_duplicates,
    find_duplicates,
    save_duplicates,
    warn_of_duplicates,
)
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.models.contamination import is_same_dataset, warn_if_pretrained_on

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


def test_a_copy_with_another_label_is_told() -> None:
    (one,) = find("xyzxw", train=[0, 1, 2], test=[3, 4])
    assert not one.has_same_label


def test_validation_and_test_of_the_same_clips_are_no_duplicates() -> None:
    assert find("vwxyz", train=[0, 1, 2], validation=[3, 4], test=[3, 4]) == []


def test_clips_without_sound_are_not_alike() -> None:
    assert find("--xyz", train=[0, 1, 2], test=[3, 4]) == []


def test_dropping_leaves_each_sound_once() -> None:
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


def test_one_line_says_how_many(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_duplicates([], are_dropped=False)
    assert not caplog.records
    duplicates = find("xxxyx", train=[0, 1, 3], test=[2, 4])
    warn_of_duplicates(duplicates, are_dropped=False)
    warn_of_duplicates(duplicates, are_dropped=True)
    kept, dropped = [record.getMessage() for record in caplog.records]
    assert kept.startswith("3 clips sound the same as another (2 in another split, 1 with another")
    assert "--deduplicate leaves those of train and validation out" in kept
    assert "2 of train and validation are left out" in dropped


def test_the_list_has_a_row_a_duplicate(tmp_path: Path) -> None:
    save_duplicates(tmp_path / "d.csv", find("xyzxw", train=[0, 1, 2], test=[3, 4]))
    rows = list(csv.DictReader((tmp_path / "d.csv").open()))
    assert rows == [
        {"id": "a", "split": "train", "same_as": "d", "same_as_split": "test", "same_label": "no"}
    ]


def make_source(name: str, *, is_local: bool = False) -> LoadedDataset:
    """Make a source that has a name and nothing else."""
    return make_dataset({}, id=name, name=name, is_local=is_local)


@pytest.mark.parametrize(
    ("listed", "name", "is_local", "same"),
    [
        ("marsyas/gtzan", "marsyas/gtzan", False, True),
        ("gtzan", "sanchit-gandhi/gtzan", False, True),
        ("marsyas/gtzan", "mteb/gtzan-genre", False, True),
        ("google/speech_commands", "mteb/speech-commands-mini", False, True),
        ("marsyas/gtzan", "gtzan", True, True),
        ("marsyas/gtzan", "my_gtzan", True, False),
        ("librispeech_asr", "marsyas/gtzan", False, False),
        ("ami", "me/family", False, False),
    ],
)
def test_copies_of_a_data_set_are_recognised(
    listed: str, name: str, *, is_local: bool, same: bool
) -> None:
    assert is_same_dataset(listed, make_source(name, is_local=is_local)) is same


@pytest.mark.parametrize("datasets", ["[librispeech_asr, marsyas/gtzan]", "marsyas/gtzan"])
def test_a_model_that_heard_the_test_set_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, datasets: str
) -> None:
    (tmp_path / "README.md").write_text(f"---\ndatasets: {datasets}\n---\n# A model\n")
    warn_if_pretrained_on(make_source("sanchit-gandhi/gtzan"), ModelConfig(model=str(tmp_path)))
    assert "lists 'marsyas/gtzan' among its training data" in caplog.text


def test_a_model_of_the_hub_that_heard_the_test_set_is_told(
    data_hub: HubServer, caplog: pytest.LogCaptureFixture
) -> None:
    data_hub.seed("models", "heard/model", {"README.md": "---\ndatasets: [esc50]\n---\n"})
    warn_if_pretrained_on(make_source("ashraq/esc50"), ModelConfig(model="heard/model"))
    assert "The card of 'heard/model' lists 'esc50'" in caplog.text


@pytest.mark.parametrize(
    ("card", "settings"),
    [
        ("---\ndatasets: [other/set]\n---\n", {}),
        ("# No header\n", {}),
        ("---\ndatasets: [unclosed\n---\n", {}),
        (None, {}),
        ("---\ndatasets: [marsyas/gtzan]\n---\n", {"from_scratch": True}),
    ],
)
def test_what_no_card_says_is_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, card: str | None, settings: dict[str, Any]
) -> None:
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    warn_if_pretrained_on(
        make_source("marsyas/gtzan"), ModelConfig(model=str(tmp_path), **settings)
    )
    assert not caplog.records


def test_a_model_that_is_nowhere_is_no_warning(
    data_hub: HubServer, caplog: pytest.LogCaptureFixture
) -> None:
    warn_if_pretrained_on(make_source("marsyas/gtzan"), ModelConfig(model="no/model"))
    assert not caplog.records


def test_the_source_of_a_real_folder_can_be_compared(tmp_path: Path) -> None:
    write_clips(tmp_path / "gtzan", ["a/1.wav", "b/2.wav"])
    assert is_same_dataset("marsyas/gtzan", load(tmp_path / "gtzan"))
