"""Classifier: files and waveforms -> labels and scores, by the same windows as in evaluation."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from audio_cls.audio.waveform import Wave
from audio_cls.config import MAX_CROP_SECONDS
from audio_cls.inference.base_classifier import NUM_WORKERS, BaseClassifier, check_count
from audio_cls.inference.batching import BATCH_SIZE, CPU_BATCH_SECONDS, ModelInput, ModelOutput
from audio_cls.inference.forward import (
    choose_device,
    choose_dtype,
    compute_logits,
    find_last_layer,
)
from audio_cls.inference.label_rule import LabelRule, check_reject_threshold
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.inference_settings import (
    is_calibrated,
    read_inference_settings,
    read_temperature,
    read_thresholds,
)
from audio_cls.models.load import load_for_inference
from audio_cls.models.probe import record_input


class Classifier(BaseClassifier):
    """A trained model that classifies files and waveforms.

    Example:
        >>> classifier = Classifier.from_pretrained("runs/demo")  # doctest: +SKIP
        >>> classifier("hello.wav").label  # doctest: +SKIP
        'it'
        >>> [p.label for p in classifier(["a.wav", "b.flac"])]  # doctest: +SKIP
        ['it', 'fr']
        >>> for window in classifier.windows("long.wav"):  # doctest: +SKIP
        ...     print(window.start, window.end, window.label, window.score)
    """

    def __init__(
        self,
        audio_model: AudioModel,
        model_input: ModelInput,
        rule: LabelRule,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        num_workers: int | None = None,
    ) -> None:
        """Move a model to a device; see `from_pretrained`."""
        super().__init__(model_input, rule, num_workers)
        self.audio_model = audio_model
        self.device = device
        self.dtype = dtype
        self.model: Any = audio_model.model.to(device, dtype).eval()  # type: ignore[arg-type] # wraps
        self._lock = threading.Lock()  # of the model, which several threads may use

    @classmethod
    def from_pretrained(  # noqa: PLR0913 (names of the public interface)
        cls,
        folder_or_id: str | Path,
        revision: str | None = None,
        *,
        calibrate: bool = True,
        reject_below: float | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        batch_size: int = BATCH_SIZE,
        num_workers: int | None = None,
        trust_remote_code: bool = False,
    ) -> Classifier:
        """Load a run folder or a Hub id. Downloads.

        Args:
            folder_or_id: A run folder, or the id of a model on the Hub.
            revision: Branch, tag or commit there.
            calibrate: Apply the temperature that training fitted on validation, so that scores are
                close to the accuracy; other models have no temperature and are not changed. False
                gives the scores of evaluation (predictions.csv) and of `transformers`.
            reject_below: Where the largest score is below this, the label is "unknown".
            device: Such as "cpu" or "cuda:1". Default: an accelerator if there is one.
            dtype: "float32" (default), "bfloat16" or "float16".
            batch_size: Windows of one forward pass, at most.
            num_workers: Threads that decode. Default: 2.
            trust_remote_code: Run the code in the folder or repository; on the Hub, `revision` must
                be a commit.

        Raises:
            ModelError: It is not a trained classifier, or cannot be read.
            SettingError: A value is out of range.
        """
        check_count("batch_size", batch_size, 1)
        check_count("num_workers", NUM_WORKERS if num_workers is None else num_workers, 0)
        check_reject_threshold(reject_below)
        target, number = choose_device(device), choose_dtype(dtype)
        audio_model = load_for_inference(
            folder_or_id, revision, trust_remote_code=trust_remote_code
        )
        spec = audio_model.processor.input_spec
        seconds = CPU_BATCH_SECONDS if target.type == "cpu" else MAX_CROP_SECONDS * batch_size
        model_input = ModelInput(
            read_inference_settings(audio_model),
            spec.sampling_rate,
            equal_lengths=not spec.pads_safely,
            max_samples=spec.max_samples,
            batch_size=batch_size,
            max_batch_samples=round(seconds * spec.sampling_rate),
        )
        is_scaled = calibrate and is_calibrated(audio_model)
        rule = LabelRule(
            audio_model.labels,
            audio_model.is_multilabel,
            read_temperature(audio_model) if is_scaled else 1.0,
            read_thresholds(audio_model),
            reject_below,
        )
        return cls(audio_model, model_input, rule, target, number, num_workers)

    def run_model(self, waves: Sequence[Wave], *, with_embeddings: bool = False) -> ModelOutput:
        """Run the network; see the base class."""
        inputs = {
            name: value.to(self.device, self.dtype if value.is_floating_point() else None)
            for name, value in self.audio_model.processor(waves).items()
        }
        with self._lock:
            if not with_embeddings:
                return ModelOutput(compute_logits(self.model, inputs))
            with record_input(find_last_layer(self.model, len(self.labels))) as recorded:
                logits = compute_logits(self.model, inputs)
        return ModelOutput(logits, recorded[-1].float().cpu().numpy())
