"""OnnxClassifier: files and waveforms -> labels and scores by ONNX Runtime, without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audio_cls.audio.waveform import Wave
from audio_cls.errors import ModelError
from audio_cls.inference.base_classifier import NUM_WORKERS, BaseClassifier, check_count
from audio_cls.inference.batching import BATCH_SIZE, CPU_BATCH_SECONDS, ModelInput, ModelOutput
from audio_cls.inference.label_rule import LabelRule
from audio_cls.inference.onnx.features import PREPROCESSOR, NumpyProcessor, load_extractor
from audio_cls.inference.onnx.session import OnnxSession
from audio_cls.models.inference_settings import (
    CONFIG_KEY,
    PROBLEM_TYPES,
    find_file,
    parse_settings,
    parse_temperature,
    parse_thresholds,
)

MODEL_FILE, INT8_FILE = "onnx/model.onnx", "onnx/model_quantized.onnx"


class OnnxClassifier(BaseClassifier):
    """A model of `audio-cls export` that classifies files and waveforms; used as `Classifier`.

    Example:
        >>> classifier = OnnxClassifier.from_pretrained("exported")  # doctest: +SKIP
        >>> classifier("hello.wav").label  # doctest: +SKIP
        'it'
    """

    def __init__(
        self,
        session: OnnxSession,
        processor: NumpyProcessor,
        model_input: ModelInput,
        rule: LabelRule,
        num_workers: int | None = None,
    ) -> None:
        """Set the parts; see `from_pretrained`."""
        super().__init__(model_input, rule, num_workers)
        self.session = session
        self.processor = processor

    @classmethod
    def from_pretrained(  # noqa: PLR0913 (names of the public interface)
        cls,
        folder_or_id: str | Path,
        revision: str | None = None,
        *,
        int8: bool = False,
        calibrate: bool = True,
        reject_below: float | None = None,
        batch_size: int = BATCH_SIZE,
        num_threads: int | None = None,
        num_workers: int | None = None,
    ) -> OnnxClassifier:
        """Load an exported model: a folder, or a Hub id with `onnx/model.onnx`. Downloads.

        Args:
            folder_or_id: OUT of `audio-cls export`, or the id of a model on the Hub.
            revision: Branch, tag or commit there.
            int8: Load `onnx/model_quantized.onnx`.
            calibrate: See `Classifier.from_pretrained`.
            reject_below: See there.
            batch_size: Windows of one forward pass, at most.
            num_threads: Threads of a forward pass. Default: one for each core.
            num_workers: Threads that decode. Default: 2.

        Raises:
            ModelError: A file is missing or cannot be read, or onnxruntime is not installed.
            SettingError: A value is out of range.
        """
        check_count("batch_size", batch_size, 1)
        check_count("num_workers", NUM_WORKERS if num_workers is None else num_workers, 0)
        name = INT8_FILE if int8 else MODEL_FILE
        files = {
            one: find_file(str(folder_or_id), revision, one)
            for one in ("config.json", PREPROCESSOR, name)
        }
        missing = [one for one, found in files.items() if found is None]
        if missing:
            raise ModelError(
                f"'{folder_or_id}' has no {missing[0]}. Give the folder that audio-cls export"
                f" wrote{' with --int8' if missing == [INT8_FILE] else ''}, or a model on the Hub"
                " with these files; check the name and the network."
            )
        config, extractor, model = (found for found in files.values() if found is not None)
        session = OnnxSession(model, num_threads=num_threads)
        processor = NumpyProcessor(load_extractor(extractor.parent), session.input_spec)
        settings = _read_config(config)
        model_input = _make_model_input(settings, processor, batch_size)
        rule = _make_rule(settings, calibrate=calibrate, reject_below=reject_below)
        return cls(session, processor, model_input, rule, num_workers)

    def run_model(self, waves: Sequence[Wave], *, with_embeddings: bool = False) -> ModelOutput:
        """Run the network; see the base class.

        Raises:
            ModelError: Embeddings are asked for, which the exported model does not return.
        """
        if with_embeddings:
            raise ModelError("An ONNX model gives no embeddings: use audio_cls.Classifier.")
        return ModelOutput(self.session.run(self.processor(waves)).astype("float64"))


def _read_config(file: Path) -> dict[str, Any]:
    """Read a config.json.

    Raises:
        ModelError: It cannot be read, or has no labels.
    """
    try:
        config = json.loads(file.read_text("utf-8"))
        config["id2label"] = {int(key): str(name) for key, name in config["id2label"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"'{file}' is not the config.json of a classifier: it needs the labels in id2label."
            " Export the model again."
        ) from error
    return dict(config)


def _entry(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that audio_cls wrote into config.json; empty for other models."""
    entry = config.get(CONFIG_KEY)
    return entry if isinstance(entry, dict) else {}


def _make_model_input(
    config: Mapping[str, Any], processor: NumpyProcessor, batch_size: int
) -> ModelInput:
    """Return what the network takes."""
    spec, rate = processor.input_spec, int(processor.extractor.sampling_rate)
    audio = parse_settings(_entry(config), spec.max_samples, rate)
    return ModelInput(
        audio,
        rate,
        equal_lengths=not spec.pads_safely,
        max_samples=spec.max_samples,
        batch_size=batch_size,
        max_batch_samples=round(CPU_BATCH_SECONDS * rate),
    )


def _make_rule(
    config: Mapping[str, Any], *, calibrate: bool, reject_below: float | None
) -> LabelRule:
    """Return how labels are chosen."""
    entry, names = _entry(config), config["id2label"]
    labels = tuple(names[number] for number in sorted(names))
    is_multilabel = config.get("problem_type") == PROBLEM_TYPES["multi-label"]
    temperature = (parse_temperature(entry) if calibrate else None) or 1.0
    thresholds = parse_thresholds(entry, labels) if is_multilabel else None
    return LabelRule(labels, is_multilabel, temperature, thresholds, reject_below)
