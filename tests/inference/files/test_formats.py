"""Output formats: columns, names that collide, names that are not UTF-8, width of the table."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from audio_cls.cli.inference import predict_options
from audio_cls.inference.files import formats
from audio_cls.inference.files.formats import FORMATS, make_format
from audio_cls.inference.files.rows import Row, RowLayout
from audio_cls.text_table import count_columns

LABELS = ("file", "score", "class:file", "rock")
SCORES = {"file": 0.25, "score": 0.5, "class:file": 0.125, "rock": 0.125}
ROWS: list[Row] = [
    {"file": 'a,"b".wav', "label": "score", "score": 0.5, "scores": SCORES, "remark": "short"},
    {"file": "\udcff\n.wav", "error": "unreadable: no\nheader"},
]
WINDOW: Row = {"file": "a", "start": 0.0, "end": 1 / 3, "label": "rock", "score": 0.5}


def test_names_of_formats_are_those_of_the_command() -> None:
    assert predict_options.FORMATS == FORMATS


def test_a_class_named_like_a_column_has_a_column_of_its_own() -> None:
    layout = RowLayout("file", LABELS)
    assert layout.columns[5:] == ["class:class:file", "class:score", "class:file", "rock"]
    assert len(set(layout.columns)) == len(layout.columns)
    text = (make_format("csv", layout).header() + make_format("csv", layout).encode(ROWS)).decode()
    good, bad = csv.DictReader(io.StringIO(text, newline=""))
    assert (good["file"], good["score"], good["class:score"]) == ('a,"b".wav', "0.5", "0.5")
    assert (good["class:class:file"], good["class:file"]) == ("0.25", "0.125")
    assert (bad["file"], bad["error"], bad["rock"]) == ("\\udcff\n.wav", ROWS[1]["error"], "")


def test_json_lines_are_read_back_as_they_were() -> None:
    lines = make_format("jsonl", RowLayout("file", LABELS)).encode(ROWS).decode().splitlines()
    assert [json.loads(line) for line in lines] == ROWS


def test_the_largest_scores_come_first_and_are_columns() -> None:
    layout = RowLayout("file", LABELS, top_k=2)
    (line,) = make_format("jsonl", layout).encode(ROWS[:1]).decode().splitlines()
    assert list(json.loads(line)["scores"].items()) == [("score", 0.5), ("file", 0.25)]
    cells = [layout.to_cells(layout.shorten(row)) for row in ROWS]
    assert layout.columns[5:] == ["label_1", "score_1", "label_2", "score_2"]
    assert [row[5:] for row in cells] == [["score", 0.5, "file", 0.25], [None] * 4]
    assert layout.number_columns == {"score", "score_1", "score_2"}


@pytest.mark.parametrize("top_k", [None, 2])
def test_parquet_has_the_columns_of_csv_and_does_not_depend_on_the_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, top_k: int | None
) -> None:
    monkeypatch.setattr(formats, "GROUP_ROWS", 3)
    layout = RowLayout("file", LABELS, top_k=top_k)
    written = []
    for number, size in enumerate((1, 4, 10)):
        one = make_format("parquet", layout)
        rows = ROWS * 5
        partial = tmp_path / f"{number}.partial"
        parts = [one.encode(rows[n : n + size]) for n in range(0, 10, size)]
        partial.write_bytes(one.header() + b"".join(parts))
        one.finish(partial, tmp_path / f"{number}.parquet")
        written.append((tmp_path / f"{number}.parquet").read_bytes())
    assert len(set(written)) == 1
    table = pq.read_table(tmp_path / "0.parquet")
    assert table.column_names == layout.columns
    assert table.num_rows == 10 and pq.ParquetFile(tmp_path / "0.parquet").num_row_groups == 4
    cells: list[Any] = [layout.to_cells(layout.shorten(row)) for row in ROWS]
    cells[1][0] = "\\udcff\n.wav"
    assert [list(row.values()) for row in table.slice(0, 2).to_pylist()] == cells


def test_parquet_without_rows_has_its_columns(tmp_path: Path) -> None:
    one = make_format("parquet", RowLayout("window", LABELS))
    (tmp_path / "p").write_bytes(one.header())
    one.finish(tmp_path / "p", tmp_path / "x.parquet")
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.num_rows == 0 and table.column_names[:3] == ["file", "start", "end"]


@pytest.mark.parametrize("kind", ["file", "window", "event"])
@pytest.mark.parametrize("top_k", [None, 3])
def test_no_line_of_the_table_is_wider_than_80_columns(kind: Any, top_k: int | None) -> None:  # noqa: ANN401
    labels = ("日本語" * 20, "rock", "x\x1b[2J")
    row: Row = {"file": "/a/" + "長い" * 60 + "end.wav", "label": labels[0], "score": 0.98765}
    row |= {"start": 0.0, "end": 86_400.5, "scores": dict.fromkeys(labels, 0.3)}
    one = make_format("table", RowLayout(kind, labels, top_k=top_k))
    rows = [row, {**row, "label": "", "remark": "digital silence; only 0.010 s long"}, ROWS[1]]
    lines = (one.header() + one.encode(rows)).decode().splitlines()
    assert len(lines) == 1 + 3 + 2 + (0 if top_k is None else 2 + 3)
    assert max(map(count_columns, lines)) <= 80
    assert all(line.isprintable() for line in lines)
    assert lines[1].startswith("…") and "end.wav " in lines[1] and lines[1].endswith("  0.988")
    assert lines[-1] == "  unreadable: no header"
    error = f"missing file: there is no such file or folder, {'long ' * 20}end"
    (_, *lines) = one.encode([{"file": "a", "error": error}]).decode().splitlines()
    assert max(map(len, lines)) <= 80 and " ".join(" ".join(lines).split()) == error


def test_times_are_written_without_rounding() -> None:
    layout = RowLayout("window", ("rock",))
    assert json.loads(make_format("jsonl", layout).encode([WINDOW]))["end"] == 1 / 3
    assert str(1 / 3) in make_format("csv", layout).encode([WINDOW]).decode()


def test_a_score_below_the_threshold_does_not_look_like_one_that_reaches_it() -> None:
    scores = {"file": 0.949_96, "rock": 0.049_96}
    row: Row = {"file": "a", "label": "unknown", "score": 0.949_96, "scores": scores}
    table = make_format("table", RowLayout("file", tuple(scores), top_k=2))

    def read(row: Row) -> list[str]:
        return [line.split()[-1] for line in table.encode([row]).decode().splitlines()]

    assert read(row) == ["0.949", "0.949", "0.049"]
    assert read({**row, "label": "file"}) == ["0.950", "0.050"]
    assert read({**row, "label": "", "labels": []})[0] == "0.949"
    reached = {"label": "file", "labels": ["file"], "scores": {"file": 0.951, "rock": 0.949_96}}
    assert read({**row, **reached, "score": 0.951}) == ["0.951", "0.949"]
