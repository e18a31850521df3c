"""Rows of many files: chunks, resuming, counts, embeddings, windows and events."""

from __future__ import annotations

import io
import itertools
import json
import resource
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from stub_classifier import LABELS, StubClassifier, make_windows

from audio_cls.errors import AudioClsError, AudioError
from audio_cls.inference.events.event import Event
from audio_cls.inference.events.merge import merge_windows
from audio_cls.inference.files import predict_files, resumable_output
from audio_cls.inference.files.embeddings import EmbeddingFormat
from audio_cls.inference.files.event_rows import EventRows, LabelFiles, find_root
from audio_cls.inference.files.formats import make_format
from audio_cls.inference.files.output import StreamOutput, Target
from audio_cls.inference.files.predict_files import (
    FileJob,
    MakeRows,
    TimelineJob,
    choose_labels,
    iterate_chunks,
    window_rows,
)
from audio_cls.inference.files.report import Report
from audio_cls.inference.files.resumable_output import ResumableOutput
from audio_cls.inference.files.rows import RowLayout
from audio_cls.inference.files.watch import read_done
from audio_cls.inference.prediction import Prediction, WindowPrediction

LAYOUT = RowLayout("file", LABELS)


def make_files(folder: Path, number: int) -> list[str]:
    """Write small files; every 50th is empty, and the last one is missing."""
    folder.mkdir()
    for n in range(number - 1):
        (folder / f"{n:06d}.wav").write_bytes(b"" if n % 50 == 49 else b"%d" % (n * 7919))
    return [str(folder / f"{n:06d}.wav") for n in range(number)]


def predict(files: list[str], output: Path, stop_after: int | None = None) -> Report:
    """Classify files into an output and its embeddings, or stop after some files."""
    report = Report()
    rows = make_format(output.suffix[1:], LAYOUT)
    targets = [Target(output, rows), Target(output.with_suffix(".emb"), EmbeddingFormat())]
    with ResumableOutput(targets, {}) as sink:
        report.restore(sink.counts)
        job = FileJob(StubClassifier(), embedding_target=1)
        work = job.run(files[sink.num_done :], sink, report)
        done = sum(1 for _ in itertools.islice(work, stop_after))
        if stop_after is None or done < stop_after:
            sink.finish()
    return report


@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet"])
def test_interrupted_and_continued_output_equals_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(predict_files, "CHUNK_FILES", 16)
    monkeypatch.setattr(resumable_output, "COMMIT_SECONDS", 0.0)
    files = make_files(tmp_path / "clips", 200)
    predict(files, tmp_path / f"whole.{name}")
    output = tmp_path / f"parts.{name}"
    for number in (0, 5, 40, 17, 90):
        predict(files, output, stop_after=number)
        assert not output.exists()
    report = predict(files, output)
    assert output.read_bytes() == (tmp_path / f"whole.{name}").read_bytes()
    embeddings = pq.read_table(output.with_suffix(".emb"))
    assert embeddings.equals(pq.read_table(tmp_path / "whole.emb"))
    assert len(embeddings) == 196 and embeddings["file"][0].as_py() == files[0]
    vector = StubClassifier().predict(files[0], with_embeddings=True).embedding
    assert embeddings["embedding"][0].as_py() == pytest.approx(vector)
    assert (report.num_files, report.num_failed) == (200, 4)
    assert report.failures == {"empty": 3, "missing file": 1}
    assert report.audio_seconds == pytest.approx(196.0)
    assert "200 files, 4 failed (3 empty, 1 missing file), 3 min 16 s" in report.describe()


def test_each_row_is_the_prediction_of_its_file(tmp_path: Path) -> None:
    files = make_files(tmp_path / "clips", 60)
    predict(files, tmp_path / "a.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert rows == [StubClassifier().predict(file).to_row() for file in files]


def test_chunks_depend_on_the_list_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict_files, "CHUNK_FILES", 4)
    monkeypatch.setattr(predict_files, "CHUNK_BYTES", 10)
    for name, size in {"a": 3, "b": 7, "c": 1, "d": 30, "e": 1, "f": 0}.items():
        (tmp_path / name).write_bytes(bytes(size))
    files = [str(tmp_path / name) for name in "abcdefghij"]
    chunks = ["".join(Path(file).name for file in chunk) for chunk in iterate_chunks(files)]
    assert chunks == ["ab", "c", "d", "efgh", "ij"]
    assert list(iterate_chunks(files[3:])) == list(iterate_chunks(files))[2:]


def test_rows_on_a_stream_come_one_by_one(tmp_path: Path) -> None:
    files = make_files(tmp_path / "clips", 5)
    stream = io.BytesIO()
    output = StreamOutput(stream, make_format("csv", LAYOUT))
    work = FileJob(StubClassifier(), is_streamed=True).run(files, output, Report())
    next(work)
    assert stream.getvalue().count(b"\n") == 2
    list(work)
    output.finish()
    assert stream.getvalue().count(b"\n") == 6


def test_sound_on_standard_input_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "saved").write_bytes(b"1")
    stream = io.BytesIO()
    output = StreamOutput(stream, make_format("jsonl", LAYOUT))
    job = FileJob(StubClassifier(), sources={"-": str(tmp_path / "saved")})
    list(job.run(["-"], output, Report()))
    assert json.loads(stream.getvalue())["file"] == "-"


def test_a_threshold_replaces_those_of_a_multi_label_model() -> None:
    scores = {"cat": 0.3, "dog": 0.8, "eel": 0.5}
    several = Prediction("a", "dog;eel", 0.8, scores, labels=["dog", "eel"])
    assert choose_labels(several, None) is several
    chosen = choose_labels(several, 0.3)
    assert (chosen.labels, chosen.label) == (["dog", "eel", "cat"], "dog;eel;cat")
    assert choose_labels(several, 0.9).label == ""
    single = Prediction("a", "dog", 0.8, scores)
    assert choose_labels(single, 0.9) is single


def read_windows(file: str) -> Iterator[WindowPrediction]:
    """Yield windows whose labels are the letters of the content; reading fails at `!`."""
    content = Path(file).read_text()
    names = {"c": "cat", "d": "dog", "u": "unknown"}
    yield from make_windows(file, [names[letter] for letter in content.rstrip("!")])
    if content.endswith("!"):
        raise AudioError("truncated", "bytes are missing")


def merge(windows: Iterable[WindowPrediction]) -> Iterator[Event]:
    return merge_windows(windows)


def run_timeline(files: list[str], make_rows: MakeRows) -> tuple[list[dict[str, Any]], Report]:
    """Return the rows of a timeline, and the counts."""
    stream, report = io.BytesIO(), Report()
    output = StreamOutput(stream, make_format("jsonl", RowLayout("window", LABELS)))
    assert list(TimelineJob(read_windows, make_rows).run(files, output, report)) == files
    return [json.loads(line) for line in stream.getvalue().splitlines()], report


@pytest.fixture
def recordings(tmp_path: Path) -> list[str]:
    """Return two recordings; the second one cannot be read to its end."""
    (tmp_path / "a.wav").write_text("ccudd")
    (tmp_path / "b.wav").write_text("cd!")
    return [str(tmp_path / "a.wav"), str(tmp_path / "b.wav")]


def test_a_timeline_has_a_row_per_window_and_an_error_after_them(recordings: list[str]) -> None:
    rows, report = run_timeline(recordings, window_rows)
    times = [(row["start"], row["end"], row["label"]) for row in rows[:5]]
    assert times[1:4] == [(1.0, 2.0, "cat"), (2.0, 3.0, "unknown"), (3.0, 4.0, "dog")]
    assert rows[0]["scores"] == {"cat": 0.8, "dog": 0.1, "eel": 0.1}
    assert [row.get("error") for row in rows[5:]] == [None, None, "truncated: bytes are missing"]
    assert (report.num_files, report.num_failed, report.audio_seconds) == (2, 1, 7.0)


@pytest.mark.parametrize("has_window_rows", [False, True])
def test_events_are_rows_or_go_with_the_rows_of_windows(
    recordings: list[str], *, has_window_rows: bool
) -> None:
    handled: list[tuple[str, list[Event]]] = []
    make_rows = EventRows(merge, has_window_rows, [lambda *one: handled.append(one)])
    rows, _ = run_timeline(recordings, make_rows)
    (event_file, events), *rest = handled
    assert event_file == recordings[0] and not rest  # no events of a file with an error
    spans = [(one.start, one.end, one.label, one.score) for one in events]
    assert spans == [(0.0, 2.0, "cat", 0.8), (3.0, 5.0, "dog", 0.8)]
    assert len(rows) == (8 if has_window_rows else 3)
    assert ("scores" in rows[0]) == has_window_rows
    assert rows[-1] == {"file": recordings[1], "error": "truncated: bytes are missing"}


def test_a_recording_without_events_has_a_row_where_rows_list_what_is_done(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    file.write_text("uu")
    assert run_timeline([str(file)], EventRows(merge, has_window_rows=False))[0] == []
    rows, _ = run_timeline(
        [str(file)], EventRows(merge, has_window_rows=False, has_empty_rows=True)
    )
    assert rows == [{"file": str(file)}]
    for name in ("csv", "jsonl"):
        one = make_format(name, RowLayout("event", LABELS))
        (tmp_path / "out").write_bytes(one.header() + one.encode(rows))
        assert read_done(tmp_path / "out", name) == {str(file)}


def test_label_files_have_the_names_of_their_recordings(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("x/a.wav", "x/a.mp3", "y/a.wav")]
    near = LabelFiles(".txt")
    assert [near.choose(file) for file in files * 2] == 2 * [
        tmp_path / "x/a.txt", tmp_path / "x/a.mp3.txt", tmp_path / "y/a.txt",
    ]  # fmt: skip
    far = LabelFiles(".txt", tmp_path / "out", find_root(files))
    assert far.choose(files[2]) == tmp_path / "out/y/a.txt"
    far.check(files)
    (tmp_path / "x").mkdir()
    (tmp_path / "x/a.txt").touch()
    with pytest.raises(AudioClsError, match=r"x/a.txt' exists \(1 of 3 label files\)"):
        near.check(files)


@pytest.mark.long
def test_100_000_files_with_interruptions_and_memory_that_does_not_grow(tmp_path: Path) -> None:
    files = make_files(tmp_path / "clips", 100_000)
    predict(files[:5_000], tmp_path / "few.csv")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    predict(files, tmp_path / "whole.csv")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 30 * 1024  # kB
    rng = np.random.default_rng(0)
    output = tmp_path / "parts.csv"
    for number in rng.integers(1, 20_000, 9):
        predict(files, output, stop_after=int(number))
    report = predict(files, output)
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    embeddings = pq.read_table(tmp_path / "parts.emb")
    assert embeddings.equals(pq.read_table(tmp_path / "whole.emb"))
    assert (report.num_files, report.num_failed) == (100_000, 2_000)
