"""Files -> labels and scores, heard in the same windows as in evaluation."""

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
    """What was heard in one file, or why nothing was.

    Where a clip may have several labels, `labels` are those that reach their thresholds, surest
    first, `label` is these joined by `;` as in predictions.csv, and `score` is of the surest label
    of all, whether it is among them or not.
    """

    file: str
    label: str | None = None
    score: float | None = None  # the largest probability
    scores: dict[str, float] | None = None  # probability of every label
    error: str | None = None
    labels: list[str] | None = None  # multi-label: what is there
    remark: str | None = None  # why the label says little, see `describe_sound`

    def to_row(self) -> dict[str, object]:
        """Return `{"file", "label", "score", "scores"}`, or `{"file", "error"}`.

        Multi-label: `labels`, a list, is there as well. `remark` is there where there is one.
        """
        if self.error is not None:
            return {"file": self.file, "error": self.error}
        heard = {"label": self.label, "score": self.score, "scores": self.scores}
        several = {} if self.labels is None else {"labels": self.labels}
        remark = {} if self.remark is None else {"remark": self.remark}
        return {"file": self.file, **heard, **several, **remark}


def describe_sound(wave: Wave, sampling_rate: Hertz) -> str | None:
    """Return why the label of a sound says little, or None.

    Args:
        wave: Mono sound, shape (T,).
        sampling_rate: In Hz.

    >>> describe_sound(np.zeros(160, np.float32), 16_000)
    'digital silence; only 0.010 s long'
    """
    remarks = []
    if peak(wave) < SILENT_PEAK:
        remarks.append("digital silence")
    if len(wave) < MIN_CROP_SECONDS * sampling_rate:
        remarks.append(f"only {len(wave) / sampling_rate:.3f} s long")
    return "; ".join(remarks) or None


class Classifier:
    """A finished run, ready to hear files.

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
        self.temperature = temperature  # of the scores; 1 leaves them as the network gave them
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
            calibrate: Make scores as sure as the model is right, by the temperature that training
                fitted on validation; a checkpoint from elsewhere has none and stays as it is.
            trust_remote_code: Run the code that lies there; on the Hub, `revision` must be a
                commit.

        Raises:
            ModelError: It is no finished classifier, or cannot be read.
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

    def __call__(self, paths: Iterable[str | Path]) -> Iterator[Prediction]:
        """Classify files one by one.

        A file that cannot be read, or has no finite score, becomes a `Prediction.error`.
        """
        rate = self.audio_model.processor.input_spec.sampling_rate
        for path in paths:
            try:
                wave = decode_wave(None, str(path), rate)
                scores = self.score_wave(wave)
            except (AudioError, ModelError) as error:
                yield Prediction(str(path), error=str(error))
            else:
                yield self._describe(str(path), scores, describe_sound(wave, rate))

    def score_wave(self, wave: Wave) -> NDArray[np.float64]:
        """Score one clip.

        Args:
            wave: Mono sound at the model's rate, shape (T,).

        Returns:
            Probabilities, shape (L,), rounded to six decimals as in predictions.csv.

        Raises:
            ModelError: The model's output is not finite.
        """
        settings = ScoringSettings.from_model(self.audio_model, self.audio, BATCH_SIZE)
        clip = WaveClip(wave, self.audio_model.processor.input_spec.sampling_rate)
        scores = score_windows(self.model, WindowDataset(clip, self.audio), settings)[0]
        if not np.isfinite(scores).all():
            raise ModelError("the model's scores of this sound are not finite")
        if self.temperature != 1.0:
            scores = apply_temperature(
                scores, self.temperature, is_multilabel=settings.is_multilabel
            )
        return np.asarray(scores.round(DECIMALS))

    def choose_labels(self, scores: NDArray[np.float64]) -> list[str]:
        """Return the labels that reach their thresholds, surest first, for multi-label scores (L,).

        Thresholds move with the temperature, so that it brings and takes no label.
        """
        line = np.full(len(scores), 0.5) if self.thresholds is None else self.thresholds
        if self.temperature != 1.0:
            line = apply_temperature(line, self.temperature, is_multilabel=True).round(DECIMALS)
        there = np.flatnonzero(scores >= line)
        return [self.audio_model.labels[n] for n in sorted(there, key=lambda n: (-scores[n], n))]

    def _describe(self, file: str, scores: NDArray[np.float64], remark: str | None) -> Prediction:
        """Name the scores of a file."""
        best = int(scores.argmax())
        named = dict(zip(self.audio_model.labels, scores.tolist(), strict=True))
        score = float(scores[best])
        if not self.audio_model.is_multilabel:
            return Prediction(file, self.audio_model.labels[best], score, named, remark=remark)
        own = self.choose_labels(scores)
        return Prediction(file, join_names(own), score, named, labels=own, remark=remark)
