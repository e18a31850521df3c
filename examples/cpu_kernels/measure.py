"""Training steps with PyTorch's forwards and with the kernels of this package, side by side.

    python examples/cpu_kernels/measure.py --case unfrozen --rounds 2

Random weights in the shapes of well-known checkpoints, noise as audio, one thread, on Linux. A row
has CPU seconds of a step (forward, backward, AdamW; the least of all rounds) and peak memory of the
process. `checkpointed` is PyTorch with each layer of the feature encoder as a checkpoint. `--bf16`
adds rows under autocast to bfloat16, for processors that have it; with `--inference`, a step is a
forward without gradients. Each measurement is a process of
its own; the ways of computing alternate.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from audio_cls.benchmark.machine import describe_machine, read_peak_memory
from audio_cls.benchmark.random_checkpoints import SHAPES
from audio_cls.models.kernels.install import install_fast_kernels
from audio_cls.storage.process_memory import retain_freed_memory

RATE = 16_000
Case = tuple[str, list[float], bool]  # shape, seconds of each clip, is the feature encoder frozen?
CASES: dict[str, Case] = {
    "frozen": ("distilhubert", [5] * 4, True),
    "unfrozen": ("distilhubert", [5] * 2, False),
    "keywords": ("distilhubert", [1] * 8, False),
    "mixed": ("distilhubert", [0.5, 1.5, 4], False),
    "wav2vec2-frozen": ("wav2vec2", [4] * 2, True),
    "wav2vec2-unfrozen": ("wav2vec2", [4], False),
    "whisper": ("whisper", [1] * 8, False),
    "ast": ("ast", [1] * 4, False),
}
HEADER = """| case | precision | computed by | s per step | speed | peak MB | of PyTorch's |
|---|---|---|---:|---:|---:|---:|"""
FRAMES_PER_SECOND = 100  # of the features of Whisper and AST


def make_inputs(family: str, seconds: list[float]) -> list[Tensor]:
    """Return a batch for each length of clips: a group norm allows no padding."""
    if family == "whisper":
        return [torch.randn(len(seconds), 80, round(FRAMES_PER_SECOND * seconds[0]))]
    if family == "audio-spectrogram-transformer":
        return [torch.randn(len(seconds), round(FRAMES_PER_SECOND * seconds[0]), 128)]
    lengths = sorted(set(seconds), reverse=True)
    return [torch.randn(seconds.count(length), round(RATE * length)) for length in lengths]


def make_model(shape: str, seconds: list[float]) -> Any:  # noqa: ANN401
    """Return a classifier with random weights, for clips of these lengths."""
    family, changes = SHAPES[shape]
    config = transformers.AutoConfig.for_model(family, num_labels=4, **changes)
    config.layerdrop = 0.0
    if family == "whisper":
        config.max_source_positions = round(FRAMES_PER_SECOND * seconds[0] / 2)
    if family == "audio-spectrogram-transformer":
        config.max_length = round(FRAMES_PER_SECOND * seconds[0])
    torch.manual_seed(0)
    made: Any = transformers.AutoModelForAudioClassification
    return made.from_config(config)


def freeze_encoder(model: Any, inputs: list[Tensor]) -> None:  # noqa: ANN401
    """Freeze the feature encoder; its output is computed once."""
    encoder = model.base_model.feature_extractor.eval()
    with torch.no_grad():
        cached = {len(waves[0]): encoder(waves) for waves in inputs}
    model.freeze_feature_encoder()
    encoder.forward = lambda waves: cached[len(waves[0])]


def checkpoint_encoder(model: Any) -> None:  # noqa: ANN401
    """Compute each layer of the feature encoder again in the backward pass."""
    for layer in model.base_model.feature_extractor.conv_layers:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)


def train_step(model: Any, optimizer: Any, inputs: list[Tensor]) -> None:  # noqa: ANN401
    """Do one step of training on all batches."""
    for batch in inputs:
        model(batch).logits.float().logsumexp(dim=-1).sum().backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


@torch.inference_mode()
def infer(model: Any, _: object, inputs: list[Tensor]) -> None:  # noqa: ANN401
    """Compute the logits of all batches."""
    for batch in inputs:
        model.eval()(batch)


def measure(
    step: Callable[[Any, Any, list[Tensor]], None],
    model: Any,  # noqa: ANN401
    change: Callable[[Any], Any],
    inputs: list[Tensor],
    precision: torch.dtype,
    steps: int,
) -> tuple[float, float]:
    """Return CPU seconds of a step and peak MB, measured in a process of its own."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        change(model)
        weights = [weight for weight in model.train().parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(weights, fused=True)
        retain_freed_memory(large=False)
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        seconds = []
        for _ in range(steps + 1):  # the first one allocates memory
            started = time.process_time()
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
                step(model, optimizer, inputs)
            seconds.append(time.process_time() - started)
        os.write(write, json.dumps([min(seconds[1:]), read_peak_memory()]).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        found = pipe.read()
    os.waitpid(child, 0)
    seconds_of_step, megabytes = json.loads(found)
    return seconds_of_step, megabytes


def measure_case(name: str, options: Any, precisions: list[torch.dtype]) -> None:  # noqa: ANN401
    """Print the rows of a case."""
    shape, seconds, is_frozen = CASES[name]
    step = infer if options.inference else train_step
    model = make_model(shape, seconds)
    inputs = make_inputs(SHAPES[shape][0], seconds)
    ways: dict[str, Callable[[Any], Any]] = {
        "PyTorch": lambda _: None,
        "kernels": install_fast_kernels,
    }
    if is_frozen:
        freeze_encoder(model, inputs)
    elif not options.inference and hasattr(model.base_model, "feature_extractor"):
        ways["checkpointed"] = checkpoint_encoder
    for precision in precisions:
        found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(options.rounds):
            for way, change in ways.items():
                cost = measure(step, model, change, inputs, precision, options.steps)
                found[way].append(cost)
        best = {way: [min(values) for values in zip(*rows)] for way, rows in found.items()}  # noqa: B905
        base = best["PyTorch"]
        for way, (least, memory) in best.items():
            sys.stdout.write(
                f"| {name} | {precision} | {way} | {least:.2f} | {base[0] / least:.2f} |"
                f" {memory:.0f} | {memory / base[1]:.2f} |\n"
            )
            sys.stdout.flush()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", action="append", choices=list(CASES), help="Default: all.")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--inference", action="store_true")
    options = parser.parse_args()
    precisions = [torch.float32, torch.bfloat16] if options.bf16 else [torch.float32]
    torch.set_num_threads(1)
    sys.stdout.write(f"{describe_machine()}\n\n{HEADER}\n")
    for name in options.case or CASES:
        measure_case(name, options, precisions)


if __name__ == "__main__":
    main()
