"""Settings that decide whether an interrupted prediction can be continued."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from audio_cls.workflows.prediction.predict import list_settings
from audio_cls.workflows.prediction.request import PredictRequest


def test_the_folders_of_segments_and_label_files_are_settings(tmp_path: Path) -> None:
    request = PredictRequest(str(tmp_path), ("day.wav",), output=tmp_path / "a.csv", merge=True)
    (tmp_path / "config.json").write_text("{}")
    first = list_settings(request, ["day.wav"])
    assert list_settings(replace(request, batch_size=1, strict=True), ["day.wav"]) == first
    for name in ("cut_segments", "output_dir"):
        other = list_settings(replace(request, **{name: tmp_path / "other"}), ["day.wav"])  # type: ignore[arg-type]
        assert {n for n in other if other[n] != first[n]} == {name.replace("_", "-")}
