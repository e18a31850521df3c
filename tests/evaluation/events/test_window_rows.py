"""The output of `audio-cls predict --timeline` is read again, in each format."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from audio_cls.data.labels.label_text import join_names
from audio_cls.errors import DatasetError
from audio_cls.evaluation.events.window_rows import read_window_rows
from audio_cls.inference.events.merge import merge_windows
from audio_cls.inference.files.formats import make_format
from audio_cls.inference.files.predict_files import window_rows
from audio_cls.inference.files.rows import RowLayout
from audio_cls.inference.prediction import WindowPrediction

ROWS: list[dict[str, Any]] = [
    {"file": "/a.wav", "start": 1.5, "end": 2.5, "label": "cat", "score": 0.6},
    {"file": "/a.wav", "start": 0.0, "end": 1.0, "label": "dog", "score": 0.75},
    {"file": "/b.wav", "start": 0.0, "end": 1.0, "label": "dog", "score": 0.5},
]


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def test_windows_of_csv_and_of_json_lines_are_equal(tmp_path: Path) -> None:
    scores = {"cat": 0.4, "dog": 0.6}
    _write_csv(tmp_path / "w.csv", [{**row, "error": "", **scores} for row in ROWS])
    lines = [json.dumps({**row, "scores": scores}) for row in ROWS]
    (tmp_path / "w.jsonl").write_text("\n".join(lines), "utf-8")
    found = [read_window_rows(tmp_path / name, ["/a.wav"]) for name in ("w.csv", "w.jsonl")]
    assert found[0] == found[1]
    assert [(row.start, row.end, row.label, row.score) for row in found[0]["/a.wav"]] == [
        (0.0, 1.0, "dog", 0.75),
        (1.5, 2.5, "cat", 0.6),
    ]
    assert found[0]["/a.wav"][0].scores == scores


def test_several_labels_of_a_window(tmp_path: Path) -> None:
    row = {**ROWS[0], "label": "a\\;b;dog", "a;b": 0.5, "dog": 0.6, "cow": 0.1}
    _write_csv(tmp_path / "w.csv", [row])
    (one,) = read_window_rows(tmp_path / "w.csv", ["/a.wav"])["/a.wav"]
    assert one.labels == ["a;b", "dog"]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_events_of_a_multi_label_timeline_are_those_of_its_windows(
    tmp_path: Path, form: str
) -> None:
    scores = [{"a;b": 0.3, "cow": 0.2}, {"a;b": 0.4, "cow": 0.6}, {"a;b": 0.1, "cow": 0.2}]
    labels = [["a;b"], ["cow", "a;b"], []]  # by thresholds of 0.25 and 0.5
    windows = []
    for number, (own, names) in enumerate(zip(scores, labels, strict=True)):
        place = (number * 10, number * 10 + 10, 10)
        label, best = join_names(names), max(own.values())
        windows.append(WindowPrediction("/a.wav", *place, label, best, own, names))
    one = make_format(form, RowLayout("window", ("a;b", "cow"), is_multilabel=True))
    partial, path = tmp_path / "partial", tmp_path / f"w.{form}"
    partial.write_bytes(one.header() + one.encode(list(window_rows("/a.wav", windows))))
    one.finish(partial, path)
    rows = read_window_rows(path, ["/a.wav"])["/a.wav"]
    for threshold in (None, 0.15, 0.2, 0.35):
        expected = list(merge_windows(windows, threshold=threshold))
        assert list(merge_windows(rows, threshold=threshold)) == expected
    assert [one.label for one in merge_windows(rows)] == ["a;b", "cow"]


def test_a_recording_may_have_no_event_but_must_have_windows(tmp_path: Path) -> None:
    _write_csv(tmp_path / "events.csv", ROWS)
    assert read_window_rows(tmp_path / "events.csv", ["/a.wav", "/c.wav"])["/c.wav"] == []
    alone = {**dict.fromkeys(ROWS[0]), "file": "/c.wav"}  # as `predict --watch` writes it
    _write_csv(tmp_path / "events.csv", [alone])
    assert read_window_rows(tmp_path / "events.csv", ["/c.wav"]) == {"/c.wav": []}
    _write_csv(tmp_path / "w.csv", [{**row, "cat": 0.5, "dog": 0.5} for row in ROWS])
    with pytest.raises(DatasetError, match=r"no complete timeline .*: /c.wav"):
        read_window_rows(tmp_path / "w.csv", ["/a.wav", "/c.wav"])


def test_files_that_are_no_complete_timeline_are_refused(tmp_path: Path) -> None:
    _write_csv(tmp_path / "w.csv", [{"file": "a.wav", "label": "cat"}])
    with pytest.raises(DatasetError, match="is no timeline"):
        read_window_rows(tmp_path / "w.csv", ["/a.wav"])
    _write_csv(tmp_path / "top.csv", [{**row, "label_1": "a", "score_1": 1} for row in ROWS])
    with pytest.raises(DatasetError, match="--top-k"):
        read_window_rows(tmp_path / "top.csv", ["/a.wav"])
    _write_csv(tmp_path / "e.csv", [*ROWS, {**ROWS[0], "error": "truncated"}])
    with pytest.raises(DatasetError, match="no complete timeline"):
        read_window_rows(tmp_path / "e.csv", ["/a.wav"])
