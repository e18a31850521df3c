"""Output that an interrupted call continues: refusals, rows that are not done, finished files."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from audio_cls.errors import AudioClsError
from audio_cls.inference.files.formats import CsvFormat, ParquetFormat
from audio_cls.inference.files.output import Target
from audio_cls.inference.files.resumable_output import ResumableOutput
from audio_cls.inference.files.rows import Row, RowLayout

LAYOUT = RowLayout("file", ("rock",))


def make_row(number: int) -> Row:
    return {"file": f"{number}.wav", "label": "rock", "score": 1.0, "scores": {"rock": 1.0}}


def make_output(folder: Path, settings: dict[str, Any] | None = None, **words: Any) -> Any:  # noqa: ANN401
    """Return an output of a CSV and a parquet file."""
    targets = [Target(folder / "a.csv", CsvFormat(LAYOUT))]
    targets.append(Target(folder / "b.parquet", ParquetFormat(LAYOUT)))
    return ResumableOutput(targets, settings or {"top-k": 1}, **words)


def write(output: ResumableOutput, stop: int, until: int = 20) -> None:
    """Write rows up to `stop`, and a row that is not committed; finish at `until`."""
    with output:
        for number in range(output.num_done, stop):
            output.write([make_row(number)])
            output.write([make_row(number)], 1)
            output.commit(number + 1, {"num_files": number + 1})
        if stop == until:
            output.finish()
        else:
            output.write([make_row(99)] * 2000)


def read_all(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_output_in_three_calls_equals_that_of_one(tmp_path: Path) -> None:
    one, three = tmp_path / "one", tmp_path / "three"
    for folder in (one, three):
        folder.mkdir()
    write(make_output(one), 20)
    for stop in (0, 7, 13):
        write(make_output(three), stop)
        assert not (three / "a.csv").exists()
    output = make_output(three)
    assert output.is_started
    write(output, 20)
    assert output.counts == {"num_files": 20}
    assert read_all(one) == read_all(three)
    assert set(read_all(one)) == {"a.csv", "b.parquet"}


def test_a_finished_file_is_refused_unless_it_may_be_replaced(tmp_path: Path) -> None:
    write(make_output(tmp_path), 20)
    with pytest.raises(AudioClsError, match=r"a.csv' is finished.*--overwrite"):
        make_output(tmp_path).check()
    write(make_output(tmp_path, overwrite=True), 5)
    assert (tmp_path / "a.csv").exists()
    output = make_output(tmp_path, overwrite=True)
    with output:
        assert output.num_done == 5  # --overwrite continues a call of the same settings, too


def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    write(make_output(tmp_path), 5)
    with pytest.raises(AudioClsError, match="these differ: top-k, model"):
        make_output(tmp_path, {"top-k": 2, "model": "x"}).check()
    output = make_output(tmp_path, {"top-k": 2}, overwrite=True)
    with output:
        assert output.num_done == 0


@pytest.mark.parametrize("damage", ["shorter", "missing", "state"])
def test_damaged_partial_files_are_refused(tmp_path: Path, damage: str) -> None:
    write(make_output(tmp_path), 5)
    partial = tmp_path / "a.csv.partial"
    if damage == "shorter":
        partial.write_bytes(partial.read_bytes()[:10])
    elif damage == "missing":
        partial.unlink()
    else:
        (tmp_path / "a.csv.partial.json").write_text("{")
    with pytest.raises(AudioClsError, match="--overwrite to start again"):
        make_output(tmp_path).check()
    write(make_output(tmp_path, overwrite=True), 20)
    assert set(read_all(tmp_path)) == {"a.csv", "b.parquet"}


@pytest.mark.parametrize("last", [CsvFormat, ParquetFormat])
def test_an_interruption_while_files_are_finished_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: type
) -> None:
    folder, whole = tmp_path / "x", tmp_path / "whole"
    folder.mkdir()
    whole.mkdir()
    write(make_output(whole), 20)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(last, "finish", fail)
        write(make_output(folder), 20)
    assert (folder / "b.parquet").exists() == (last is CsvFormat)
    write(make_output(folder), 20)
    assert read_all(folder) == read_all(whole)


def test_a_state_without_partial_files_is_removed_when_the_file_is_finished(
    tmp_path: Path,
) -> None:
    output = make_output(tmp_path)
    write(output, 20)
    state = tmp_path / "a.csv.partial.json"
    state.write_text(json.dumps(output._describe_state()))
    with pytest.raises(AudioClsError, match="is finished"):
        make_output(tmp_path).check()
    assert not state.exists()


def test_a_file_that_is_being_written_is_not_written_twice(tmp_path: Path) -> None:
    with (
        make_output(tmp_path),
        pytest.raises(AudioClsError, match=r"a.csv' is being written by process \d+"),
        make_output(tmp_path),
    ):
        pass


def test_a_file_is_not_written_together_with_two_others(tmp_path: Path) -> None:
    other = Target(tmp_path / "other.csv", CsvFormat(LAYOUT))
    shared = Target(tmp_path / "b.parquet", ParquetFormat(LAYOUT))
    with (
        make_output(tmp_path),
        pytest.raises(AudioClsError, match=r"b.parquet' is being written by process \d+"),
        ResumableOutput([other, shared], {}),
    ):
        pass
    assert not list(tmp_path.glob("*.lock"))
    with ResumableOutput([other, shared], {}):  # the lock of the refused call is free
        pass


def test_a_folder_that_is_missing_or_a_folder_as_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioClsError, match="There is no folder"):
        make_output(tmp_path / "gone").check()
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(AudioClsError, match="is a folder"):
        make_output(tmp_path).check()


def test_a_full_disk_is_explained_and_the_rows_before_it_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(make_output(tmp_path), 5)

    def fail(*_: object) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(CsvFormat, "encode", fail)
        with pytest.raises(AudioClsError, match=r"No space left .* it continues after"):
            write(make_output(tmp_path), 20)
    assert json.loads((tmp_path / "a.csv.partial.json").read_text())["num_done"] == 5
    write(make_output(tmp_path), 20)
    assert (tmp_path / "a.csv").read_text().count("\n") == 21
