"""Files in, labels out: the same scores as in evaluation, whatever the file."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from tiny_runs import make_config, set_up, write_quiet_checkpoint
from tones import make_tone

from audio_cls.cli.inference.predict import main
from audio_cls.data.loading.datasets import WindowDataset
from audio_cls.errors import ModelError
from audio_cls.evaluation.scorer import make_scorer
from audio_cls.inference.classifier import Classifier
from audio_cls.models.inference_settings import save_calibration
from audio_cls.training.loop import train


@pytest.fixture(scope="module")
def run(tone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run with windows of 0.25 s, so that every clip has several."""
    root = tmp_path_factory.mktemp("serving")
    checkpoint = write_quiet_checkpoint(root / "checkpoint")
    cfg = make_config(
        tone_folder, checkpoint, root / "run", epochs=6, learning_rate=3e-3, max_seconds=0.25
    )
    train(set_up(cfg))
    return root / "run"


def test_a_file_gets_the_scores_that_evaluation_gave_it(
    run: Path, tone_folder: Path, tmp_path: Path
) -> None:
    again = set_up(make_config(tone_folder, run, tmp_path / "x", max_seconds=0.25))
    clips = again.loader.dataset.clips
    classifier = Classifier.from_pretrained(run)
    cfg = make_config(tone_folder, run, tmp_path / "x", max_seconds=0.25)
    scores = make_scorer(classifier.audio_model, cfg, again.accelerator).score(
        classifier.model, clips
    )
    assert len(WindowDataset(clips, cfg.audio)) > 1.5 * len(clips)
    paths = [tone_folder / clip for clip in scores.ids[:5]]
    for number, prediction in enumerate(classifier(paths)):
        assert prediction.scores is not None
        own = np.array(list(prediction.scores.values()))
        assert own == pytest.approx(scores.probabilities[number], abs=2e-6)


def test_any_rate_and_number_of_channels_is_accepted(run: Path, tmp_path: Path) -> None:
    stereo = np.stack([make_tone(800, 0.4, 44_100)] * 2, axis=1)
    soundfile.write(tmp_path / "a.flac", stereo, 44_100)
    (prediction,) = Classifier.from_pretrained(run)([tmp_path / "a.flac"])
    assert prediction.label == "middle"


def test_predict_writes_one_row_for_each_file_and_which_failed(
    run: Path, tone_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    result = CliRunner().invoke(main, [str(run), str(tone_folder / "low"), str(tmp_path)])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) == 21
    assert set(rows[0]) == {"file", "label", "score", "scores"}
    assert rows[0]["score"] == max(rows[0]["scores"].values())
    assert set(rows[-1]) == {"file", "error"}
    assert np.mean([row.get("label") == "low" for row in rows[:-1]]) >= 0.9


def test_predict_as_csv_and_the_exit_code_when_nothing_was_read(run: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", make_tone(3000, 0.3), 16_000)
    result = CliRunner().invoke(main, [str(run), str(tmp_path / "a.wav"), "--csv"])
    (row,) = csv.DictReader(result.stdout.splitlines())
    assert row["label"] == "high"
    assert float(row["high"]) == float(row["score"])
    nothing = CliRunner().invoke(main, [str(run), str(tmp_path / "missing.wav")])
    assert nothing.exit_code == 1
    assert "missing file" in json.loads(nothing.stdout)["error"]
    (tmp_path / "empty").mkdir()
    empty = CliRunner().invoke(main, [str(run), str(tmp_path / "empty")])
    assert (empty.exit_code, empty.stdout) == (2, "")
    assert f"There is no audio file in {tmp_path / 'empty'}" in " ".join(empty.stderr.split())


def test_silent_and_very_short_files_carry_a_remark(run: Path, tmp_path: Path) -> None:
    sounds = {"tone": make_tone(800, 0.4), "silence": np.zeros(6_400), "dither": np.zeros(6_400)}
    sounds["dither"][::2] = 2**-15
    sounds["short"] = make_tone(800, 0.01)
    for name, wave in sounds.items():
        soundfile.write(tmp_path / f"{name}.wav", wave, 16_000)
    paths = [str(tmp_path / f"{name}.wav") for name in sounds]
    result = CliRunner().invoke(main, [str(run), *paths])
    remarks = [json.loads(line).get("remark") for line in result.stdout.splitlines()]
    assert remarks == [None, "digital silence", "digital silence", "only 0.010 s long"]
    table = CliRunner().invoke(main, [str(run), *paths, "--csv"])
    rows = list(csv.DictReader(table.stdout.splitlines()))
    assert [row["remark"] or None for row in rows] == remarks


def test_scores_that_are_not_finite_are_an_error_and_no_label(run: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", make_tone(800, 0.4), 16_000)
    classifier = Classifier.from_pretrained(run)
    with torch.no_grad():
        for weight in classifier.model.parameters():
            weight.fill_(torch.nan)
    (prediction,) = classifier([tmp_path / "a.wav"])
    assert prediction.label is None and "not finite" in str(prediction.error)


def test_a_model_without_a_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a trained classifier"):
        Classifier.from_pretrained(write_quiet_checkpoint(tmp_path / "encoder"))
    result = CliRunner().invoke(main, [str(tmp_path / "encoder"), "a.wav"])
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1


def test_calibrated_scores_keep_the_label_and_follow_the_temperature(
    run: Path, tone_folder: Path, tmp_path: Path
) -> None:
    scaled = tmp_path / "scaled"
    shutil.copytree(run, scaled)
    save_calibration(scaled, 3.0)
    paths = sorted((tone_folder / "low").iterdir())[:3]
    plain = list(Classifier.from_pretrained(scaled, calibrate=False)(paths))
    calibrated = list(Classifier.from_pretrained(scaled, calibrate=True)(paths))
    for own, other in zip(plain, calibrated, strict=True):
        assert own.label == other.label
        assert own.scores is not None and other.scores is not None
        before, after = (np.array(list(one.scores.values())) for one in (own, other))  # type: ignore[union-attr]
        powers = before ** (1 / 3.0)
        assert after == pytest.approx(powers / powers.sum(), abs=5e-6)
    never = Classifier.from_pretrained(run, calibrate=True)
    assert never.temperature == 1.0
