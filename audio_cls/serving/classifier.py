"""Files -> labels and scores, heard in the same windows as in evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from audio_cls.config import AudioConfig
from audio_cls.data.audio import Wave, decode_wave
from audio_cls.data.batches import group_windows
from audio_cls.data.cells import join_names
from audio_cls.data.windows import aggregate_windows, apply_temperature, cut_wave, list_windows
from audio_cls.errors import AudioError
from audio_cls.model.backbone import Backbone, load_trained
from audio_cls.model.note import (
    is_calibrated,
    read_audio_settings,
    read_temperature,
    read_thresholds,
)

BATCH_SIZE = 16  # windows of one forward pass
DECIMALS = 6  # of the scores, as in predictions.csv


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

    def to_row(self) -> dict[str, object]:
        """Return `{"file", "label", "score", "scores"}`, or `{"file", "error"}`.

        Multi-label: `labels`, a list, is there as well.
        """
        if self.error is not None:
            return {"file": self.file, "error": self.error}
        heard = {"label": self.label, "score": self.score, "scores": self.scores}
        several = {} if self.labels is None else {"labels": self.labels}
        return {"file": self.file, **heard, **several}


class Classifier:
    """A finished run, ready to hear files.

    Example:
        >>> classifier = Classifier.from_pretrained("runs/demo")  # doctest: +SKIP
        >>> [prediction.label for prediction in classifier(["hello.wav"])]  # doctest: +SKIP
        ['it']
    """

    def __init__(
        self,
        backbone: Backbone,
        audio: AudioConfig,
        device: torch.device,
        temperature: float = 1.0,
    ) -> None:
        self.backbone = backbone
        self.audio = audio
        self.device = device
        self.temperature = temperature  # of the scores; 1 leaves them as the network gave them
        self.thresholds = read_thresholds(backbone)  # (L,) before the temperature; None for 0.5
        self.model = backbone.model.to(device).eval()  # type: ignore[arg-type] # its own overload

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
        backbone = load_trained(folder_or_id, revision, trust_remote_code=trust_remote_code)
        device = torch.device("cpu")
        if torch.accelerator.is_available():
            device = torch.accelerator.current_accelerator() or device
        temperature = read_temperature(backbone) if calibrate and is_calibrated(backbone) else 1.0
        return cls(backbone, read_audio_settings(backbone), device, temperature)

    def __call__(self, paths: Iterable[str | Path]) -> Iterator[Prediction]:
        """Classify files one by one; one that cannot be read becomes a `Prediction.error`."""
        for path in paths:
            try:
                wave = decode_wave(None, str(path), self.backbone.encoder.traits.sampling_rate)
            except AudioError as error:
                yield Prediction(str(path), error=str(error))
            else:
                yield self._describe(str(path), self.score_wave(wave))

    def score_wave(self, wave: Wave) -> NDArray[np.float64]:
        """Score one clip.

        Args:
            wave: Mono sound at the model's rate, shape (T,).

        Returns:
            Probabilities, shape (L,), rounded to six decimals as in predictions.csv.
        """
        traits = self.backbone.encoder.traits
        windows = list_windows(len(wave), self.audio, traits.sampling_rate)
        lengths = [stop - start for start, stop in windows]
        logits: dict[int, NDArray[np.float64]] = {}
        for batch in group_windows(lengths, BATCH_SIZE, equal_lengths=not traits.pads_safely):
            inputs = self.backbone.encoder([cut_wave(wave, *windows[number]) for number in batch])
            moved = {name: value.to(self.device) for name, value in inputs.items()}
            with torch.inference_mode():
                output = self.model(**moved).logits.float().cpu().numpy().astype(np.float64)
            logits.update(zip(batch, output, strict=True))
        stacked = np.stack([logits[number] for number in range(len(windows))])
        is_multilabel = self.backbone.is_multilabel
        scores = aggregate_windows(stacked, self.audio.aggregate, is_multilabel=is_multilabel)
        if self.temperature != 1.0:
            scores = apply_temperature(scores, self.temperature, is_multilabel=is_multilabel)
        return scores.round(DECIMALS)

    def choose_labels(self, scores: NDArray[np.float64]) -> list[str]:
        """Return the labels that reach their thresholds, surest first, for multi-label scores (L,).

        Thresholds move with the temperature, so that it brings and takes no label.
        """
        line = np.full(len(scores), 0.5) if self.thresholds is None else self.thresholds
        if self.temperature != 1.0:
            line = apply_temperature(line, self.temperature, is_multilabel=True).round(DECIMALS)
        there = np.flatnonzero(scores >= line)
        return [self.backbone.labels[n] for n in sorted(there, key=lambda n: (-scores[n], n))]

    def _describe(self, file: str, scores: NDArray[np.float64]) -> Prediction:
        """Name the scores of a file."""
        best = int(scores.argmax())
        named = dict(zip(self.backbone.labels, scores.tolist(), strict=True))
        score = float(scores[best])
        if not self.backbone.is_multilabel:
            return Prediction(file, self.backbone.labels[best], score, named)
        own = self.choose_labels(scores)
        return Prediction(file, join_names(own), score, named, labels=own)
