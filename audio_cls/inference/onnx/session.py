"""OnnxSession: an exported model in ONNX Runtime, model inputs -> logits. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.errors import ModelError

INSTALL = "pip install 'audio-cls[onnx]'"
METADATA_KEY = "audio_cls"  # of the model file's metadata
OUTPUT = "logits"


@dataclass(frozen=True)
class OnnxInputSpec:
    """What has to be known of a model's input, kept in the metadata of its ONNX file."""

    input_name: str  # "input_values" or "input_features"
    has_mask: bool  # an attention_mask is passed, too
    pads_safely: bool  # a clip's logits do not depend on longer clips in its batch
    min_samples: int  # zeros are added to shorter waveforms
    max_samples: int | None  # the end of longer ones is cut off; None: no limit

    def to_json(self) -> str:
        """Return the text that is kept in the file."""
        return json.dumps(asdict(self))


def import_onnxruntime() -> Any:  # noqa: ANN401 (a module)
    """Return the library onnxruntime.

    Raises:
        ModelError: It is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(f"ONNX models need onnxruntime. Install it: {INSTALL}") from error
    return onnxruntime


def list_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of ONNX Runtime, which have no base class of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    kinds: list[type[Any]] = [one for one in vars(state).values() if isinstance(one, type)]
    return (RuntimeError, *(one for one in kinds if issubclass(one, Exception)))


class OnnxSession:
    """One ONNX file in ONNX Runtime, on the CPU."""

    def __init__(self, file: Path, *, num_threads: int | None = None) -> None:
        """Open a file.

        Args:
            file: Written by `audio-cls export`.
            num_threads: Threads of one forward pass; None: one for each core.

        Raises:
            ModelError: ONNX Runtime is not installed or cannot read the file, or the file was not
                written by `audio-cls export`.
        """
        runtime = import_onnxruntime()
        failures: tuple[type[Exception], ...] = (*list_errors(), ValueError, TypeError)
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # errors; warnings are about graph optimisations
        if num_threads is not None:
            options.intra_op_num_threads = options.inter_op_num_threads = num_threads
        try:
            self.session = runtime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
            metadata = self.session.get_modelmeta().custom_metadata_map
            self.input_spec = OnnxInputSpec(**json.loads(metadata[METADATA_KEY]))
        except KeyError as error:
            raise ModelError(
                f"'{file}' was not written by audio-cls export: it does not state how its input is"
                " made. Export the model again."
            ) from error
        except failures as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"ONNX Runtime cannot read '{file}' ({reason}). Export the model again."
            ) from error

    def describe_inputs(self) -> str:
        """Return the names and axes of the inputs.

        Such as "`input_values` (batch, length) and `attention_mask` (batch, length)".
        """
        parts = [(one.name, ", ".join(map(str, one.shape))) for one in self.session.get_inputs()]
        return " and ".join(f"`{name}` ({axes})" for name, axes in parts)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return the logits (B, L) of a batch.

        Args:
            inputs: The batch by input name: the waveforms (B, T) or features (B, F, ...) float32,
                and the mask, int64, where the model takes one.

        Raises:
            ModelError: ONNX Runtime fails.
        """
        try:
            (logits,) = self.session.run([OUTPUT], dict(inputs))
        except list_errors() as error:
            shapes = {name: value.shape for name, value in inputs.items()}
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"ONNX Runtime failed for inputs of shape {shapes}: {reason}. Export the model"
                " again, or use it with PyTorch (audio_cls.Classifier)."
            ) from error
        return np.asarray(logits, dtype=np.float32)
