"""Annotations that are incomplete, or do not fit the recordings, are errors or warnings."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_cls.errors import DatasetError
from audio_cls.inference.events.annotations import read_annotations
from audio_cls.inference.events.event import Event


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two recordings."""
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(80_000), 8000)
    return tmp_path


def test_empty_label_files_and_rows_with_a_path_only_have_no_events(folder: Path) -> None:
    (folder / "a.txt").write_text("1.0\t2.0\tdog\n", "utf-8")
    (folder / "b.txt").write_text("", "utf-8")
    expected = {str(folder / "a.wav"): [Event(str(folder / "a.wav"), 1, 2, "dog")]}
    expected[str(folder / "b.wav")] = []
    assert read_annotations(folder) == expected
    (folder / "b.txt").write_text("Selection\tBegin Time (s)\tEnd Time (s)\tAnnotation\n", "utf-8")
    assert read_annotations(folder) == expected
    table = folder / "events.csv"  # not used where there are label files
    table.write_text("file,start,end,label\nb.wav,1,2,cat\n", "utf-8")
    assert read_annotations(folder) == expected
    table.write_text("file,start,end,label\na.wav,1,2,dog\nb.wav,,,\n", "utf-8")
    assert read_annotations(table) == expected


def test_recordings_may_be_in_another_folder(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("annotations")
    (other / "a.txt").write_text("1,5\t2,5\tdog\n", "utf-8")  # decimal commas
    (event,) = read_annotations(other, folder)[str(folder / "a.wav")]
    assert (event.start, event.end) == (1.5, 2.5)
    (other / "a.txt").unlink()
    (other / "t.csv").write_text("file,onset,offset,class\nb.wav,1,2,dog\nb.wav,3,4,dog\n", "utf-8")
    assert len(read_annotations(other / "t.csv", folder)[str(folder / "b.wav")]) == 2


def test_recordings_without_annotations_are_stated(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "t.csv").write_text("file,start,end,label\na.wav,1,2,dog\n", "utf-8")
    with caplog.at_level(logging.WARNING):
        assert len(read_annotations(folder)) == 1
    assert "Not used: 1 recording without annotations." in caplog.text


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.wav,1,2,", "is not complete"),
        ("a.wav,,,dog", "without times"),
        ("a.wav,2,1,dog", "a later end"),
        ("a.wav,x,1,dog", "is not a time"),
        ("c.wav,1,2,dog", "recordings that are missing: .*c.wav"),
    ],
)
def test_a_row_that_is_no_annotation_is_an_error(folder: Path, row: str, message: str) -> None:
    (folder / "t.csv").write_text(f"file,start,end,label\na.wav,1,2,dog\n{row}\n", "utf-8")
    with pytest.raises(DatasetError, match=message):
        read_annotations(folder / "t.csv")


def test_files_without_annotations_are_errors(folder: Path) -> None:
    with pytest.raises(DatasetError, match="There is no file or folder"):
        read_annotations(folder / "no.csv")
    with pytest.raises(DatasetError, match="has no annotations of recordings"):
        read_annotations(folder)
    (folder / "t.csv").write_text("file,label\na.wav,dog\n", "utf-8")
    with pytest.raises(DatasetError, match="no columns of start and end"):
        read_annotations(folder / "t.csv")
    (folder / "t.csv").write_text("file,start,end,label\nx.wav,1,2,dog\n", "utf-8")
    with pytest.raises(DatasetError, match="None of the recordings"):
        read_annotations(folder / "t.csv")
