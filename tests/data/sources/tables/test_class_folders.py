"""Folders as labels: levels, splits, classes that are called like splits, empty folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_datasets import load, write_clips

from audio_cls.errors import DatasetError
from audio_cls.run_warnings import collect_warnings

SPEAKERS = [
    f"{who}/{what}/{n}.wav" for who in ("anna", "ben") for what in ("no", "yes") for n in (0, 1)
]


def test_split_folders_without_classes_are_refused(tmp_path: Path) -> None:
    """A classifier of `train` against `test` was trained."""
    write_clips(tmp_path, ["train/1.wav", "train/2.wav", "test/3.wav"])
    with pytest.raises(DatasetError, match=r"named like splits \(test, train\).*--label-level -1"):
        load(tmp_path)
    table = load(tmp_path, label_level=-1).splits["train"]
    assert table["label"][:] == ["test", "train", "train"]


def test_a_folder_without_sub_folders_is_refused_with_an_example_of_a_pattern(
    tmp_path: Path,
) -> None:
    write_clips(tmp_path, ["ann_yes_1.wav", "ann_no_1.wav"])
    with pytest.raises(DatasetError, match=r"such as '_\(\[a-z\]\+\)_\[0-9\]\+' for SPEAKER"):
        load(tmp_path)


def test_an_unlabelled_test_folder_is_no_class(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its clips became the class `test` of the training split."""
    write_clips(tmp_path, ["train/cat/1.wav", "train/dog/2.wav", "test/3.wav", "test/4.wav"])
    splits = load(tmp_path).splits
    assert set(splits) == {"train"} and splits["train"]["label"][:] == ["cat", "dog"]
    assert "Left out: 2 clips outside of the class folders." in caplog.text


@pytest.mark.parametrize(
    "names", [["train/1.wav", "tram/2.wav"], ["train/a/1.wav", "tram/a/2.wav"]]
)
def test_a_class_may_be_called_train(tmp_path: Path, names: list[str]) -> None:
    """With sub-folders it was taken for the split, and its sub-folder for the class."""
    write_clips(tmp_path, names)
    labels = load(tmp_path).splits["train"]["label"][:]
    assert [label.split("/")[0] for label in labels] == ["train", "tram"]
    assert load(tmp_path, label_level=1).splits["train"]["label"][:] == ["train", "tram"]


def test_a_class_called_train_in_split_folders(tmp_path: Path) -> None:
    write_clips(tmp_path, [f"{s}/{c}/{s}.wav" for s in ("train", "test") for c in ("train", "bus")])
    splits = load(tmp_path).splits
    assert set(splits) == {"train", "test"} and splits["test"]["label"][:] == ["bus", "train"]


def test_the_label_is_the_folder_of_a_level(tmp_path: Path) -> None:
    write_clips(tmp_path, SPEAKERS)
    for level, labels in ((1, {"anna", "ben"}), (2, {"no", "yes"}), (-1, {"no", "yes"})):
        table = load(tmp_path, label_level=level).splits["train"]
        assert set(table["label"][:]) == labels
        assert set(table["folder_1"][:]) == {"anna", "ben"}
    for level in (3, -3, 0):
        with pytest.raises(DatasetError, match=f"--label-level {level}"):
            load(tmp_path, label_level=level)


def test_levels_count_from_the_data_set_also_below_splits(tmp_path: Path) -> None:
    write_clips(tmp_path, [f"{split}/{name}" for split in ("train", "test") for name in SPEAKERS])
    for level, labels in ((2, {"anna", "ben"}), (3, {"no", "yes"}), (-1, {"no", "yes"})):
        splits = load(tmp_path, label_level=level).splits
        assert set(splits) == {"train", "test"} and set(splits["test"]["label"][:]) == labels


def test_labels_of_several_folders_are_explained(tmp_path: Path) -> None:
    """The text is published, so that it holds numbers and no names of speakers."""
    write_clips(tmp_path, SPEAKERS)
    texts = collect_warnings()
    assert set(load(tmp_path).splits["train"]["label"][:]) == {
        *("anna/no", "anna/yes", "ben/no", "ben/yes")
    }
    assert "--label-level 1 (2 names), --label-level 2 (2 names)" in texts[0]
    assert "anna" not in texts[0]


def test_labels_of_a_genre_and_its_own_styles_are_left_alone(tmp_path: Path) -> None:
    write_clips(tmp_path, ["rock/punk/1.wav", "rock/prog/2.wav", "jazz/bebop/3.wav"])
    texts = collect_warnings()
    assert "rock/punk" in load(tmp_path).splits["train"]["label"][:]
    assert not texts


def test_an_empty_class_folder_is_named(tmp_path: Path) -> None:
    write_clips(tmp_path, ["train/cat/1.wav", "train/dog/2.wav"])
    (tmp_path / "train" / "owl").mkdir()
    (tmp_path / "train" / "fox").mkdir()
    (tmp_path / "train" / "fox" / "1.sph").write_bytes(b"NIST_1A")
    texts = collect_warnings()
    load(tmp_path)
    assert len(texts) == 1 and "2 folders" in texts[0] and texts[0].endswith("fox, owl.")
