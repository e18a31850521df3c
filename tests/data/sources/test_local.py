"""Folders and files of this disk: their content says how they are read, and is the key."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from datasets import DatasetDict
from hub_datasets import cycle, load, make_card, make_parquet, make_sounds, make_table, write_clips

from audio_cls.config import DataConfig
from audio_cls.data.sources.dataset_tables import content_key
from audio_cls.data.sources.local_folder import read_folder
from audio_cls.errors import DatasetError

CLASSES = ["cat/1.wav", "cat/2.wav", "dog/3.wav", "dog/4.wav"]


def write_parquet(folder: Path, labels: list[str], name: str = "train") -> None:
    """Write one parquet file with four clips and a card that names it, as `push_to_hub` does.

    The card matters: with one, the library takes folders of one name and layout for the same.
    """
    card = make_card({"data": [name]})
    (folder / "data").mkdir(parents=True, exist_ok=True)
    content = make_parquet({"audio": make_sounds(4), "label": cycle(labels, 4)})
    (folder / "data" / f"{name}-00000-of-00001.parquet").write_bytes(content)
    (folder / "README.md").write_text(card)


def test_a_clips_folder_is_its_label(tmp_path: Path) -> None:
    write_clips(tmp_path, CLASSES)
    table = load(tmp_path).splits["train"]
    assert table["label"][:] == ["cat", "cat", "dog", "dog"]
    assert table["file"][:] == CLASSES
    assert table[0]["audio"]["path"] == str(tmp_path / "cat/1.wav")


@pytest.mark.parametrize("names", [("train", "validation", "test"), ("Training", "dev", "EVAL")])
def test_folders_named_like_splits_are_splits(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        write_clips(tmp_path / name, CLASSES)
    source = load(tmp_path)
    assert set(source.splits) == {"train", "validation", "test"}
    assert source.splits["test"]["label"][:] == ["cat", "cat", "dog", "dog"]


def test_a_class_may_be_called_like_a_split(tmp_path: Path) -> None:
    write_clips(tmp_path, ["train/1.wav", "train/2.wav", "tram/3.wav"])
    assert load(tmp_path).splits["train"]["label"][:] == ["train", "train", "tram"]


def test_folders_that_all_clips_share_are_no_labels(tmp_path: Path) -> None:
    write_clips(tmp_path / "Data" / "genres_original", CLASSES)
    table = load(tmp_path).splits["train"]
    assert table["label"][:] == ["cat", "cat", "dog", "dog"]
    assert table["file"][0] == "Data/genres_original/cat/1.wav"


def test_splits_below_a_shared_folder_are_splits(tmp_path: Path) -> None:
    for name in ("train", "test"):
        write_clips(tmp_path / "data" / name, CLASSES)
    assert set(load(tmp_path).splits) == {"train", "test"}


@pytest.mark.parametrize("label", ["北京", "rock & roll", "🎸", "no", "null", "1.0", "a'b"])
def test_a_folders_name_stays_as_it_is(tmp_path: Path, label: str) -> None:
    write_clips(tmp_path, [f"{label}/1.wav", "other/2.wav"])
    assert label in load(tmp_path).splits["train"]["label"][:]


def test_hidden_and_other_files_are_passed_over(tmp_path: Path) -> None:
    write_clips(tmp_path, [*CLASSES, ".cache/cat/9.wav", "cat/._1.wav"])
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "settings.json").write_text('{"a": {"b": 1}}')
    assert len(load(tmp_path).splits["train"]) == 4


def test_clips_outside_of_class_folders_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_clips(tmp_path, [*CLASSES, "stray.wav"])
    assert len(load(tmp_path).splits["train"]) == 4
    assert "Left out: 1 clip outside of the class folders." in caplog.text


def test_clips_without_folders_are_refused_with_the_layout(tmp_path: Path) -> None:
    write_clips(tmp_path, ["1.wav", "2.wav"])
    with pytest.raises(DatasetError, match=r"LABEL/clip\.wav"):
        load(tmp_path)


def test_the_folder_of_a_run_is_refused_as_a_model(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes(b"{}")
    (tmp_path / "predictions.csv").write_text("id,label,prediction\n1.wav,a,b\n")
    with pytest.raises(DatasetError, match="is the folder of a model, not of a data set"):
        load(tmp_path)


def test_an_empty_folder_is_refused_with_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"neither tables.*nor clips"):
        load(tmp_path)


def test_two_folders_of_one_name_have_rows_of_their_own(tmp_path: Path) -> None:
    for place, labels in (("a", ["x", "y"]), ("b", ["p", "q"])):
        write_parquet(tmp_path / place / "set", labels)
    first, second = (load(tmp_path / place / "set") for place in "ab")
    assert first.splits["train"]["label"][:2] == ["x", "y"]
    assert second.splits["train"]["label"][:2] == ["p", "q"]
    assert first.content_key != second.content_key


def test_a_changed_file_gives_new_rows(tmp_path: Path) -> None:
    write_parquet(tmp_path, ["x", "y"])
    first = load(tmp_path)
    assert first.splits["train"]["label"][:2] == ["x", "y"]
    write_parquet(tmp_path, ["p", "q"])
    assert load(tmp_path).splits["train"]["label"][:2] == ["p", "q"]
    assert load(tmp_path).revision != first.revision


def test_the_key_sees_a_file_of_equal_size_and_a_new_name(tmp_path: Path) -> None:
    write_clips(tmp_path, CLASSES)
    keys = {load(tmp_path).revision}
    clip = tmp_path / "cat/1.wav"
    os.utime(clip, ns=(1, clip.stat().st_mtime_ns + 1))
    keys.add(load(tmp_path).revision)
    clip.rename(tmp_path / "cat/1b.wav")
    keys.add(load(tmp_path).revision)
    assert len(keys) == 3


def test_files_of_equal_names_sizes_and_times_in_another_folder_have_another_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clips(tmp_path / "here", CLASSES)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    keys = [
        content_key([tmp_path / place / name for name in CLASSES]) for place in ("here", "there")
    ]
    assert keys[0] != keys[1]
    monkeypatch.chdir(tmp_path / "here")
    assert content_key([Path(name) for name in CLASSES]) == keys[0]


def test_configurations_of_a_folder_are_chosen_or_all_read(tmp_path: Path) -> None:
    for config in ("en", "de"):
        (tmp_path / config).mkdir()
        content = make_parquet({"audio": make_sounds(2), "label": ["x", "y"]})
        (tmp_path / config / "train-0.parquet").write_bytes(content)
    (tmp_path / "README.md").write_text(make_card({"en": ["train"], "de": ["train"]}))
    with pytest.raises(DatasetError, match="Choose one with --dataset-config: en, de"):
        load(tmp_path)
    assert len(load(tmp_path, dataset_config="de").splits["train"]) == 2
    table = load(tmp_path, dataset_config="all").splits["train"]
    assert table["config"][:] == ["en", "en", "de", "de"]


def test_a_configuration_of_what_has_none_is_refused(tmp_path: Path) -> None:
    write_clips(tmp_path, CLASSES)
    with pytest.raises(DatasetError, match="none is called 'en'"):
        load(tmp_path, dataset_config="en")


@pytest.mark.parametrize("is_dict", [False, True])
def test_save_to_disk_is_opened(tmp_path: Path, *, is_dict: bool) -> None:
    table = make_table({"audio": make_sounds(4), "label": [0, 1, 0, 1]}, label=["x", "y"])
    saved = DatasetDict({"train": table, "test": table}) if is_dict else table
    saved.save_to_disk(tmp_path / "saved")
    source = load(tmp_path / "saved")
    assert set(source.splits) == ({"train", "test"} if is_dict else {"train"})
    assert source.splits["train"].features["label"].names == ["x", "y"]
    assert source.splits["train"][0]["audio"]["bytes"] == table[0]["audio"]["bytes"]


def test_one_parquet_file_is_a_data_set(tmp_path: Path) -> None:
    write_parquet(tmp_path, ["x", "y"])
    source = load(tmp_path / "data" / "train-00000-of-00001.parquet")
    assert len(source.splits["train"]) == 4 and source.name == "train-00000-of-00001"


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    write_clips(tmp_path, ["1.wav"])
    with pytest.raises(DatasetError, match="is not a table"):
        load(tmp_path / "1.wav")


@pytest.mark.parametrize("content", ["", "path,label\n"])
def test_a_table_without_rows_is_refused_as_such(tmp_path: Path, content: str) -> None:
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(DatasetError, match=r"labels\.csv' has no rows: it needs one row for each"):
        load(tmp_path / "labels.csv")


def test_tables_that_do_not_fit_together_are_one_line(tmp_path: Path) -> None:
    write_parquet(tmp_path, ["x", "y"])
    other = make_parquet({"audio": make_sounds(2), "kind": [1, 2]})
    (tmp_path / "data" / "train-00001-of-00002.parquet").write_bytes(other)
    with pytest.raises(
        DatasetError, match="one has the columns audio, kind, the others audio, label"
    ):
        load(tmp_path)


def test_a_broken_card_is_one_line(tmp_path: Path) -> None:
    write_parquet(tmp_path, ["x", "y"])
    (tmp_path / "README.md").write_text("---\nconfigs: [unclosed\n---\n")
    with pytest.raises(DatasetError, match="cannot be loaded"):
        load(tmp_path)


def test_a_broken_parquet_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(DatasetError, match="cannot be loaded"):
        read_folder(tmp_path, DataConfig())
