"""Export: exact at all lengths or refused, files as the Hub expects them, nothing left behind."""

from __future__ import annotations

import dataclasses
import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile
import torch
from click.testing import CliRunner
from exported import (
    LABELS,
    RATE,
    Pooling,
    make_clips,
    spread_logits,
    write_classifier,
    write_family,
)
from tiny_models import write_tiny_checkpoint
from tiny_outside import write_tiny_outside

from audio_cls.cli.inference.export import main
from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.errors import ModelError, RunFolderError
from audio_cls.export import export_model as exporting
from audio_cls.export import target
from audio_cls.export.compare import Comparison, choose_lengths
from audio_cls.export.export_model import ExportRequest, export_model
from audio_cls.export.graph import Attempt, list_attempts
from audio_cls.inference.onnx.classifier import INT8_FILE, MODEL_FILE, OnnxClassifier
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.finetuning.lora import add_adapters
from audio_cls.models.load import load_for_inference, load_for_training

EXPORTED = ["README.md", "config.json", MODEL_FILE, "preprocessor_config.json"]


# One of each kind of graph; examples/onnx_without_torch/measure_families.py exports all twelve.
DIFFERENT_GRAPHS = (
    "audio-spectrogram-transformer",
    "hubert",
    "sew-d",
    "wav2vec2-bert",
    "wav2vec2-conformer",
    "wavlm",
    "whisper",
)


def list_files(folder: Path) -> list[str]:
    """List the files below a folder."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def skip_dynamo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the exporter out that takes seconds."""
    monkeypatch.setattr(exporting, "list_attempts", lambda model: list_attempts(model)[1:])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny HuBERT."""
    return write_family("hubert", tmp_path_factory.mktemp("hubert"))


def test_files_are_as_the_hub_and_transformers_js_expect(run: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for number, wave in enumerate(make_clips(4)):
        soundfile.write(clips / f"{number}.wav", wave, RATE)
    out = tmp_path / "out"
    done = CliRunner().invoke(main, [str(run), str(out), "--int8", "--clips", str(clips)])
    assert done.exit_code == 0, done.output
    assert list_files(out) == sorted([*EXPORTED, INT8_FILE])
    assert (out / "config.json").read_bytes() == (run / "config.json").read_bytes()
    rate = json.loads((out / "preprocessor_config.json").read_text())["sampling_rate"]
    assert rate == RATE
    session = onnxruntime.InferenceSession(out / MODEL_FILE)
    assert [(one.name, one.shape) for one in session.get_inputs()] == [
        ("input_values", ["batch", "length"])
    ]
    assert [(one.name, one.shape) for one in session.get_outputs()] == [("logits", ["batch", 3])]
    graph = onnx.load(out / MODEL_FILE)  # one file, without paths of this machine
    assert not any(one.external_data for one in graph.graph.initializer)
    content = (out / MODEL_FILE).read_bytes()
    assert b"site-packages" not in content
    assert str(Path(__file__).parents[2]).encode() not in content
    readme = (out / "README.md").read_text("utf-8")
    shown = done.output
    for text in (readme, shown):
        assert "largest difference from PyTorch: " in text
        assert "on 4 clips of the folder clips" in text
        assert "of 4 clips" in text
    assert "exporter: dynamo" in readme
    assert 'OnnxClassifier.from_pretrained("out")' in readme
    assert '{ dtype: "q8" }' in readme
    assert max(map(len, shown.splitlines())) <= 80 + len(str(out))


def test_lengths_have_odd_and_even_numbers_of_frames(run: Path) -> None:
    model = load_for_inference(run)
    network: Any = model.model
    found = choose_lengths(model, 1.0)
    assert len(found) >= 6
    assert RATE in found  # the window
    frames = [int(network._get_feat_extract_output_lengths(n)) for n in found]
    assert {n % 2 for n in frames} == {0, 1}
    for attempt in list_attempts(model):
        assert int(network._get_feat_extract_output_lengths(attempt.num_samples)) % 2 == 1


@pytest.mark.parametrize("family", ["sew", "sew-d"])
def test_a_graph_that_is_wrong_for_odd_numbers_of_frames_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    run = write_family(family, tmp_path)
    even = Attempt("torchscript", 16_160)  # 50 frames: the graph never pads
    monkeypatch.setattr(exporting, "list_attempts", lambda _: [even])
    out = tmp_path / "out"
    with pytest.raises(ModelError, match=r"differ from PyTorch by up to .* of \d+ lengths: "):
        export_model(ExportRequest(str(run), out))
    assert not out.exists()
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []
    monkeypatch.undo()
    skip_dynamo(monkeypatch)
    report = export_model(ExportRequest(str(run), out))
    assert report.exporter == "torchscript"
    assert report.comparison.largest < 1e-4


def test_a_failing_exporter_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_dynamo(monkeypatch)  # TorchScript cannot trace Moonshine, and would print its graph
    run = write_classifier(write_tiny_outside("moonshine", tmp_path / "e"), tmp_path / "run")
    with pytest.raises(ModelError, match=r"\(torchscript\): All tensors must have the same rank"):
        export_model(ExportRequest(str(run), tmp_path / "out"))
    assert capfd.readouterr().out == ""


def test_the_second_exporter_is_used_where_the_first_one_fails(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = torch.onnx.export

    def fail(*args: object, dynamo: bool, **options: Any) -> object:  # noqa: ANN401
        if dynamo:
            raise RuntimeError("cannot be solved")
        return real(*args, dynamo=dynamo, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.onnx, "export", fail)
    report = export_model(ExportRequest(str(run), tmp_path / "out"))
    assert report.exporter == "torchscript"
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: fail(dynamo=True))
    with pytest.raises(ModelError, match=r"\(dynamo\): cannot be solved.*\(torchscript\): cannot"):
        export_model(ExportRequest(str(run), tmp_path / "other"))
    assert not (tmp_path / "other").exists()


def test_a_taken_folder_is_refused_before_the_model_is_loaded(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    for overwrite in (False, True):  # not an export: it is never replaced
        with pytest.raises(RunFolderError, match="is not an export"):
            export_model(ExportRequest("nowhere", out, overwrite=overwrite))
    with pytest.raises(RunFolderError, match="folder of the model"):
        export_model(ExportRequest(str(run), run, overwrite=True))
    skip_dynamo(monkeypatch)
    (out / "thesis.txt").unlink()
    export_model(ExportRequest(str(run), out, int8=True))
    (out / "thesis.txt").write_text("mine")
    before = (out / "README.md").read_bytes()
    with pytest.raises(RunFolderError, match="Add --overwrite"):
        export_model(ExportRequest(str(run), out))
    with monkeypatch.context() as broken:  # a failure leaves the earlier export as it was
        broken.setattr(Comparison, "is_equal", False)
        with pytest.raises(ModelError, match="cannot be exported exactly"):
            export_model(ExportRequest(str(run), out, overwrite=True))
    assert (out / "README.md").read_bytes() == before
    assert (out / INT8_FILE).is_file()
    export_model(ExportRequest(str(run), out, overwrite=True))
    assert list_files(out) == sorted([*EXPORTED, "thesis.txt"])


def test_a_folder_that_cannot_be_written_is_refused_first(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="is not a folder in which you may write"):
        export_model(ExportRequest("nowhere", tmp_path / "file" / "out"))


def test_a_full_disk_is_named_and_leaves_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch.onnx, "export", fill)
    with pytest.raises(RunFolderError, match="No space left for the export"):
        export_model(ExportRequest(str(run), tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_merged_adapters_are_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_dynamo(monkeypatch)
    cfg = ModelConfig(model=str(write_tiny_checkpoint("hubert", tmp_path / "e")), lora_rank=2)
    model = load_for_training(open_checkpoint(cfg), AudioConfig(max_seconds=1.0), LABELS)
    add_adapters(model.model, model.processor, cfg)
    with torch.no_grad():
        for name, weight in model.model.named_parameters():
            if "lora_B" in name:  # zeros, until trained
                weight.normal_(std=0.5)
    spread_logits(model)
    wave = make_clips(1)[0]
    with torch.inference_mode():
        expected = model.model(**model.processor([wave])).logits[0].numpy()
    model.save(tmp_path / "run")
    export_model(ExportRequest(str(tmp_path / "run"), tmp_path / "out"))
    onnx_classifier = OnnxClassifier.from_pretrained(tmp_path / "out")
    given = onnx_classifier.run_model([wave]).logits[0]
    np.testing.assert_allclose(given, expected, atol=1e-4)


def test_a_missing_library_is_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, "LIBRARIES", ("onnx", "no_such_library"))
    done = CliRunner().invoke(main, ["nowhere", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "needs no_such_library" in done.output
    assert "pip install 'audio-cls[onnx]'" in done.output


def test_an_older_version_is_not_added_to_the_newest_one(tmp_path: Path) -> None:
    words = ["USER/NAME", str(tmp_path / "out"), "--push", "--revision", "v1"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert "--push and --revision exclude each other" in done.output


def test_differences_are_relative_to_the_spread_of_small_logits() -> None:
    seconds = {100: 0.1, 200: 0.2}
    wrong = Comparison({100: 1e-7, 200: 3e-5}, 1e-6, seconds)
    assert not wrong.is_equal
    assert "up to 3e-05 (allowed: 1e-06) at 1 of 2 lengths: 0.2 s" in wrong.describe_failure()
    assert not dataclasses.replace(wrong, differences={100: np.nan}).is_equal


@pytest.mark.parametrize(
    "kind",
    ["clap", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("moonshine", "lasr_ctc"))],
)
def test_a_pooled_head_is_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "clap":
        skip_dynamo(monkeypatch)
    run = write_classifier(write_tiny_outside(kind, tmp_path / "encoder"), tmp_path / "run")
    report = export_model(ExportRequest(str(run), tmp_path / "out"))
    assert report.is_pooled
    assert not report.runs_in_browser
    assert report.comparison.largest < 1e-4


@pytest.mark.parametrize("pooling", ["mean_std", "attention"])
def test_every_pooling_is_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pooling: Pooling
) -> None:
    skip_dynamo(monkeypatch)
    encoder = write_tiny_outside("clap", tmp_path / "encoder")
    run = write_classifier(encoder, tmp_path / "run", pooling=pooling)
    assert export_model(ExportRequest(str(run), tmp_path / "out")).comparison.largest < 1e-4


def test_a_weighted_sum_of_layers_is_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_dynamo(monkeypatch)
    run = write_family("wavlm", tmp_path, use_weighted_layer_sum=True)
    model: AudioModel = load_for_inference(run)
    assert hasattr(model.model, "layer_weights")
    assert export_model(ExportRequest(str(run), tmp_path / "out")).comparison.largest < 1e-4


@pytest.mark.long
@pytest.mark.parametrize("family", DIFFERENT_GRAPHS)
def test_families_are_exported_exactly(tmp_path: Path, family: str) -> None:
    run = write_family(family, tmp_path)
    report = export_model(ExportRequest(str(run), tmp_path / "out", int8=True))
    assert report.exporter == "dynamo"
    assert report.comparison.largest < 1e-4
    assert report.agreement is not None
    assert report.agreement.num_equal >= 0.8 * report.agreement.num_clips
