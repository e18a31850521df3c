"""CSV, TSV, JSON and JSONL files that list clips: paths are found, cells keep their spelling."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from datasets import Dataset
from hub_datasets import load, write_clips

from audio_cls.errors import DatasetError

NAMES = ["a.wav", "b.wav", "c.wav", "d.wav"]
ROWS = [{"path": name, "kind": kind} for name, kind in zip(NAMES, "xyxy", strict=True)]


def write_rows(file: Path, rows: list[dict[str, str]]) -> None:
    """Write a table in the format that its name says."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif file.suffix == ".json":
        file.write_text(json.dumps(rows, indent=1))
    else:
        separator = "\t" if file.suffix == ".tsv" else ","
        lines = [list(rows[0]), *(list(row.values()) for row in rows)]
        file.write_text("".join(separator.join(line) + "\n" for line in lines), "utf-8")


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl"])
@pytest.mark.parametrize("as_folder", [True, False])
def test_paths_are_relative_to_the_table(tmp_path: Path, suffix: str, *, as_folder: bool) -> None:
    write_clips(tmp_path, NAMES)
    write_rows(tmp_path / f"clips.{suffix}", ROWS)
    source = load(tmp_path if as_folder else tmp_path / f"clips.{suffix}")
    table = source.splits["train"]
    assert table["kind"][:] == list("xyxy") and source.audio_column == "audio"
    assert [cell["path"] for cell in table["audio"][:]] == [str(tmp_path / n) for n in NAMES]
    assert table["file"][:] == NAMES


def test_paths_are_relative_to_the_audio_root(tmp_path: Path) -> None:
    write_clips(tmp_path / "sound" / "deep", NAMES)
    write_rows(tmp_path / "meta" / "clips.csv", ROWS)
    source = load(tmp_path / "meta" / "clips.csv", audio_root=str(tmp_path / "sound" / "deep"))
    assert source.splits["train"][0]["audio"]["path"] == str(tmp_path / "sound/deep/a.wav")


def test_clips_elsewhere_in_the_folder_are_found_by_name(tmp_path: Path) -> None:
    write_clips(tmp_path / "audio", [f"fold{n % 2}/{name}" for n, name in enumerate(NAMES)])
    write_rows(tmp_path / "meta" / "set.csv", ROWS)
    assert load(tmp_path).splits["train"][1]["audio"]["path"] == str(tmp_path / "audio/fold1/b.wav")


def test_a_name_that_two_clips_share_is_not_guessed(tmp_path: Path) -> None:
    write_clips(tmp_path / "audio", ["1/a.wav", "2/a.wav", "1/b.wav"])
    write_rows(tmp_path / "set.csv", ROWS)
    paths = [cell["path"] for cell in load(tmp_path).splits["train"]["audio"][:]]
    assert paths == [
        str(tmp_path / "a.wav"),
        str(tmp_path / "audio/1/b.wav"),
        str(tmp_path / "c.wav"),
        str(tmp_path / "d.wav"),
    ]


def test_a_table_without_one_clip_says_where_it_looked(tmp_path: Path) -> None:
    write_rows(tmp_path / "clips.csv", ROWS)
    with pytest.raises(
        DatasetError, match=rf"none of the 4 clips.*below '{tmp_path}'.*--audio-root"
    ):
        load(tmp_path / "clips.csv")
    (tmp_path / "wavs").mkdir()
    with pytest.raises(DatasetError, match=r"None of the 4 clips.*below '.*wavs'"):
        load(tmp_path / "clips.csv", audio_root=str(tmp_path / "wavs"))
    with pytest.raises(DatasetError, match=r"--audio-root: there is no folder.*mean wavs\?"):
        load(tmp_path / "clips.csv", audio_root=str(tmp_path / "wav"))


def test_cells_keep_their_spelling(tmp_path: Path) -> None:
    spelled = ["NA", "True", "007", "null", "1.0", "no", "🎸", ' quoted, "so" ']
    names = [f"{n}.wav" for n in range(len(spelled))]
    write_clips(tmp_path, names)
    cells = ['"' + text.replace('"', '""') + '"' for text in spelled]
    rows = [{"path": name, "kind": cell} for name, cell in zip(names, cells, strict=True)]
    write_rows(tmp_path / "clips.csv", rows)
    assert load(tmp_path).splits["train"]["kind"][:] == spelled


def test_tables_named_like_splits_are_splits_and_others_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_clips(tmp_path / "clips", NAMES)
    for name, rows in {"train": ROWS[:2], "dev": ROWS[2:3], "test": ROWS[3:]}.items():
        write_rows(tmp_path / f"{name}.tsv", rows)
    write_rows(tmp_path / "validated.tsv", ROWS)
    source = load(tmp_path)
    assert {name: len(table) for name, table in source.splits.items()} == {
        "train": 2,
        "validation": 1,
        "test": 1,
    }
    assert "Left out: 1 table" in caplog.text


def test_metadata_in_split_folders_is_read_as_audiofolder_has_it(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_clips(tmp_path / split, NAMES)
        write_rows(
            tmp_path / split / "metadata.csv",
            [{"file_name": row["path"], "kind": row["kind"]} for row in ROWS],
        )
    source = load(tmp_path)
    assert set(source.splits) == {"train", "test"}
    assert source.splits["test"][0]["audio"]["path"] == str(tmp_path / "test" / "a.wav")


def test_metadata_in_parquet_lists_paths_as_well(tmp_path: Path) -> None:
    write_clips(tmp_path, NAMES)
    Dataset.from_list(ROWS).to_parquet(tmp_path / "metadata.parquet")
    table = load(tmp_path).splits["train"]
    assert table["kind"][:] == list("xyxy") and table[0]["audio"]["path"] == str(tmp_path / "a.wav")


def test_the_path_column_can_be_named(tmp_path: Path) -> None:
    write_clips(tmp_path, NAMES)
    rows = [{"id": "raw.wav", "clip": row["path"], "kind": row["kind"]} for row in ROWS]
    write_rows(tmp_path / "clips.csv", rows)
    source = load(tmp_path, audio_column="clip")
    assert source.audio_column == "clip"
    assert source.splits["train"][0]["clip"]["path"] == str(tmp_path / "a.wav")
    with pytest.raises(DatasetError, match=r"no column 'clips' of paths.*Did you mean clip"):
        load(tmp_path, audio_column="clips")


def test_a_clip_that_changes_changes_the_key(tmp_path: Path) -> None:
    write_clips(tmp_path / "sound", NAMES)
    write_rows(tmp_path / "meta" / "clips.csv", ROWS)

    def load_key() -> str:
        where = str(tmp_path / "sound")
        return load(tmp_path / "meta" / "clips.csv", audio_root=where).content_key

    first = load_key()
    assert load_key() == first
    (tmp_path / "sound" / "a.wav").write_bytes(b"another")
    assert load_key() != first


def test_a_table_of_clips_that_are_not_there_stops_unless_folders_are_asked_for(
    tmp_path: Path,
) -> None:
    """The folders were taken as the classes before, although the table may have others."""
    write_clips(tmp_path, ["cat/1.wav", "dog/2.wav"])
    write_rows(tmp_path / "features.csv", [{"filename": "x.0.wav", "tempo": "1"}])
    with pytest.raises(DatasetError, match=r"None of the 1 clip .*features\.csv.*--label-level -1"):
        load(tmp_path)
    assert load(tmp_path, label_level=-1).splits["train"]["label"][:] == ["cat", "dog"]


def test_a_table_of_other_clips_is_named_beside_one_that_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """GTZAN's archive has features of 30 s clips and of pieces that are not in it."""
    write_clips(tmp_path, NAMES)
    write_rows(tmp_path / "features_30_sec.csv", ROWS)
    write_rows(tmp_path / "features_3_sec.csv", [{"path": f"a.{n}.wav"} for n in range(3)])
    assert load(tmp_path).splits["train"]["kind"][:] == list("xyxy")
    assert "features_3_sec.csv" in caplog.text and "Not used: 1 table" in caplog.text


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("c.csv", "path,kind\na.wav,x\nb.wav\n", "row 3 has 1 cells, the header has 2"),
        ("c.jsonl", '{"path": "a.wav"}\n{"path"\n', "line 2 is not JSON"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, name: str, text: str, fault: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=fault):
        load(tmp_path / name)


def test_a_table_without_paths_lists_its_columns(tmp_path: Path) -> None:
    write_rows(tmp_path / "c.csv", [{"age": "1", "kind": "x"}])
    for place in (tmp_path, tmp_path / "c.csv"):
        with pytest.raises(DatasetError, match="the columns are age, kind"):
            load(place)
