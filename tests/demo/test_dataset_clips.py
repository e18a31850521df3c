"""The tab of a data set: clips, labels and the mistakes of the model's run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from audio_cls.demo.dataset_clips import DatasetClips, load_clips
from audio_cls.demo.dataset_tab import describe_clips, show_clip
from audio_cls.demo.examples import write_examples

DATASET = "builtin:tiny_speech"
PREDICTIONS = """id,label,prediction,fr,it,ru
ru/digits_11.flac,ru,fr,0.6,0.3,0.1
fr/digits_mon-4.flac,fr,fr,0.9,0.05,0.05
it/auth-thankyou.flac,it,ru,0.1,0.1,0.8
999.flac,it,ru,0.1,0.1,0.8
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a run that name its data set and predictions."""
    folder = tmp_path_factory.mktemp("run")
    settings = {"data": {"dataset": DATASET, "label_column": "language"}}
    (folder / "run_config.yaml").write_text(yaml.safe_dump(settings))
    (folder / "predictions.csv").write_text(PREDICTIONS)
    return folder


@pytest.fixture(scope="module")
def clips(run: Path) -> DatasetClips:
    return load_clips(str(run), None, {"dataset": DATASET}, 8000)


def test_mistakes_come_first_and_the_most_confident_one_is_the_first(clips: DatasetClips) -> None:
    assert clips.list_rows("mistakes", None, 9) == [
        ["it/auth-thankyou.flac", "it", "ru", "0.800"],
        ["ru/digits_11.flac", "ru", "fr", "0.600"],
    ]
    assert clips.list_rows("mistakes", "ru", 9) == [["ru/digits_11.flac", "ru", "fr", "0.600"]]
    assert len(clips.list_rows("test", None, 9)) == 3
    everything = clips.list_rows("all", None, 1000)
    assert len(everything) == 180 and everything[0][0] == "it/auth-thankyou.flac"
    assert len(clips.list_rows("all", None, 7)) == 7
    assert describe_clips(clips) == "180 clips, 3 test clips, 2 mistakes."


def test_a_selected_clip_is_played_at_its_level(clips: DatasetClips) -> None:
    text, sound, scores = show_clip(clips, "ru/digits_11.flac")
    assert text == "ru/digits_11.flac"
    assert scores == {"fr": 0.6, "it": 0.3, "ru": 0.1}
    assert sound is not None and sound[0] == 8000
    wave = clips.read_wave("ru/digits_11.flac")
    assert sound[1] == pytest.approx(wave * 32767, abs=1)  # not scaled to its peak


def test_predictions_on_another_data_set_are_not_used(run: Path, tmp_path: Path) -> None:
    for clip in ("fr/digits_mon-4.wav", "it/b.wav"):
        (tmp_path / clip).parent.mkdir()
        (tmp_path / clip).write_bytes(b"no audio")
    other = load_clips(str(run), None, {"dataset": str(tmp_path)}, 8000)
    assert other.predictions == {} and other.labels == ["fr", "it"]
    assert describe_clips(other) == "2 clips; the model's run has no predictions for them."
    text, sound, _ = show_clip(other, other.ids[1])
    assert "cannot be played: unreadable" in text and sound is None


def test_examples_are_clips_of_the_built_in_data_or_the_samples_of_the_run(
    run: Path, tmp_path: Path
) -> None:
    paths = write_examples(str(run), None, tmp_path / "examples", 8000)
    assert [path.name for path in paths] == ["1-fr.wav", "2-it.wav", "3-ru.wav"]
    other = tmp_path / "other"
    shutil.copytree(run, other)
    settings = {"data": {"dataset": "someone/private", "label_column": "language"}}
    (other / "run_config.yaml").write_text(yaml.safe_dump(settings))
    assert write_examples(str(other), None, tmp_path / "none", 8000) == []
    assert not (tmp_path / "none").exists()
