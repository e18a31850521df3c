"""Trained tiny models and their exports to ONNX, for the tests of export and of OnnxClassifier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tiny_models import write_tiny_checkpoint

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.export.graph import Attempt, Exporter, list_attempts, write_graph
from audio_cls.inference.onnx.classifier import MODEL_FILE
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.load import load_for_inference, load_for_training

Pooling = Literal["auto", "mean", "mean_std", "attention"]
LABELS = ("cat", "dog", "owl")
RATE = 16_000


def write_classifier(
    checkpoint: Path,
    folder: Path,
    *,
    entry: dict[str, Any] | None = None,
    is_multilabel: bool = False,
    use_weighted_layer_sum: bool = False,
    pooling: Pooling = "auto",
    **audio: Any,  # noqa: ANN401
) -> Path:
    """Write a classifier with random weights and logits of a spread near 1.

    Args:
        checkpoint: An encoder, see `write_tiny_checkpoint`.
        folder: Where to write.
        entry: Added to config.json's `audio_cls`: temperature, thresholds.
        is_multilabel: Each label has a probability of its own.
        use_weighted_layer_sum: The head gets a weighted sum of all layers.
        pooling: Of a pooled head; the weights of attention are drawn at random.
        audio: Of `AudioConfig`; clips of 1 s by default.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weighted = True if use_weighted_layer_sum else None
        cfg = ModelConfig(model=str(checkpoint), weighted_layer_sum=weighted, pooling=pooling)
        opened = open_checkpoint(cfg)
        settings = AudioConfig(**{"max_seconds": 1.0, **audio})
        model = load_for_training(opened, settings, LABELS, is_multilabel=is_multilabel)
        for name, weight in model.model.named_parameters():
            if name == "pooling.weight":
                torch.nn.init.normal_(weight)
    spread_logits(model)
    model.save(folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["audio_cls"] |= entry or {}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


def spread_logits(audio_model: AudioModel) -> None:
    """Scale the last layer so that logits vary by about 1 from clip to clip. In place."""
    waves = make_clips(6)
    network: Any = audio_model.model.eval()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        table = torch.cat([network(**audio_model.processor([wave])).logits for wave in waves])
        scale = 1.0 / float(table.std(dim=0).max())
        *_, last = (m for m in network.classifier.modules() if isinstance(m, torch.nn.Linear))
        last.weight *= scale
        last.bias -= table.mean(dim=0) * scale


def make_clips(count: int, num_samples: int = RATE) -> list[NDArray[np.float32]]:
    """Return tones of several pitches in noise, (T,) each."""
    rng = np.random.default_rng(5)
    time = np.arange(num_samples) / RATE
    return [
        np.float32(0.3 * np.sin(2 * np.pi * 150 * 2**n * time) + rng.normal(0, 0.02, num_samples))
        for n in range(count)
    ]


def export_quickly(folder: Path, out: Path, exporter: Exporter = "torchscript") -> AudioModel:
    """Write the files of an export by one exporter, unchecked; return the model."""
    audio_model = load_for_inference(folder)
    audio_model.model.eval()  # type: ignore[no-untyped-call]
    (out / "onnx").mkdir(parents=True)
    num_samples = list_attempts(audio_model)[0].num_samples
    write_graph(audio_model, Attempt(exporter, num_samples), out / MODEL_FILE)
    (out / "config.json").write_bytes((folder / "config.json").read_bytes())
    audio_model.processor.extractor.save_pretrained(out)
    return audio_model


def write_family(family: str, folder: Path, **settings: Any) -> Path:  # noqa: ANN401
    """Write a tiny classifier of a family of `tiny_models` in FOLDER/run."""
    return write_classifier(
        write_tiny_checkpoint(family, folder / "encoder"), folder / "run", **settings
    )
