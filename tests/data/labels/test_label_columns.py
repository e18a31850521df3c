"""Label columns that a data set does not have as such: fields, columns of 0 and 1, file names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from hub_datasets import load, make_dataset, make_rows, make_table, write_clips

from audio_cls.config import DataConfig
from audio_cls.data.labels.label_columns import add_columns
from audio_cls.data.labels.labels import Labels, parse_labels
from audio_cls.errors import DatasetError, SettingError


def read(splits: dict[str, Dataset], **settings: Any) -> Labels:  # noqa: ANN401
    """Read the labels that the settings ask for."""
    cfg = DataConfig(**settings)
    return parse_labels(add_columns(make_dataset(splits), cfg), cfg)


@pytest.mark.parametrize(
    "columns",
    [
        {"cat": [0, 1, 0], "dog": [1, 1, 0]},
        {"cat": ["0", "1", "0"], "dog": ["1", "1", "0"]},
        {"cat": [False, True, False], "dog": ["True", "True", "False"]},
        {"cat": [0.0, 1.0, 0.0], "dog": [1.0, 1.0, 0.0]},
    ],
)
def test_columns_of_zeros_and_ones_are_the_classes(columns: dict[str, Any]) -> None:
    splits = {"test": make_table({"id": [9]}), "train": make_table(columns)}
    labels = read(splits, label_columns=("dog", "cat"))
    assert labels.names == ("dog", "cat") and labels.targets is not None
    np.testing.assert_array_equal(labels.targets["train"], [[1, 0], [1, 1], [0, 0]])
    assert labels.ids["test"].tolist() == [-1]


def test_a_clip_with_an_empty_mark_has_no_label() -> None:
    table = make_table({"cat": [0, None, 1, 1], "dog": [1, 1, 1, 0]})
    labels = read({"train": table}, label_columns=("cat", "dog"))
    assert labels.ids["train"].tolist() == [1, -1, 0, 0]


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        (("cat", "dgo"), "there is no column 'dgo'.* Did you mean dog"),
        (("cat", "size"), r"column 'size' holds '0\.5', and only 0 and 1"),
    ],
)
def test_columns_that_are_no_marks_are_refused(names: tuple[str, ...], fault: str) -> None:
    table = make_table({"cat": [0, 1], "dog": [1, 0], "size": [0.5, 1.0]})
    with pytest.raises(DatasetError, match=fault):
        read({"train": table}, label_columns=names)


def test_a_field_of_a_struct_can_be_the_label_and_the_group(tmp_path: Path) -> None:
    info = [{"genre": {"top": "rock"}, "artist": "x"}, {"genre": {"top": "jazz"}, "artist": "y"}]
    table = make_table(make_rows(2, info=info))
    table.to_parquet(str(tmp_path / "train-00000-of-00001.parquet"))
    settings = {"label_column": "info.genre.top", "group_column": "info.artist"}
    source = load(tmp_path, **settings)
    assert parse_labels(source, DataConfig(**settings)).names == ("jazz", "rock")
    assert source.splits["train"]["info.artist"][:] == ["x", "y"]
    with pytest.raises(DatasetError, match=r"Did you mean info\.genre\.top"):
        read({"train": table}, label_column="info.genre.to")


# Names as the data sets' own documentation gives them, and the emotion that it says they have.
OFFICIAL = {
    "EmoDB": (
        r"(?:^|/)\d\d[ab]\d\d([A-Z])",
        {"wav/03a01Fa.wav": "F", "wav/16b10Wb.wav": "W", "wav/08a07Na.wav": "N"},
    ),
    "RAVDESS": (
        r"(?:^|/)\d\d-\d\d-(\d\d)(?:-\d\d){4}",
        {
            "Actor_12/03-01-06-01-02-01-12.wav": "06",
            "Actor_01/03-02-01-01-01-01-01.wav": "01",
        },
    ),
    "CREMA-D": (
        r"(?:^|/)\d{4}_[A-Z]{3}_([A-Z]{3})_",
        {"AudioWAV/1001_DFA_ANG_XX.wav": "ANG", "AudioWAV/1091_IEO_SAD_HI.wav": "SAD"},
    ),
    "SAVEE": (
        r"(?:^|/)[A-Z]{2}[_/]([a-z]{1,2})\d\d",
        {"DC_a01.wav": "a", "JK_sa15.wav": "sa", "KL_su03.wav": "su"},
    ),
}


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_label_is_found_in_official_file_names(name: str, tmp_path: Path) -> None:
    pattern, files = OFFICIAL[name]
    write_clips(tmp_path, list(files))
    source = load(tmp_path, label_pattern=pattern)
    table, cfg = source.splits["train"], DataConfig(label_pattern=pattern)
    labels = parse_labels(source, cfg)
    found = [labels.names[row] for row in labels.ids["train"]]
    # `file` is below the folders that all clips share.
    assert dict(zip((Path(f).name for f in table["file"]), found, strict=True)) == {
        Path(file).name: label for file, label in files.items()
    }


def test_clips_without_class_folders_keep_their_split_folders(tmp_path: Path) -> None:
    write_clips(tmp_path, ["train/a_x.wav", "train/b_y.wav", "test/c_x.wav"])
    splits = load(tmp_path, label_pattern="_([a-z])").splits
    assert {name: len(table) for name, table in splits.items()} == {"train": 2, "test": 1}


def test_a_pattern_can_be_searched_in_a_column() -> None:
    table = make_table(make_rows(3, note=["kind: a.", "kind: b.", "kind: a."]))
    labels = read({"train": table}, label_pattern="kind: ([a-z])", label_column="note")
    assert labels.names == ("a", "b") and labels.ids["train"].tolist() == [0, 1, 0]


def test_clips_that_do_not_match_the_pattern_are_counted_and_all_of_them_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = make_table(make_rows(3, note=["kind: a.", "kind: b.", "?"]))
    labels = read({"train": table}, label_pattern="kind: ([a-z])", label_column="note")
    assert labels.ids["train"].tolist() == [0, 1, -1]
    assert "--label-pattern finds no label in 1 of 3 clips" in caplog.text
    with pytest.raises(DatasetError, match="finds no label in any of 3 clips"):
        read({"train": table}, label_pattern="sort: ([a-z])", label_column="note")
    for pattern, fault in (("kind", "has no"), ("(", "is not a valid regular expression")):
        with pytest.raises(DatasetError, match=f"--label-pattern .* {fault}"):
            read({"train": table}, label_pattern=pattern, label_column="note")


@pytest.mark.parametrize(
    "settings",
    [
        {"label_columns": ("a", "b"), "label_column": "c"},
        {"label_columns": ("a", "b"), "label_pattern": "(x)"},
        {"label_columns": ("a", "b"), "label_separator": ";"},
        {"label_columns": ("a", "b"), "streaming": True},
    ],
)
def test_settings_that_exclude_each_other_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="--label-columns"):
        DataConfig(**settings)
