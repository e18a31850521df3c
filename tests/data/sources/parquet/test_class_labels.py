"""Parquet files that declare different class labels."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_datasets import make_parquet, make_rows

from audio_cls.config import DataConfig
from audio_cls.data.sources.local_folder import read_folder
from audio_cls.data.sources.streaming import list_folder
from audio_cls.errors import DatasetError

EXPECTED = r"'label'.*cat, dog in train\.parquet; dog, cat in test\.parquet"


def write(folder: Path, names: list[str]) -> None:
    """Write a train file of (cat, dog) and a test file of `names`, both with the labels 0 and 1."""
    for split, own in (("train", ["cat", "dog"]), ("test", names)):
        content = make_parquet(make_rows(label=[0, 1]), label=own)
        (folder / f"{split}.parquet").write_bytes(content)


def test_another_order_in_another_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, ["dog", "cat"])
    with pytest.raises(DatasetError, match=EXPECTED):
        read_folder(tmp_path, DataConfig())
    with pytest.raises(DatasetError, match=EXPECTED):
        list_folder(tmp_path, DataConfig())


def test_equal_class_labels_are_read(tmp_path: Path) -> None:
    write(tmp_path, ["cat", "dog"])
    splits = read_folder(tmp_path, DataConfig()).splits
    assert splits["test"].features["label"].names == ["cat", "dog"]
    assert splits["test"]["label"][:] == [0, 1, 0, 1, 0, 1]


def test_a_card_with_another_order_is_refused(tmp_path: Path) -> None:
    write(tmp_path, ["cat", "dog"])
    card = (
        "---\ndataset_info:\n  features:\n  - name: audio\n    dtype: audio\n  - name: label\n"
        "    dtype:\n      class_label:\n        names:\n"
        "          '0': dog\n          '1': cat\n---\n"
    )
    (tmp_path / "README.md").write_text(card, "utf-8")
    with pytest.raises(DatasetError, match=r"cat, dog in train\.parquet; dog, cat in README\.md"):
        read_folder(tmp_path, DataConfig())
