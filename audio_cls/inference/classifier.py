"""Classifier: files and waveforms -> labels and scores, by the same windows as in evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audio_cls.audio.waveform import Wave
from audio_cls.inference.base_classifier import BaseClassifier
from audio_cls.inference.batching import BATCH_SIZE, ModelInput, ModelOutput
from audio_cls.inference.label_rule import LabelRule
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.inference_settings import (
    is_calibrated,
    read_inference_settings,
    read_temperature,
    read_thresholds,
)
from audio_cls.models.load import load_for_inference


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
        num_workers: int | None = None,
    ) -> None:
        """Move a model to a device; see `from_pretrained`."""
        super().__init__(model_input, rule, num_workers)
        self.audio_model = audio_model
        self.device = device
        self.model: Any = audio_model.model.to(device).eval()  # type: ignore[arg-type] # overload

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
        audio_model = load_for_inference(
            folder_or_id, revision, trust_remote_code=trust_remote_code
        )
        spec = audio_model.processor.input_spec
        model_input = ModelInput(
            read_inference_settings(audio_model),
            spec.sampling_rate,
            equal_lengths=not spec.pads_safely,
            max_samples=spec.max_samples,
            batch_size=batch_size,
        )
        is_scaled = calibrate and is_calibrated(audio_model)
        rule = LabelRule(
            audio_model.labels,
            audio_model.is_multilabel,
            read_temperature(audio_model) if is_scaled else 1.0,
            read_thresholds(audio_model),
            reject_below,
        )
        if device is None:
            device = torch.device("cpu")
            if torch.accelerator.is_available():
                device = torch.accelerator.current_accelerator() or device
        return cls(audio_model, model_input, rule, torch.device(device), num_workers)

    def run_model(self, waves: Sequence[Wave], *, with_embeddings: bool = False) -> ModelOutput:
        """Run the network; see the base class."""
        inputs = self.audio_model.processor(waves)
        inputs = {name: value.to(self.device) for name, value in inputs.items()}
        rows: list[torch.Tensor] = []
        handle = None
        if with_embeddings:
            layers = [m for m in self.model.classifier.modules() if isinstance(m, torch.nn.Linear)]
            handle = layers[-1].register_forward_pre_hook(lambda _, args: rows.append(args[0]))
        try:
            with torch.inference_mode():
                logits = self.model(**inputs).logits.float().cpu().numpy()
        finally:
            if handle is not None:
                handle.remove()
        embeddings = rows[0].float().cpu().numpy() if rows else None
        return ModelOutput(logits.astype(np.float64), embeddings)
