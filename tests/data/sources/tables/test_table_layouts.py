"""Tables as people have them: separators, encodings, paths of Windows, ids, splits, copies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hub_datasets import load, write_clips

from audio_cls.audio.files import list_files
from audio_cls.data.sources.tables.table_files import choose_separator, decode_text
from audio_cls.errors import DatasetError
from audio_cls.run_warnings import collect_warnings

NAMES = ["part0/a1.wav", "part1/b2.wav", "part0/c3.wav", "part1/d4.wav"]
LABELS = ["köter", "öl", "köter", "öl"]


def write_lines(file: Path, header: str, lines: list[str], encoding: str = "utf-8") -> None:
    """Write a text file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes("".join(f"{line}\r\n" for line in [header, *lines] if line).encode(encoding))


def read_table(place: Path, split: str = "train", **settings: object) -> dict[str, str]:
    """Return file name -> label of a split; the file must be there."""
    table = load(place, **settings).splits[split]
    paths = [Path(cell["path"]) for cell in table["audio"][:]]
    assert all(path.is_file() for path in paths)
    return dict(zip([path.name for path in paths], table["label"][:], strict=True))


RIGHT = dict(zip(["a1.wav", "b2.wav", "c3.wav", "d4.wav"], LABELS, strict=True))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt"])
def test_any_separator_is_found(tmp_path: Path, separator: str, suffix: str) -> None:
    """With ';' the folders part0 and part1 became the classes."""
    write_clips(tmp_path, NAMES)
    lines = [separator.join(pair) for pair in zip(NAMES, LABELS, strict=True)]
    write_lines(tmp_path / f"metadata{suffix}", f"file_name{separator}label", lines)
    assert read_table(tmp_path) == RIGHT


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"]
)
def test_any_usual_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    write_clips(tmp_path, NAMES)
    lines = [",".join(pair) for pair in zip(NAMES, LABELS, strict=True)]
    write_lines(tmp_path / "metadata.csv", "file_name,label", lines, encoding)
    assert read_table(tmp_path) == RIGHT


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"path,label\na.wav,\x81\x8d\n")  # undefined in Windows-1252
    with pytest.raises(DatasetError, match=r"a\.csv' cannot be read.*UTF-8"):
        load(tmp_path / "a.csv")
    assert decode_text("é".encode("latin-1"), tmp_path) == "é"


@pytest.mark.parametrize("prefix", ["", ".\\", "C:\\Users\\me\\clips\\", "\\\\server\\share\\"])
def test_paths_of_windows_are_found(tmp_path: Path, prefix: str) -> None:
    write_clips(tmp_path, NAMES)
    paths = [prefix + name.replace("/", "\\") for name in NAMES]
    lines = [",".join(pair) for pair in zip(paths, LABELS, strict=True)]
    write_lines(tmp_path / "metadata.csv", "file_name,label", lines)
    assert read_table(tmp_path) == RIGHT


def test_a_path_of_another_computer_keeps_its_last_folder(tmp_path: Path) -> None:
    """`/x/vessel/1.wav` is not `background/1.wav`; --audio-root says where the clips are."""
    write_clips(tmp_path, ["background/1.wav", "background/2.wav"])
    lines = ["/x/vessel/1.wav,cargo", "/x/vessel/2.wav,ferry"]
    write_lines(tmp_path / "metadata.csv", "path,label", lines)
    with pytest.raises(DatasetError, match=r"None of the 2 clips.*--audio-root"):
        load(tmp_path)
    here = read_table(tmp_path, audio_root=str(tmp_path / "background"))
    assert here == {"1.wav": "cargo", "2.wav": "ferry"}
    (tmp_path / "background").rename(tmp_path / "vessel")
    assert read_table(tmp_path) == {"1.wav": "cargo", "2.wav": "ferry"}


def test_a_missing_file_is_not_replaced_by_another_of_its_name(tmp_path: Path) -> None:
    write_clips(tmp_path, ["background/1.wav", "background/2.wav", "vessel/1.wav"])
    lines = ["background/1.wav,quiet", "vessel/1.wav,cargo", "vessel/2.wav,cargo"]
    write_lines(tmp_path / "metadata.csv", "path,label", lines)
    paths = [cell["path"] for cell in load(tmp_path).splits["train"]["audio"][:]]
    assert paths[2] == str(tmp_path / "vessel/2.wav") and not Path(paths[2]).exists()


def test_a_clip_missing_in_train_is_not_taken_from_test(tmp_path: Path) -> None:
    """Names without a folder are looked up elsewhere only when none is in the table's folder."""
    write_clips(tmp_path, ["train/a.wav", "test/a.wav", "test/b.wav"])
    write_lines(tmp_path / "train/metadata.csv", "path,label", ["a.wav,x", "b.wav,y"])
    write_lines(tmp_path / "test/metadata.csv", "path,label", ["a.wav,x", "b.wav,y"])
    source = load(tmp_path)
    paths = [cell["path"] for cell in source.splits["train"]["audio"][:]]
    assert paths == [str(tmp_path / "train/a.wav"), str(tmp_path / "train/b.wav")]
    assert source.splits["test"]["file"][:] == ["test/a.wav", "test/b.wav"]


@pytest.mark.parametrize("header", ["", "path,label"])
def test_a_table_without_a_header_is_read(tmp_path: Path, header: str) -> None:
    """The first clip was lost as the header, and with it the column of paths."""
    write_clips(tmp_path, NAMES)
    lines = [",".join(pair) for pair in zip(NAMES, LABELS, strict=True)]
    write_lines(tmp_path / "metadata.csv", header, lines)
    table = load(tmp_path).splits["train"]
    assert table["label" if header else "column_2"][:] == LABELS


@pytest.mark.parametrize("header", ["fname,label", ""])
def test_ids_without_suffix_are_clips(tmp_path: Path, header: str) -> None:
    """FSD50K lists 64760 for dev_audio/64760.wav."""
    write_clips(tmp_path / "dev_audio", ["64760.wav", "16399.wav", "21914.wav"])
    lines = ["64760,x", "16399,y", "21914,x"]
    write_lines(tmp_path / "ground_truth" / "list.csv", header, lines)
    table = load(tmp_path).splits["train"]
    assert [Path(cell["path"]).name for cell in table["audio"][:]] == [
        "64760.wav",
        "16399.wav",
        "21914.wav",
    ]
    assert table["label" if header else "column_2"][:] == ["x", "y", "x"]


def test_a_split_column_makes_the_splits(tmp_path: Path) -> None:
    write_clips(tmp_path, NAMES)
    lines = [
        f"{n},{k},{s}" for n, k, s in zip(NAMES, "xyxy", ["Train", "val", "test", ""], strict=True)
    ]
    write_lines(tmp_path / "metadata.csv", "path,label,Split", lines)
    splits = load(tmp_path).splits
    assert {name: table["file"][:] for name, table in splits.items()} == {
        "train": NAMES[:1],
        "validation": NAMES[1:2],
        "test": NAMES[2:3],
    }
    assert "Split" not in splits["train"].column_names
    assert len(load(tmp_path, label_column="Split").splits["train"]) == 4


def test_a_column_of_other_words_is_no_split(tmp_path: Path) -> None:
    write_clips(tmp_path, NAMES)
    lines = [f"{name},x,{kind}" for name, kind in zip(NAMES, "abab", strict=True)]
    write_lines(tmp_path / "metadata.csv", "path,label,set", lines)
    assert load(tmp_path).splits["train"]["set"][:] == list("abab")


def test_paths_below_train_and_test_are_splits(tmp_path: Path) -> None:
    """All of them were one pool that was cut anew."""
    names = ["audio/train/1.wav", "audio/train/2.wav", "audio/test/3.wav"]
    write_clips(tmp_path, names)
    write_lines(tmp_path / "metadata.csv", "path,label", [f"{name},x" for name in names])
    splits = load(tmp_path).splits
    assert {name: table["file"][:] for name, table in splits.items()} == {
        "train": names[:2],
        "test": names[2:],
    }


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("split", ["train", "train", "test", "holdout"]),
        ("set", ["Train", "Train", "Test", "unlabeled"]),
        ("usage", ["train", "train", "test", "private"]),
        ("Data Split", ["TRAIN", "train", "eval", "extra"]),
    ],
)
def test_rows_of_another_value_of_a_split_column_are_left_out_and_counted(
    tmp_path: Path, column: str, values: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """One unknown value made the program ignore the column: test clips were trained on."""
    write_clips(tmp_path, NAMES)
    lines = [f"{name},x,{value}" for name, value in zip(NAMES, values, strict=True)]
    write_lines(tmp_path / "metadata.csv", f"path,label,{column}", lines)
    texts = collect_warnings()
    splits = load(tmp_path).splits
    assert {name: table["file"][:] for name, table in splits.items()} == {
        "train": NAMES[:2],
        "test": NAMES[2:3],
    }
    assert f"1 clip with 1 value in the column '{column}' that is no split's name" in texts[0]
    assert f"({values[3]}: 1)" in caplog.text


def test_paths_outside_of_train_and_test_are_left_out_and_counted(tmp_path: Path) -> None:
    names = ["train/1.wav", "train/2.wav", "test/3.wav", "extra/4.wav", "5.wav"]
    write_clips(tmp_path, names)
    write_lines(tmp_path / "metadata.csv", "path,label", [f"{name},x" for name in names])
    texts = collect_warnings()
    splits = load(tmp_path).splits
    assert {name: table["file"][:] for name, table in splits.items()} == {
        "train": names[:2],
        "test": names[2:3],
    }
    assert "1 clip with 1 value among the folders of the listed paths that is no" in texts[0]
    assert "no split's name" in texts[0]
    assert "Left out: 2 clips without a split in the table." in texts[1]


def test_a_table_named_like_a_folder_lists_that_folder(tmp_path: Path) -> None:
    """Kaggle's train.csv and test.csv list names that are in train/ and in test/ alike."""
    for split in ("train", "test"):
        write_clips(tmp_path / split, ["1.wav", "2.wav"])
        write_lines(tmp_path / f"{split}.csv", "fname,label", ["1.wav,x", "2.wav,y"])
    splits = load(tmp_path).splits
    assert splits["test"][0]["audio"]["path"] == str(tmp_path / "test/1.wav")
    assert splits["train"]["file"][:] == ["train/1.wav", "train/2.wav"]


def test_the_folder_beside_a_table_is_found(tmp_path: Path) -> None:
    """ESC-50: --dataset meta/esc50.csv, whose clips are in audio/."""
    names = ["1-100032-A-0.wav", "1-100038-A-14.wav"]
    write_clips(tmp_path / "audio", names)
    (tmp_path / "tests").mkdir()
    write_lines(tmp_path / "meta/esc50.csv", "filename,label", [f"{name},x" for name in names])
    table = load(tmp_path / "meta/esc50.csv").splits["train"]
    assert [cell["path"] for cell in table["audio"][:]] == [
        str(tmp_path / "audio" / name) for name in names
    ]
    shutil.copytree(tmp_path / "audio", tmp_path / "audio_16k")
    with pytest.raises(DatasetError, match="--audio-root"):  # which of the two is meant?
        load(tmp_path / "meta/esc50.csv")


def test_paths_may_begin_with_the_folder_of_the_data_set(tmp_path: Path) -> None:
    write_clips(tmp_path / "set", NAMES)
    lines = [f"set/{name},{label}" for name, label in zip(NAMES, LABELS, strict=True)]
    write_lines(tmp_path / "set" / "metadata.csv", "path,label", lines)
    assert read_table(tmp_path / "set") == RIGHT


def test_a_second_table_of_the_same_clips_is_refused(tmp_path: Path) -> None:
    """Each clip was there twice, in training and in the test split."""
    write_clips(tmp_path, NAMES)
    lines = [",".join(pair) for pair in zip(NAMES, LABELS, strict=True)]
    for name in ("metadata.csv", "metadata_v2.csv"):
        write_lines(tmp_path / name, "path,label", lines)
    with pytest.raises(DatasetError, match=r"metadata\.csv' and .*both list 4 clips.*--dataset"):
        load(tmp_path)
    assert read_table(tmp_path / "metadata.csv") == RIGHT


@pytest.mark.parametrize(
    "names", [("train.csv", "test.csv"), ("fold1_train.csv", "fold2_train.csv")]
)
def test_a_clip_in_two_splits_or_folds_is_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    write_clips(tmp_path, NAMES)
    write_lines(tmp_path / names[0], "path,label", [f"{name},x" for name in NAMES[:3]])
    write_lines(tmp_path / names[1], "path,label", [f"{name},x" for name in NAMES[2:]])
    with pytest.raises(DatasetError, match=r"both list 1 clip, such as 'c3\.wav'"):
        load(tmp_path)


def test_a_clip_in_two_splits_is_refused_however_its_path_is_written(tmp_path: Path) -> None:
    write_clips(tmp_path, NAMES)
    write_lines(tmp_path / "train.csv", "path,label", [f"{name},x" for name in NAMES[:2]])
    again = ["part0/../part0/a1.wav,x", f"{NAMES[2]},x"]
    write_lines(tmp_path / "test.csv", "path,label", again)
    with pytest.raises(DatasetError, match=r"both list 1 clip, such as 'a1\.wav'"):
        load(tmp_path)


def test_a_clip_of_two_rows_is_refused(tmp_path: Path) -> None:
    write_clips(tmp_path, NAMES)
    lines = [f"{name},x" for name in [*NAMES, NAMES[0]]]
    write_lines(tmp_path / "metadata.csv", "path,label", lines)
    with pytest.raises(DatasetError, match=r"lists 1 clip more than once.*--label-separator"):
        load(tmp_path)


def test_a_table_about_the_clips_that_names_none_stops(tmp_path: Path) -> None:
    write_clips(tmp_path, ["cat/1.wav", "dog/2.wav"])
    write_lines(tmp_path / "notes.csv", "animal,age", ["cat,3", "dog,4"])
    with pytest.raises(DatasetError, match=r"notes\.csv' is next to the 2 clips.*animal, age"):
        load(tmp_path)


def test_a_spreadsheet_beside_class_folders_stops(tmp_path: Path) -> None:
    write_clips(tmp_path, ["cat/1.wav", "dog/2.wav"])
    (tmp_path / "labels.xlsx").write_bytes(b"PK")
    with pytest.raises(DatasetError, match=r"labels\.xlsx' is a table in a format.*CSV"):
        load(tmp_path)
    assert load(tmp_path, label_level=1).splits["train"]["label"][:] == ["cat", "dog"]


def test_a_small_table_of_something_else_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_clips(tmp_path, [f"{name}/{n}.wav" for name in ("cat", "dog") for n in range(5)])
    write_lines(tmp_path / "classes.csv", "name,latin", ["cat,felis", "dog,canis"])
    assert len(load(tmp_path).splits["train"]) == 10
    assert "classes.csv" in caplog.text


def test_empty_columns_and_rows_of_a_spreadsheet_are_left_out(tmp_path: Path) -> None:
    write_clips(tmp_path, NAMES)
    lines = [f"{name}, {label},,," for name, label in zip(NAMES, LABELS, strict=True)]
    write_lines(tmp_path / "metadata.csv", "path, label,,,", [*lines, ",,,,"])
    table = load(tmp_path).splits["train"]
    assert table.column_names == ["audio", "file", "path", "label"] and len(table) == 4


def test_a_column_named_twice_is_refused(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.csv", "path,label,label", ["a.wav,x,y"])
    with pytest.raises(DatasetError, match="names the column label twice"):
        load(tmp_path / "a.csv")


def test_a_quote_in_a_sentence_joins_no_lines(tmp_path: Path) -> None:
    """Common Voice's TSV has sentences that begin with a quote and do not end with one."""
    write_clips(tmp_path, NAMES)
    sentences = ['"Hello', "a", "b", 'c"']
    lines = ["\t".join(row) for row in zip(NAMES, sentences, LABELS, strict=True)]
    write_lines(tmp_path / "set.tsv", "path\tsentence\tlabel", lines)
    assert read_table(tmp_path) == RIGHT


def test_a_key_that_the_first_row_lacks_is_read(tmp_path: Path) -> None:
    write_clips(tmp_path, ["a.wav", "b.wav"])
    rows = ['{"path": "a.wav"}', '{"path": "b.wav", "label": "a\u2028b"}']
    (tmp_path / "set.jsonl").write_text("\n".join(rows), "utf-8")
    assert load(tmp_path).splits["train"]["label"][:] == [None, "a\u2028b"]


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    write_clips(tmp_path / "elsewhere", ["1.wav", "2.wav"])
    write_clips(tmp_path / "set", ["dog/3.wav"])
    (tmp_path / "set" / "cat").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "again").symlink_to(tmp_path / "set")  # its files are listed already
    (tmp_path / "set" / "puppy").symlink_to(tmp_path / "set" / "dog")
    assert load(tmp_path / "set").splits["train"]["file"][:] == [
        "cat/1.wav",
        "cat/2.wav",
        "dog/3.wav",
    ]


def test_links_to_nothing_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_clips(tmp_path, ["cat/1.wav", "dog/2.wav"])
    (tmp_path / "cat" / "gone.wav").symlink_to(tmp_path / "nothing.wav")
    assert len(list_files(tmp_path)) == 2
    assert "gone.wav" in caplog.text and "1 clip of the data set is a link to a file" in caplog.text


@pytest.mark.parametrize(
    ("text", "suffix", "separator"),
    [
        ("path;kind\na.wav;1,5\n", ".csv", ";"),
        ("path,kind\na.wav,x;y\n", ".csv", ","),
        ("path,kind\na.wav,x\tz\n", ".tsv", ","),
        ("a.wav x\nb.wav y\n", ".txt", " "),
        ("path\na.wav\n", ".csv", ","),
    ],
)
def test_the_separator_is_that_of_the_header(text: str, suffix: str, separator: str) -> None:
    assert choose_separator(text, suffix) == separator
