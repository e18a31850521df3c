"""Clips to compare on: test clips of a run, a folder's, or those of the demo."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from exported import LABELS, make_clips, write_family

from audio_cls.config import DataConfig
from audio_cls.data.load import load_dataset
from audio_cls.errors import DatasetError
from audio_cls.export.clips import read_check_clips
from audio_cls.models.load import load_for_inference


def test_a_run_is_compared_on_its_test_clips(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "data"
    for label, wave in zip(LABELS, make_clips(3), strict=True):
        for number in range(4):
            (data / label).mkdir(parents=True, exist_ok=True)
            soundfile.write(data / label / f"{number}.wav", wave[number * 10 :], 16_000)
    run = write_family("hubert", tmp_path, max_seconds=0.5)
    settings = {"data": {"dataset": str(data), "label_column": "label"}}
    (run / "run_config.yaml").write_text(yaml.safe_dump(settings))
    (run / "splits").mkdir()
    source = load_dataset(DataConfig(dataset=str(data)))
    ids = [row["audio"]["path"] for table in source.splits.values() for row in table]
    chosen = [Path(one).relative_to(data).as_posix() for one in ids][::3]
    (run / "splits" / "test.txt").write_text("\n".join(chosen))
    model = load_for_inference(run)
    clips = read_check_clips(model, str(run), None)
    assert clips.origin == "4 test clips of the run"
    assert {len(wave) for wave in clips.waves} == {8000}  # the window
    # Without the data set the demo's clips are used, and the reason is logged.
    data.rename(tmp_path / "moved")
    with caplog.at_level(logging.WARNING, "audio_cls"):
        clips = read_check_clips(model, str(run), None)
    assert clips.origin == "30 clips of the built-in demo (speech)"
    assert "test clips of" in caplog.text
    assert "are not compared" in caplog.text


def test_a_folder_of_clips(tmp_path: Path) -> None:
    model = load_for_inference(write_family("hubert", tmp_path))
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "broken.wav").write_bytes(b"RIFF")
    with pytest.raises(DatasetError, match=r"--clips .* no audio file that can be read"):
        read_check_clips(model, "USER/NAME", folder)
    soundfile.write(folder / "tone.wav", np.zeros(4000), 8000)
    clips = read_check_clips(model, "USER/NAME", folder)
    assert clips.origin == "1 clip of the folder mine"
    assert [len(wave) for wave in clips.waves] == [8000]
    origin = read_check_clips(model, "USER/NAME", None).origin
    assert origin == "30 clips of the built-in demo (speech)"
