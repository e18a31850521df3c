"""Events are cut into folders per label without a change, and can be trained on."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_cls.config import DataConfig
from audio_cls.data.load import load_dataset
from audio_cls.errors import AudioClsError, AudioError
from audio_cls.inference.events.event import Event
from audio_cls.inference.events.segments import GROUP_PATTERN, cut_segments

RATE = 44_100


def _write(path: Path) -> np.ndarray:
    samples = np.random.default_rng(1).integers(-(2**15), 2**15, (3 * RATE, 2), np.int16)
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, samples, RATE)
    return samples


def test_segments_have_the_samples_of_the_recording(tmp_path: Path) -> None:
    samples = _write(tmp_path / "field.wav")
    file = str(tmp_path / "field.wav")
    events = [Event(file, 1.0, 2.0, "cat"), Event(file, 0.5, 1.25, "Hip-Hop/Rap")]
    paths = cut_segments(events, tmp_path / "cut")
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "cut/Hip-Hop_Rap/field_0.500-1.250.wav",
        "cut/cat/field_1.000-2.000.wav",
    ]
    first, rate = soundfile.read(paths[0], dtype="int16")
    assert rate == RATE and (first == samples[RATE // 2 : RATE * 5 // 4]).all()
    assert (soundfile.read(paths[1], dtype="int16")[0] == samples[RATE : 2 * RATE]).all()


def test_segments_are_a_data_set_whose_groups_are_the_recordings(tmp_path: Path) -> None:
    for name in ("field one", "field_2"):
        _write(tmp_path / f"{name}.wav")
    files = [str(tmp_path / f"{name}.wav") for name in ("field one", "field_2")]
    events = [Event(file, n, n + 0.5, f"label {n}") for file in files for n in (0, 1)]
    paths = cut_segments(events, tmp_path / "cut")
    table = load_dataset(DataConfig(dataset=str(tmp_path / "cut"))).splits["train"]
    assert sorted(table["label"]) == ["label 0", "label 0", "label 1", "label 1"]
    found = [re.search(GROUP_PATTERN, path.as_posix()) for path in paths]
    assert [match and match[1] for match in found] == [
        "field one",
        "field one",
        "field_2",
        "field_2",
    ]


def test_a_repeated_call_keeps_files_and_another_content_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "field.wav")
    events = [Event(str(tmp_path / "field.wav"), 0, 1, "cat")]
    (path,) = cut_segments(events, tmp_path / "cut")
    before = path.stat().st_mtime_ns
    cut_segments(events, tmp_path / "cut")
    assert path.stat().st_mtime_ns == before
    path.write_bytes(b"mine")
    with pytest.raises(AudioClsError, match="exists with another content"):
        cut_segments(events, tmp_path / "cut")
    assert path.read_bytes() == b"mine"


def test_recordings_of_one_name_do_not_share_a_file(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        _write(tmp_path / folder / "field.wav")
    files = [str(tmp_path / folder / "field.wav") for folder in ("one", "two")]
    paths = cut_segments([Event(file, 0, 1, "cat") for file in files], tmp_path / "cut")
    assert len(set(paths)) == 2


def test_an_event_after_the_end_of_the_recording_is_an_error(tmp_path: Path) -> None:
    _write(tmp_path / "field.wav")
    with pytest.raises(AudioError, match="past the end"):
        cut_segments([Event(str(tmp_path / "field.wav"), 2, 4, "cat")], tmp_path / "cut")
