"""Export one model of each family and measure it: differences, sizes, times, int8.

    python examples/onnx_without_torch/measure_families.py [FAMILY ...]

The models have the shape of well-known checkpoints with two transformer layers, random weights, and
clips of 5 s. Times are CPU milliseconds of a forward pass with one thread, the median of 5. Needs
the extra `onnx`; prints a Markdown table, a row per family, 20 to 60 s each.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.export.clips import read_check_clips
from audio_cls.export.export_model import ExportRequest, export_model
from audio_cls.inference.onnx.classifier import INT8_FILE, MODEL_FILE, OnnxClassifier
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.load import load_for_inference, load_for_training

SECONDS, REPEATS = 5.0, 5
LABELS = [f"class {n}" for n in range(10)]
NORMED = ("wav2vec2-conformer",)  # with an attention mask
SHAPES: dict[str, dict[str, Any]] = {
    "audio-spectrogram-transformer": {},
    "data2vec-audio": {},
    "hubert": {},
    "sew": {},
    "sew-d": {},
    "unispeech": {},
    "unispeech-sat": {},
    "wav2vec2": {},
    "wav2vec2-bert": {},
    "wav2vec2-conformer": {"feat_extract_norm": "layer"},
    "wavlm": {},
    "whisper": {
        "d_model": 512, "encoder_layers": 2, "encoder_attention_heads": 8, "encoder_ffn_dim": 2048,
        "decoder_layers": 1, "decoder_attention_heads": 8, "decoder_ffn_dim": 2048,
    },
    "moonshine": {"encoder_num_hidden_layers": 2, "decoder_num_hidden_layers": 1},  # pooled head
}  # fmt: skip
HEADER = (
    "| family | exporter | parameters | largest difference | float32 MB | int8 MB | PyTorch ms"
    " | ONNX Runtime ms | int8 ms | int8: same label | int8: probability |\n|---|---|" + "---:|" * 9
)


def write_encoder(family: str, folder: Path) -> None:
    """Write an encoder with random weights and the feature extractor of its family."""
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    library: Any = transformers
    layers = {} if family in ("whisper", "moonshine") else {"num_hidden_layers": 2}
    config = library.AutoConfig.for_model(family, **{**layers, **SHAPES[family]})
    torch.manual_seed(0)
    library.AutoModel.from_config(config).save_pretrained(folder)
    extractors = {
        "whisper": library.WhisperFeatureExtractor,
        "audio-spectrogram-transformer": library.ASTFeatureExtractor,
        "wav2vec2-bert": library.SeamlessM4TFeatureExtractor,
    }
    extractor = extractors.get(family, library.Wav2Vec2FeatureExtractor)()
    if family in NORMED:
        extractor.return_attention_mask = True
    extractor.save_pretrained(folder)


def write_classifier(encoder: Path, folder: Path) -> None:
    """Write a classifier whose logits vary by about 1 between the clips of the demo."""
    checkpoint = open_checkpoint(ModelConfig(model=str(encoder)))
    audio_model = load_for_training(checkpoint, AudioConfig(max_seconds=SECONDS), LABELS)
    network: Any = audio_model.model.eval()  # type: ignore[no-untyped-call]
    waves = read_check_clips(audio_model, "USER/NAME", None).waves[:8]
    with torch.no_grad():
        logits = torch.cat([network(**audio_model.processor([wave])).logits for wave in waves])
        *_, last = (m for m in network.classifier.modules() if isinstance(m, torch.nn.Linear))
        scale = 1 / float(logits.std(dim=0).max())
        last.weight *= scale
        last.bias.sub_(logits.mean(dim=0) * scale)
    audio_model.save(folder)


def measure(act: Callable[[], object]) -> float:
    """Return the median of the CPU time of a call, in milliseconds."""
    times = []
    for _ in range(REPEATS + 1):
        started = time.process_time()
        act()
        times.append(1000 * (time.process_time() - started))
    return float(np.median(times[1:]))


def run_torch(audio_model: AudioModel, wave: NDArray[np.float32]) -> Callable[[], object]:
    """Return a forward pass of PyTorch, without the features."""
    inputs = audio_model.processor([wave])

    def act() -> object:
        with torch.inference_mode():
            return audio_model.model(**inputs)

    return act


def run_onnx(folder: Path, wave: NDArray[np.float32], *, int8: bool) -> Callable[[], object]:
    """Return a forward pass of ONNX Runtime, without the features."""
    classifier = OnnxClassifier.from_pretrained(folder, int8=int8, num_threads=1)
    inputs = classifier.processor([wave])
    return lambda: classifier.session.run(inputs)


def measure_family(family: str, folder: Path) -> str:
    """Return a row of the table."""
    write_encoder(family, folder / "encoder")
    write_classifier(folder / "encoder", folder / "run")
    out = folder / "exported"
    report = export_model(ExportRequest(str(folder / "run"), out, int8=True))
    wave = np.random.default_rng(0).normal(0, 0.1, round(SECONDS * 16_000)).astype(np.float32)
    audio_model = load_for_inference(folder / "run")
    audio_model.model.eval()  # type: ignore[no-untyped-call]
    num_parameters = sum(one.numel() for one in audio_model.model.parameters())
    agreement = report.agreement
    assert agreement is not None
    cells = [
        family + (" (pooled head)" if report.is_pooled else ""),
        report.exporter,
        f"{num_parameters / 1e6:.1f} M",
        f"{report.comparison.largest:.0e} at {len(report.comparison.differences)} lengths",
        *(f"{report.sizes[file] / 1e6:.1f}" for file in (MODEL_FILE, INT8_FILE)),
        f"{measure(run_torch(audio_model, wave)):.0f}",
        *(f"{measure(run_onnx(out, wave, int8=int8)):.0f}" for int8 in (False, True)),
        f"{agreement.num_equal} of {agreement.num_clips}",
        f"{agreement.largest:.3f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure the families that are given, or all."""
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.stdout.write(f"{HEADER}\n")
    for family in sys.argv[1:] or SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            sys.stdout.write(f"{measure_family(family, Path(folder))}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
