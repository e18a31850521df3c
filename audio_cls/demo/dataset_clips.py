"""DatasetClips: the clips of a data set with their labels and, where known, predictions."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset

from audio_cls.audio.waveform import Wave, decode_wave
from audio_cls.config import Hertz
from audio_cls.data.keyword_spotting.relabel import relabel_keywords
from audio_cls.data.labels.label_text import join_names
from audio_cls.data.labels.labels import UNUSABLE, parse_labels
from audio_cls.data.load import load_dataset
from audio_cls.data.splits.clip_index import ClipIndex, build_clip_index
from audio_cls.errors import AudioError
from audio_cls.evaluation.model_run import inherit_settings, read_source_run
from audio_cls.evaluation.reports.predictions_file import read_predictions, select_names
from audio_cls.models.inference_settings import find_file

MAX_SECONDS = 600.0  # a longer clip is not played
PREDICTIONS = "predictions.csv"
View = Literal["mistakes", "test", "all"]


@dataclass(frozen=True)
class ClipPrediction:
    """What the model predicted for a test clip, from predictions.csv."""

    label: str
    scores: dict[str, float]


@dataclass(frozen=True)
class DatasetClips:
    """N clips of all splits."""

    ids: Sequence[str]
    labels: Sequence[str]  # '' for none; several joined by ';'
    table: Dataset  # N rows with one undecoded audio column
    sampling_rate: Hertz  # of `read_wave`
    predictions: Mapping[str, ClipPrediction] = field(default_factory=dict)  # by id

    def list_rows(self, view: View, label: str | None, limit: int) -> list[list[str]]:
        """Return id, label, prediction and score of some clips, the worst mistakes first.

        Args:
            view: Which clips.
            label: Only clips with this label; None: all.
            limit: Number of rows at most.
        """
        rows = []
        for clip, own in zip(self.ids, self.labels, strict=True):
            found = self.predictions.get(clip)
            is_mistake = found is not None and found.label != own
            is_shown = {"mistakes": is_mistake, "test": found is not None}.get(view, True)
            if is_shown and label in (None, own):
                score = max(found.scores.values()) if found else 0.0
                cells = [found.label, f"{score:.3f}"] if found else ["", ""]
                rows.append((-score if is_mistake else 0.0, [clip, own, *cells]))
        rows.sort(key=lambda row: row[0])
        return [cells for _, cells in rows[:limit]]

    @property
    def num_mistakes(self) -> int:
        """Return the number of test clips whose prediction is not their label."""
        return len(self.list_rows("mistakes", None, len(self.ids)))

    def read_wave(self, clip: str) -> Wave:
        """Decode a clip by its id, shape (T,).

        Raises:
            AudioError: It cannot be decoded, or is too long to be played.
        """
        cell: dict[str, Any] | None = self.table[self._rows[clip]][self.table.column_names[0]]
        if cell is None:
            raise AudioError("missing file")
        return decode_wave(cell["bytes"], cell["path"], self.sampling_rate, MAX_SECONDS)

    @functools.cached_property
    def _rows(self) -> dict[str, int]:
        return {clip: row for row, clip in enumerate(self.ids)}


def load_clips(
    model: str, revision: str | None, typed: Mapping[str, Any], sampling_rate: Hertz
) -> DatasetClips:
    """Load a data set, with the predictions of the model's run if it was trained on it.

    Args:
        model: A run folder or a Hub id.
        revision: Of the model on the Hub.
        typed: `dataset`, and other settings of the data set that the user gave.
        sampling_rate: At which clips are played, in Hz.

    Raises:
        AudioClsError: The data set cannot be loaded; the text has the reason.
    """
    find = functools.partial(find_file, model, revision)
    cfg, is_same_dataset = inherit_settings(typed, read_source_run(find))
    dataset = relabel_keywords(load_dataset(cfg.data), cfg.data)
    index = build_clip_index(dataset, parse_labels(dataset, cfg.data), cfg.data)
    path = find(PREDICTIONS) if is_same_dataset else None
    return DatasetClips(
        ids=index.ids.tolist(),
        labels=_name_labels(index),
        table=dataset.concatenate_audio(),
        sampling_rate=sampling_rate,
        predictions=_read_predictions(path, set(index.ids.tolist())) if path else {},
    )


def _name_labels(index: ClipIndex) -> list[str]:
    """Return the label of each clip as text."""
    if index.targets is not None:
        return [
            join_names(select_names(index.names, row)) if label != UNUSABLE else ""
            for row, label in zip(index.targets, index.labels, strict=True)
        ]
    return ["" if label == UNUSABLE else index.names[label] for label in index.labels]


def _read_predictions(path: Path, ids: set[str]) -> dict[str, ClipPrediction]:
    """Read predictions.csv, the clips of the data set only (published ids may be numbers)."""
    scores, names = read_predictions(path)
    found = {}
    for clip, predicted, row in zip(
        scores.ids.tolist(), scores.predictions, scores.probabilities.tolist(), strict=True
    ):
        if clip in ids:
            is_one = not scores.is_multilabel
            label = names[predicted] if is_one else join_names(select_names(names, predicted))
            found[clip] = ClipPrediction(label, dict(zip(names, row, strict=True)))
    return found
