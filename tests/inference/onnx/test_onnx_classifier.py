"""OnnxClassifier gives the numbers of Classifier, and needs no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from exported import LABELS, RATE, export_quickly, make_clips, write_family

from audio_cls.errors import ModelError
from audio_cls.inference.classifier import Classifier
from audio_cls.inference.onnx import OnnxClassifier
from audio_cls.inference.onnx.classifier import MODEL_FILE

WITHOUT_TORCH = """
import json, sys
sys.modules["torch"] = None
from audio_cls.inference.onnx import OnnxClassifier
for folder in sys.argv[1:]:
    classifier = OnnxClassifier.from_pretrained(folder + "/out")
    paths = [f"{folder}/clips/{number}.wav" for number in range(4)]
    print(json.dumps([prediction.to_row() for prediction in classifier(paths)]))
"""


def write_files(folder: Path) -> None:
    """Write clips 0.wav to 3.wav that differ in length and sampling rate."""
    folder.mkdir()
    for number, wave in enumerate(make_clips(4, 3 * RATE)):
        path = folder / f"{number}.wav"
        soundfile.write(path, wave[: (number + 1) * 9000], (RATE, 22_050)[number % 2])


def assert_same(given: Any, expected: Any) -> None:  # noqa: ANN401
    """Check that two predictions agree to 1e-4."""
    assert (given.file, given.label, given.labels) == (
        expected.file,
        expected.label,
        expected.labels,
    )
    assert given.scores == pytest.approx(expected.scores, abs=1e-4)


CASES: dict[str, dict[str, Any]] = {
    "audio-spectrogram-transformer": {"entry": {"temperature": 1.7}},
    "wav2vec2-bert": {"aggregate": "mean-probability"},
    "hubert": {"is_multilabel": True, "entry": {"thresholds": dict.fromkeys(LABELS, 0.4)}},
}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with FAMILY/run, FAMILY/out (its export) and FAMILY/clips."""
    root = tmp_path_factory.mktemp("exports")
    for family, settings in CASES.items():
        export_quickly(write_family(family, root / family, **settings), root / family / "out")
        write_files(root / family / "clips")
    return root


@pytest.mark.parametrize("family", CASES)
def test_predictions_are_those_of_the_classifier(exports: Path, family: str) -> None:
    folder = exports / family
    files = sorted(map(str, (folder / "clips").iterdir()))
    stock = Classifier.from_pretrained(folder / "run")
    onnx = OnnxClassifier.from_pretrained(folder / "out")
    assert (onnx.labels, onnx.sampling_rate) == (LABELS, RATE)
    temperature = CASES[family].get("entry", {}).get("temperature", 1)
    assert onnx.temperature == stock.temperature == temperature
    for given, wanted in zip(onnx(files), stock(files), strict=True):
        assert_same(given, wanted)
    windows = zip(onnx.windows(files[3]), stock.windows(files[3]), strict=True)
    for window, wanted_window in windows:
        assert (window.start, window.end) == (wanted_window.start, wanted_window.end)
        assert window.scores == pytest.approx(wanted_window.scores, abs=1e-4)
    with pytest.raises(ModelError, match="no embeddings"):
        onnx.embed(files[0])


def test_a_process_that_cannot_import_torch_gives_the_same_numbers(exports: Path) -> None:
    folders = [exports / family for family in CASES]
    command = [sys.executable, "-c", WITHOUT_TORCH, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    for folder, line in zip(folders, done.stdout.splitlines(), strict=True):
        expected = Classifier.from_pretrained(folder / "run")(
            sorted(map(str, (folder / "clips").iterdir()))
        )
        for row, wanted in zip(json.loads(line), expected, strict=True):
            assert row["label"] == wanted.label
            assert row["scores"] == pytest.approx(wanted.scores, abs=1e-4)


def test_what_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    run = write_family("hubert", tmp_path)
    out = tmp_path / "out"
    export_quickly(run, out)
    with pytest.raises(ModelError, match=r"has no onnx/model_quantized.onnx.*with --int8"):
        OnnxClassifier.from_pretrained(out, int8=True)
    with pytest.raises(ModelError, match=r"has no onnx/model.onnx.*audio-cls export"):
        OnnxClassifier.from_pretrained(run)
    content = (out / MODEL_FILE).read_bytes()
    (out / MODEL_FILE).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="ONNX Runtime cannot read"):
        OnnxClassifier.from_pretrained(out)
    (out / MODEL_FILE).write_bytes(content)
    (out / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="id2label"):
        OnnxClassifier.from_pretrained(out)


def test_a_clip_has_the_same_scores_alone_and_among_others(tmp_path: Path) -> None:
    run = write_family("hubert", tmp_path)  # group norm: padding would change scores
    export_quickly(run, tmp_path / "out")
    onnx = OnnxClassifier.from_pretrained(tmp_path / "out", num_threads=1)
    clips = [(wave[: 4000 + 1000 * n], RATE) for n, wave in enumerate(make_clips(4))]
    together = onnx(clips)
    for clip, prediction in zip(clips, together, strict=True):
        alone = onnx(clip)
        np.testing.assert_allclose(
            list(alone.scores.values()), list(prediction.scores.values()), atol=2e-6
        )
