"""Export of a trained model to ONNX, in the layout of transformers.js and the Hub.

OUT/
  config.json                  labels, windows, temperature, thresholds
  preprocessor_config.json     sampling rate, settings of the features
  README.md                    sizes, largest difference, how to load it
  onnx/model.onnx              float32
  onnx/model_quantized.onnx    int8 weights
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audio_cls.audio.waveform import Wave
from audio_cls.errors import ModelError
from audio_cls.export.clips import read_check_clips
from audio_cls.export.compare import (
    Comparison,
    choose_lengths,
    compare,
    cut_clips,
    reference_logits,
)
from audio_cls.export.graph import list_attempts, write_graph
from audio_cls.export.quantize import Agreement, measure_agreement, quantize
from audio_cls.export.readme import ExportReport, render_readme
from audio_cls.export.target import check_libraries, check_target, write_folder
from audio_cls.inference.onnx.classifier import INT8_FILE, MODEL_FILE
from audio_cls.inference.onnx.session import OnnxSession
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import has_pooled_head
from audio_cls.models.checkpoint_files import quiet_transformers
from audio_cls.models.inference_settings import find_file, read_inference_settings
from audio_cls.models.load import load_for_inference
from audio_cls.progress import ProgressReport

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportRequest:
    """What is exported, and where to."""

    model: str  # run folder or Hub id
    out: Path
    revision: str | None = None
    int8: bool = False  # also a file with int8 weights
    clips: Path | None = None  # folder of audio files to compare on
    overwrite: bool = False  # replace an earlier export
    repo_id: str | None = None  # repository of the model, which the README names
    trust_remote_code: bool = False


def export_model(request: ExportRequest, audio_model: AudioModel | None = None) -> ExportReport:
    """Export a model and compare it with PyTorch; a folder that exists is left as it was on errors.

    Args:
        request: What is exported.
        audio_model: The model, on the CPU, where it is loaded already.

    Raises:
        ModelError: The extra `onnx` is not installed, the model cannot be loaded, or the exported
            model gives other logits.
        RunFolderError: The folder is taken.
    """
    check_libraries()
    check_target(request.out, request.model, overwrite=request.overwrite)
    if audio_model is None:
        audio_model = load_for_inference(
            request.model, request.revision, trust_remote_code=request.trust_remote_code
        )
    audio_model.model.eval()  # type: ignore[no-untyped-call]
    clips = read_check_clips(audio_model, request.model, request.clips)
    with write_folder(request.out) as folder:
        exporter, comparison = _write_checked(audio_model, clips.waves, folder / MODEL_FILE)
        _write_settings(audio_model, request, folder)
        agreement: Agreement | None = None
        if request.int8:
            with ProgressReport("int8", None, logger):
                quantize(folder / MODEL_FILE, folder / INT8_FILE)
                agreement = measure_agreement(folder, clips.waves)
        files = [MODEL_FILE, *([INT8_FILE] if request.int8 else [])]
        is_local = Path(request.model).is_dir()
        report = ExportReport(
            model=Path(request.model).resolve().name if is_local else request.model,
            place=request.repo_id or (request.out.resolve().name if is_local else request.model),
            family=str(audio_model.model.config.model_type),
            is_pooled=has_pooled_head(audio_model.model.config),
            num_labels=len(audio_model.labels),
            inputs=OnnxSession(folder / MODEL_FILE).describe_inputs(),
            exporter=exporter,
            origin=clips.origin,
            comparison=comparison,
            agreement=agreement,
            sizes={file: (folder / file).stat().st_size for file in files},
        )
        (folder / "README.md").write_text(render_readme(report), "utf-8")
    return report


def _write_checked(
    audio_model: AudioModel, clips: Sequence[Wave], file: Path
) -> tuple[str, Comparison]:
    """Write the graph by the first exporter whose graph gives the logits of PyTorch.

    Returns:
        The exporter and the comparison.

    Raises:
        ModelError: No exporter does.
    """
    settings = read_inference_settings(audio_model)
    window = settings.window_seconds or settings.piece_seconds
    waves = cut_clips(clips, choose_lengths(audio_model, window))
    with ProgressReport("Logits of PyTorch", None, logger):
        expected = reference_logits(audio_model, waves)
    reasons = []
    for attempt in list_attempts(audio_model):
        try:
            with ProgressReport(f"Exporting ({attempt.exporter})", None, logger):
                write_graph(audio_model, attempt, file)
                comparison = _compare_file(audio_model, file, waves, expected)
        except ModelError as error:
            reasons.append(str(error))
            logger.info("%s", error)
            continue
        if comparison.is_equal:
            return attempt.exporter, comparison
        reasons.append(f"{attempt.exporter}: {comparison.describe_failure()}")
        logger.info("%s", reasons[-1])
    raise ModelError(
        f"The model cannot be exported exactly; nothing was written. {'; '.join(reasons)}. Please"
        " report the model's family; use the model with PyTorch (audio_cls.Classifier)."
    )


def _compare_file(
    audio_model: AudioModel,
    file: Path,
    waves: Sequence[Wave],
    expected: Sequence[NDArray[np.float32]],
) -> Comparison:
    """Compare a file with PyTorch.

    Raises:
        ModelError: ONNX Runtime cannot load the file, or fails at one of the lengths.
    """
    return compare(audio_model, OnnxSession(file), waves, expected)


def _write_settings(audio_model: AudioModel, request: ExportRequest, folder: Path) -> None:
    """Write config.json as the model has it, and preprocessor_config.json."""
    config = find_file(request.model, request.revision, "config.json")
    assert config is not None  # the model was loaded from it
    shutil.copyfile(config, folder / "config.json")
    with quiet_transformers():
        audio_model.processor.extractor.save_pretrained(folder)
