"""PyTorch classifier -> ONNX file, by the exporters of torch.onnx. Letters: B clips, T samples.

Input `input_values` (B, T) or `input_features` (B, F, ...), and `attention_mask` where the model
takes one, as the processor makes them for one clip; output `logits` (B, L). Batch and length are
free, but for models of fixed length.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnx
import torch
from torch import Tensor, nn

from audio_cls.audio.waveform import Wave
from audio_cls.errors import ModelError
from audio_cls.inference.onnx.session import METADATA_KEY, OUTPUT, OnnxInputSpec
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.probe import make_probe_noise
from audio_cls.storage.files import is_disk_full

Exporter = Literal["dynamo", "torchscript"]
OPSETS: dict[Exporter, int] = {"dynamo": 20, "torchscript": 17}
AXES = ("batch", "length")  # names of the free axes
# Steps in the search for a length with an odd number of frames.
FRAME_SECONDS, NUM_STEPS = 0.005, 20
# Exceptions that the exporters raise for a model that they cannot trace.
FAILURES = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError)
PRINT_GRAPH = "_jit_onnx_log"  # the function of torch that prints the graph of a failed export
FRAMES_METHOD = "_get_feat_extract_output_lengths"  # of transformers: samples -> frames


class _Logits(nn.Module):
    """A classifier with inputs by position and the logits as its only output."""

    def __init__(self, model: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the logits (B, L)."""
        output: Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits
        return output


@dataclass(frozen=True)
class Attempt:
    """One way to export."""

    exporter: Exporter
    num_samples: int  # of the waveforms that the model is traced with


def list_attempts(audio_model: AudioModel) -> list[Attempt]:
    """List the ways to export, in the order in which they are tried.

    Models that pad to an even number of frames keep the branch that the traced length takes: for an
    odd number they pad, by nothing where the number is even, so that the graph is right for both.
    """
    spec = audio_model.processor.input_spec
    second = spec.sampling_rate
    shortest = min(max(second, 2 * spec.min_samples), spec.max_samples or 10 * second)
    step = round(FRAME_SECONDS * second)
    lengths = [shortest + step * number for number in range(NUM_STEPS)]
    is_free = spec.max_samples is None
    num_samples = next(
        (n for n in lengths if is_free and _count_frames(audio_model, n) % 2), shortest
    )
    return [Attempt("dynamo", num_samples), Attempt("torchscript", num_samples)]


def _count_frames(audio_model: AudioModel, num_samples: int) -> int:
    """Return the number of frames of a waveform, of the model's convolutions or of its features."""
    spec = audio_model.processor.input_spec
    if spec.feature_layout is not None:
        features = audio_model.processor([make_probe_noise(num_samples)])[spec.input_name]
        return features.shape[spec.feature_layout.time_axis]
    for module in audio_model.model.modules():
        if hasattr(module, FRAMES_METHOD):
            return int(getattr(module, FRAMES_METHOD)(num_samples))
    return 1  # not known: any length


def make_inputs(audio_model: AudioModel, waves: Sequence[Wave]) -> dict[str, Tensor]:
    """Return the inputs of the graph for clips of one length; the mask is int64 for all models."""
    inputs = audio_model.processor(waves)
    return {name: v if v.is_floating_point() else v.long() for name, v in inputs.items()}


def write_graph(audio_model: AudioModel, attempt: Attempt, file: Path) -> None:
    """Export a classifier to one ONNX file, with the weights in it.

    Args:
        audio_model: On the CPU. Its attention is computed by `eager` meanwhile, which all exporters
            can trace.
        attempt: The exporter and the length.
        file: Where to write.

    Raises:
        ModelError: The exporter failed.
    """
    inputs = make_inputs(audio_model, [make_probe_noise(attempt.num_samples)] * 2)
    spec = audio_model.processor.input_spec
    network = _Logits(audio_model.model, list(inputs)).eval()
    try:
        with _eager_attention(audio_model.model), _quiet_exporter(), torch.no_grad():
            _run_exporter(network, inputs, file, attempt.exporter, _find_length_axis(audio_model))
    except FAILURES as error:
        if is_disk_full(error):
            raise
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"torch.onnx.export failed ({attempt.exporter}): {reason}. Use the model with PyTorch"
            " (audio_cls.Classifier)."
        ) from error
    _finish(
        file,
        OnnxInputSpec(
            spec.input_name, spec.has_mask, spec.pads_safely, spec.min_samples, spec.max_samples
        ),
    )


def _find_length_axis(audio_model: AudioModel) -> int | None:
    """Return the axis of the input along time; None where its length is fixed."""
    spec = audio_model.processor.input_spec
    if spec.max_samples is not None:
        return None
    return 1 if spec.feature_layout is None else spec.feature_layout.time_axis


def _run_exporter(
    network: nn.Module, inputs: dict[str, Tensor], file: Path, exporter: Exporter, axis: int | None
) -> None:
    """Call torch.onnx.export with a free batch axis, and a free length `axis` unless None."""
    names, values = list(inputs), tuple(inputs.values())
    free = {
        name: {0: AXES[0]} | ({} if axis is None else {min(axis, value.ndim - 1): AXES[1]})
        for name, value in inputs.items()
    }
    options: dict[str, Any] = {"input_names": names, "output_names": [OUTPUT]}
    options |= {"opset_version": OPSETS[exporter], "external_data": False}
    options["verbose"] = False
    if exporter == "dynamo":
        dynamic: Any = torch.export.Dim.DYNAMIC
        shapes = tuple({number: dynamic for number in free[name]} for name in names)
        # A tuple in a tuple: of the arguments, of *inputs.
        torch.onnx.export(network, values, file, dynamo=True, dynamic_shapes=(shapes,), **options)
        return
    axes = {**free, OUTPUT: {0: AXES[0]}}
    torch.onnx.export(network, values, file, dynamo=False, dynamic_axes=axes, **options)


@contextmanager
def _eager_attention(model: Any) -> Iterator[None]:  # noqa: ANN401
    """Compute attention by plain products in the block."""
    before = model.config._attn_implementation
    try:
        model.set_attn_implementation("eager")
        yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Hide the logs, warnings and printed graphs of the exporters, for their developers."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    internal: Any = torch._C
    print_graph = getattr(internal, PRINT_GRAPH, None)  # to standard output, whatever is set
    try:
        if print_graph is not None:
            setattr(internal, PRINT_GRAPH, lambda *_: None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if print_graph is not None:
            setattr(internal, PRINT_GRAPH, print_graph)
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)


def _finish(file: Path, spec: OnnxInputSpec) -> None:
    """Name the free axes, add the input's description, and remove paths of this machine."""
    model = onnx.load(file)
    graph = model.graph
    for node in graph.node:  # its place in the source code
        node.doc_string = ""
        del node.metadata_props[:]
    names: dict[str, str] = {}  # of the exporter -> in AXES; the mask's may differ from the wave's
    for value in [*graph.input, *graph.output]:
        free = [dim.dim_param for dim in value.type.tensor_type.shape.dim if dim.dim_param]
        names |= dict(zip(free, AXES, strict=False))
    for value in [*graph.input, *graph.output, *graph.value_info]:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in names:
                dim.dim_param = names[dim.dim_param]
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, spec.to_json()
    onnx.save(model, file)
