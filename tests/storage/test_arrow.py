"""Tests of audio_cls.storage.arrow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset, concatenate_datasets

from audio_cls.storage import arrow
from audio_cls.storage.arrow import MappedRows, copy_columns

BATCHES = 40
READING = """
import sys
from datasets import Dataset
from audio_cls.storage.arrow import copy_columns
from audio_cls.storage.process_memory import release_pages

def read_mapped():
    status = open("/proc/self/status").read()
    return int(status.split("RssFile:")[1].split()[0]) << 10

table = Dataset.from_file(sys.argv[1])
release_pages(table.data.column("wave"))
before, most = read_mapped(), 0
note = copy_columns.__globals__["ColumnPages"].note

def watch(self, num_bytes):
    global most
    most = max(most, read_mapped() - before)
    note(self, num_bytes)

copy_columns.__globals__["ColumnPages"].note = watch
names = copy_columns(table, ["name"])["name"].to_pylist()
assert len(names) == 4_000 and names[-1] == "3999", names[-1]
copied = max(most, read_mapped() - before)
assert table["name"][:] == names
print(copied, read_mapped() - before)
"""


def write_table(path: Path, num_batches: int = BATCHES, samples: int = 100) -> Dataset:
    """Write and map a table of five rows a batch: wave, text, name and sound (bytes and path)."""
    rng = np.random.default_rng(0)
    wave, sound = pa.list_(pa.float32()), pa.struct({"bytes": pa.binary(), "path": pa.string()})
    schema = pa.schema(
        {"wave": wave, "text": pa.binary(), "name": pa.string(), "sound": sound, "size": pa.int64()}
    )
    with pa.ipc.new_stream(str(path), schema) as writer:
        for batch in range(num_batches):
            waves = [rng.random(rng.integers(0, samples)).astype(np.float32) for _ in range(5)]
            names = [str(5 * batch + row) for row in range(5)]
            rows = {
                "wave": waves,
                "text": [own.tobytes() for own in waves],
                "name": names,
                "sound": [{"bytes": b"x", "path": name} if name != "7" else None for name in names],
                "size": [len(own) for own in waves],
            }
            writer.write_batch(pa.record_batch(rows, schema=schema))
    return Dataset.from_file(str(path))


def test_columns_are_what_a_plain_read_gives(tmp_path: Path) -> None:
    table = write_table(tmp_path / "t.arrow")
    copied = copy_columns(table, ["size", "name"])
    assert copied.column_names == ["size", "name"]
    assert copied.to_pydict() == {name: table[name][:] for name in ("size", "name")}
    paths = copy_columns(table, ["sound"], "path")["sound"].to_pylist()
    assert paths == [None if row == 7 else str(row) for row in range(5 * BATCHES)]


def test_chosen_rows_come_in_their_order(tmp_path: Path) -> None:
    table = write_table(tmp_path / "t.arrow").select([9, 3, 100])
    assert copy_columns(table, ["name"])["name"].to_pylist() == ["9", "3", "100"]
    assert copy_columns(table, ["sound"], "path")["sound"].to_pylist() == ["9", "3", "100"]
    waves = MappedRows(table, "wave")
    assert [waves[row].tolist() for row in range(3)] == table["wave"][:]


def test_a_dot_in_a_name_is_part_of_it() -> None:
    table = Dataset.from_dict({"meta.genre": ["a", "b"]})
    assert copy_columns(table, ["meta.genre"])["meta.genre"].to_pylist() == ["a", "b"]


def test_an_empty_table_has_its_columns() -> None:
    table = Dataset.from_dict({"name": ["a"]}).select([]).flatten_indices()
    assert copy_columns(table, ["name"]).column_names == ["name"]
    assert len(copy_columns(table, ["name"])) == len(MappedRows(table, "name")) == 0


def test_rows_are_views_of_lists_and_bytes(tmp_path: Path) -> None:
    whole = write_table(tmp_path / "t.arrow")
    table = concatenate_datasets([whole.select(range(12, 17)), whole, whole.select(range(3, 9))])
    waves, texts = MappedRows(table, "wave"), MappedRows(table, "text")
    assert len(waves) == len(texts) == len(table)
    for row, wave in enumerate(table["wave"][:]):
        np.testing.assert_array_equal(waves[row], np.array(wave, np.float32))
        assert texts[row].tobytes() == waves[row].tobytes()
    assert not waves[0].flags.writeable and waves[0].base is not None


def test_bytes_of_nothing_are_nothing() -> None:
    texts = MappedRows(Dataset.from_dict({"text": [b"", b""]}), "text")
    assert [texts[row].size for row in range(2)] == [0, 0]


@pytest.mark.skipif(sys.platform != "linux", reason="pages are given back on Linux")
def test_a_small_column_does_not_bring_the_file_into_memory(tmp_path: Path) -> None:
    write_table(tmp_path / "t.arrow", num_batches=800, samples=10_000)  # 160 MB
    command = [sys.executable, "-c", READING, str(tmp_path / "t.arrow")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    copied, plain = map(int, done.stdout.split())
    assert copied < plain / 2, (copied, plain)


def test_pages_are_released_while_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[int] = []
    monkeypatch.setattr(arrow.ColumnPages, "note", lambda _, size: noted.append(size))
    copy_columns(write_table(tmp_path / "t.arrow"), ["name"])
    assert sum(noted) == BATCHES * arrow.BYTES_AROUND and len(noted) == 3
