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
classifier = OnnxClassifier.from_pretrained(sys.argv[1])
print(json.dumps([prediction.to_row() for prediction in classifier(sys.argv[2:])]))
"""


def write_files(folder: Path) -> list[str]:
    """Write clips that differ in length and sampling rate."""
    folder.mkdir()
    paths = []
    for number, wave in enumerate(make_clips(4, 3 * RATE)):
        paths.append(str(folder / f"{number}.wav"))
        soundfile.write(paths[-1], wave[: (number + 1) * 9000], (RATE, 22_050)[number % 2])
    return paths


def assert_same(given: Any, expected: Any) -> None:  # noqa: ANN401
    """Check that two predictions agree to 1e-4."""
    assert (given.file, given.label, given.labels) == (
        expected.file,
        expected.label,
        expected.labels,
    )
    assert given.scores == pytest.approx(expected.scores, abs=1e-4)


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("audio-spectrogram-transformer", {"entry": {"temperature": 1.7}}),
        ("wav2vec2-bert", {"aggregate": "mean-probability"}),
        ("hubert", {"is_multilabel": True, "entry": {"thresholds": dict.fromkeys(LABELS, 0.4)}}),
    ],
)
def test_predictions_are_those_of_the_classifier(
    tmp_path: Path, family: str, settings: dict[str, Any]
) -> None:
    run = write_family(family, tmp_path, **settings)
    export_quickly(run, tmp_path / "out")
    files = write_files(tmp_path / "clips")
    stock, onnx = Classifier.from_pretrained(run), OnnxClassifier.from_pretrained(tmp_path / "out")
    assert (onnx.labels, onnx.sampling_rate) == (LABELS, RATE)
    assert onnx.temperature == stock.temperature == settings.get("entry", {}).get("temperature", 1)
    expected = stock(files)
    for given, wanted in zip(onnx(files), expected, strict=True):
        assert_same(given, wanted)
    windows = zip(onnx.windows(files[3]), stock.windows(files[3]), strict=True)
    for window, wanted_window in windows:
        assert (window.start, window.end) == (wanted_window.start, wanted_window.end)
        assert window.scores == pytest.approx(wanted_window.scores, abs=1e-4)
    with pytest.raises(ModelError, match="no embeddings"):
        onnx.embed(files[0])
    # The same numbers in a process that cannot import torch.
    command = [sys.executable, "-c", WITHOUT_TORCH, str(tmp_path / "out"), *files]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    for row, wanted in zip(json.loads(done.stdout), expected, strict=True):
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
