"""Classifier: files and waveforms -> labels and scores, by the same windows as in evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from audio_cls.audio.waveform import Wave, decode_wave, peak
from audio_cls.config import MIN_CROP_SECONDS, AudioConfig, Hertz
from audio_cls.data.clips.quality import SILENT_PEAK
from audio_cls.data.labels.label_text import join_names
from audio_cls.data.loading.datasets import WindowDataset
from audio_cls.errors import AudioError, ModelError
from audio_cls.inference.aggregation import DECIMALS, apply_temperature
from audio_cls.inference.scoring import ScoringSettings, WaveClip, score_windows
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.inference_settings import (
    is_calibrated,
    read_inference_settings,
    read_temperature,
    read_thresholds,
)
from audio_cls.models.load import load_for_inference

BATCH_SIZE = 16  # windows of one forward pass


@dataclass(frozen=True)
class Prediction:
    """The prediction for one file, or the error that prevented it.

    Multi-label: `labels` are those that reach their thresholds, the most probable first; `label` is
    the same joined by `;` as in predictions.csv; `score` is the largest probability, even if no
    label reaches its threshold.
    """

    file: str
    label: str | None = None
    score: float | None = None  # the largest probability
    scores: dict[str, float] | None = None  # probability of every label
    error: str | None = None
    labels: list[str] | None = None  # multi-label: all predicted labels
    remark: str | None = None  # why the prediction is not reliable, see `describe_waveform`

    def to_row(self) -> dict[str, object]:
        """Return `{"file", "label", "score", "scores"}`, or `{"file", "error"}`.

        Multi-label: with `labels`, a list. With `remark` where there is one.
        """
        if self.error is not None:
            return {"file": self.file, "error": self.error}
        prediction = {"label": self.label, "score": self.score, "scores": self.scores}
        labels = {} if self.labels is None else {"labels": self.labels}
        remark = {} if self.remark is None else {"remark": self.remark}
        return {"file": self.file, **prediction, **labels, **remark}


def describe_waveform(wave: Wave, sampling_rate: Hertz) -> str | None:
    """Return why the prediction for a waveform is not reliable, or None.

    Args:
        wave: Mono, shape (T,).
        sampling_rate: In Hz.

    >>> describe_waveform(np.zeros(160, np.float32), 16_000)
    'digital silence; only 0.010 s long'
    """
    remarks = []
    if peak(wave) < SILENT_PEAK:
        remarks.append("digital silence")
    if len(wave) < MIN_CROP_SECONDS * sampling_rate:
        remarks.append(f"only {len(wave) / sampling_rate:.3f} s long")
    return "; ".join(remarks) or None


class Classifier:
    """A trained model that classifies files and waveforms.

    Example:
        >>> classifier = Classifier.from_pretrained("runs/demo")  # doctest: +SKIP
        >>> [prediction.label for prediction in classifier(["hello.wav"])]  # doctest: +SKIP
        ['it']
    """

    def __init__(
        self,
        audio_model: AudioModel,
        audio: AudioConfig,
        device: torch.device,
        temperature: float = 1.0,
    ) -> None:
        self.audio_model = audio_model
        self.audio = audio
        self.device = device
        self.temperature = temperature  # of the scores; 1: no temperature scaling
        self.thresholds = read_thresholds(audio_model)  # (L,) before the temperature; None for 0.5
        self.model = audio_model.model.to(device).eval()  # type: ignore[arg-type] # its own overload

    @classmethod
    def from_pretrained(
        cls,
        folder_or_id: str | Path,
        revision: str | None = None,
        *,
        calibrate: bool = False,
        trust_remote_code: bool = False,
    ) -> Classifier:
        """Load a run folder or a Hub id. Downloads.

        Args:
            folder_or_id: A run folder, or the id of a model on the Hub.
            revision: Branch, tag or commit there.
            calibrate: Apply the temperature that training fitted on validation, so that scores are
                close to the accuracy; other models have no temperature and are not changed.
            trust_remote_code: Run the code in the folder or repository; on the Hub, `revision` must
                be a commit.

        Raises:
            ModelError: It is not a trained classifier, or cannot be read.
        """
        audio_model = load_for_inference(
            folder_or_id, revision, trust_remote_code=trust_remote_code
        )
        device = torch.device("cpu")
        if torch.accelerator.is_available():
            device = torch.accelerator.current_accelerator() or device
        temperature = (
            read_temperature(audio_model) if calibrate and is_calibrated(audio_model) else 1.0
        )
        return cls(audio_model, read_inference_settings(audio_model), device, temperature)

    def __call__(self, paths: str | Path | Iterable[str | Path]) -> Iterator[Prediction]:
        """Classify one file, or several one by one.

        A file that cannot be read, or has scores that are not finite, gives a `Prediction.error`.
        """
        rate = self.audio_model.processor.input_spec.sampling_rate
        for path in [paths] if isinstance(paths, str | Path) else paths:
            try:
                wave = decode_wave(None, str(path), rate)
                scores = self.score_wave(wave)
            except (AudioError, ModelError) as error:
                yield Prediction(str(path), error=str(error))
            else:
                yield self._describe(str(path), scores, describe_waveform(wave, rate))

    def score_wave(self, wave: Wave) -> NDArray[np.float64]:
        """Return the probabilities of one clip.

        Args:
            wave: Mono, at the sampling rate of the model, shape (T,).

        Returns:
            Probabilities, shape (L,), rounded to six decimals as in predictions.csv.

        Raises:
            ModelError: The model's output is not finite.
        """
        settings = ScoringSettings.from_model(self.audio_model, self.audio, BATCH_SIZE)
        clip = WaveClip(wave, self.audio_model.processor.input_spec.sampling_rate)
        scores = score_windows(self.model, WindowDataset(clip, self.audio), settings)[0]
        if not np.isfinite(scores).all():
            raise ModelError("the model's scores for this clip are not finite")
        if self.temperature != 1.0:
            scores = apply_temperature(
                scores, self.temperature, is_multilabel=settings.is_multilabel
            )
        return np.asarray(scores.round(DECIMALS))

    def choose_labels(self, scores: NDArray[np.float64]) -> list[str]:
        """Return the labels that reach their thresholds, for multi-label scores (L,).

        The most probable label is first. The temperature is applied to the thresholds too, so that
        it changes no prediction.
        """
        thresholds = np.full(len(scores), 0.5) if self.thresholds is None else self.thresholds
        if self.temperature != 1.0:
            scaled = apply_temperature(thresholds, self.temperature, is_multilabel=True)
            thresholds = scaled.round(DECIMALS)
        reached = np.flatnonzero(scores >= thresholds)
        return [self.audio_model.labels[n] for n in sorted(reached, key=lambda n: (-scores[n], n))]

    def _describe(self, file: str, scores: NDArray[np.float64], remark: str | None) -> Prediction:
        """Return the prediction for the scores (L,) of a file."""
        best = int(scores.argmax())
        named = dict(zip(self.audio_model.labels, scores.tolist(), strict=True))
        score = float(scores[best])
        if not self.audio_model.is_multilabel:
            return Prediction(file, self.audio_model.labels[best], score, named, remark=remark)
        labels = self.choose_labels(scores)
        return Prediction(file, join_names(labels), score, named, labels=labels, remark=remark)
