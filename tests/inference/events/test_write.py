"""Label files have the columns and times that Audacity and Raven read; ours are read again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_cls.config import DataConfig
from audio_cls.data.labels.labels import parse_labels
from audio_cls.data.load import load_dataset
from audio_cls.inference.events.annotations import read_annotations
from audio_cls.inference.events.event import Event
from audio_cls.inference.events.write import RAVEN_SUFFIX, write_audacity, write_raven
from audio_cls.inference.files.formats import make_format
from audio_cls.inference.files.rows import RowLayout

RATE = 8000
DURATIONS = {"a.wav": 5.123375, "b.wav": 4.0}  # the first is not a round number of milliseconds


@pytest.fixture
def events(tmp_path: Path) -> list[Event]:
    """Return events of two recordings of noise."""
    rng = np.random.default_rng(0)
    for name, seconds in DURATIONS.items():
        wave = rng.uniform(-0.5, 0.5, round(seconds * RATE))
        soundfile.write(tmp_path / name, wave, RATE)
    return [
        Event(str(tmp_path / "a.wav"), 0.5, 1.25, "dog", 0.9),
        Event(str(tmp_path / "a.wav"), 1 / 3, 2.0, "tab\tand\nline", 0.123456),
        Event(str(tmp_path / "b.wav"), 3.0, 4.0, "dog", 1.0),
    ]


def write_combined(events: list[Event], file: Path) -> None:
    """Write one table of both recordings, as `predict --format raven` does."""
    offsets = {"a.wav": 0.0, "b.wav": DURATIONS["a.wav"]}
    rows = [
        {**asdict(one), "number": number, "offset": offsets[Path(one.file).name]}
        for number, one in enumerate(events, start=1)
    ]
    table = make_format("raven", RowLayout("event", ("dog", "cat")))
    file.write_bytes(table.header() + table.encode([{**r, "high_frequency": 4000} for r in rows]))


def test_audacity_has_start_end_and_label_without_a_header(
    tmp_path: Path, events: list[Event]
) -> None:
    write_audacity(events[:2], tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text("utf-8") == (
        "0.500000\t1.250000\tdog\n0.333333\t2.000000\ttab and line\n"
    )


def test_raven_has_the_columns_of_a_selection_table(tmp_path: Path, events: list[Event]) -> None:
    write_raven(events[:2], tmp_path / "a.txt", high_frequency=4000)
    lines = [line.split("\t") for line in (tmp_path / "a.txt").read_text("utf-8").splitlines()]
    assert lines == [
        [
            *("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)"),
            *("High Freq (Hz)", "Delta Time (s)", "Annotation", "Score"),
        ],
        [
            "1",
            "Spectrogram 1",
            "1",
            *("0.500000", "1.250000", "0", "4000", "0.750000"),
            "dog",
            "0.9",
        ],
        [
            *("2", "Spectrogram 1", "1", "0.333333", "2.000000", "0", "4000", "1.666667"),
            *("tab and line", "0.123456"),
        ],
    ]


def test_begin_time_of_a_combined_table_counts_all_recordings_and_file_offset_one(
    tmp_path: Path, events: list[Event]
) -> None:
    write_combined(events, tmp_path / "all.txt")
    lines = [line.split("\t") for line in (tmp_path / "all.txt").read_text("utf-8").splitlines()]
    place = {name: number for number, name in enumerate(lines[0])}
    last = lines[3]
    assert last[place["Begin Time (s)"]] == "8.123375"  # 5.123375, not rounded, and 3
    assert last[place["End Time (s)"]] == "9.123375"
    assert last[place["File Offset (s)"]] == "3.000000"
    assert last[place["Begin Path"]] == str(tmp_path / "b.wav")
    assert [line[0] for line in lines[1:]] == ["1", "2", "3"]


@pytest.mark.parametrize("form", ["audacity", "raven", "combined"])
def test_every_form_is_read_as_annotations_and_as_training_data(
    tmp_path: Path, events: list[Event], form: str
) -> None:
    events = [one for one in events if "\t" not in one.label]
    events += [Event(events[0].file, 2.0, 2.5, "cat", 0.5), Event(events[1].file, 0, 1, "cat", 0.5)]
    events.sort(key=lambda one: (one.file, one.start))
    for name in DURATIONS:
        own = [one for one in events if one.file.endswith(name)]
        if form == "audacity":
            write_audacity(own, tmp_path / name.replace(".wav", ".txt"))
        elif form == "raven":
            file = tmp_path / name.replace(".wav", RAVEN_SUFFIX)
            write_raven(own, file, high_frequency=4000)
    if form == "combined":
        write_combined(events, tmp_path / "all.txt")
    found = read_annotations(tmp_path)
    expected = [(one.file, one.start, one.end, one.label) for one in events]
    rows = [one for own in found.values() for one in own]
    assert [(one.file, one.start, one.end, one.label) for one in rows] == expected
    cfg = DataConfig(dataset=str(tmp_path))
    dataset = load_dataset(cfg)
    labels = parse_labels(dataset, cfg)
    assert labels.names == ("cat", "dog")
    paths = [row["path"] for row in dataset.splits["train"]["audio"]]
    assert paths == [f"{one.file}#{one.start:.3f}-{one.end:.3f}" for one in events]
