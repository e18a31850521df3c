"""Result of a candidate on the validation clips, kept in its folder for a run that is resumed."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from audio_cls.data.clips.metadata import keep_groups
from audio_cls.evaluation.candidates import clip_losses, mean_loss
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.scorer import Scorer, make_scorer
from audio_cls.models.audio_model import AudioModel
from audio_cls.storage.files import write_json
from audio_cls.training.start.inputs import MethodInputs
from audio_cls.workflows.methods.auto.candidate import load_candidate, make_metrics
from audio_cls.workflows.methods.auto.plan import use_saved_model

OUTCOME_FILE = "validation.json"  # of a candidate that is finished


@dataclass(frozen=True)
class Outcome:
    """A finished candidate."""

    name: str
    complexity: int  # a smaller one is preferred, see `choose_candidate`
    folder: Path  # of its model
    losses: list[float]  # log loss of each validation clip
    metrics: dict[str, float]  # of validation
    seconds: float  # that it took
    note: str = ""  # what was chosen for it
    settings: dict[str, Any] = field(default_factory=dict)  # in which cases of a grid differ
    epoch: float | None = None  # of fine-tuning
    steps: list[int] = field(default_factory=list)  # of it, whose weights are averaged
    share: float = 0.0  # of that average in the model; the rest is the probe's

    def save(self, path: Path) -> None:
        """Write PATH/validation.json. Main process only."""
        path.mkdir(parents=True, exist_ok=True)
        tree = {**dataclasses.asdict(self), "folder": os.path.relpath(self.folder, path)}
        write_json(path / OUTCOME_FILE, tree)


def load_outcome(path: Path) -> Outcome | None:
    """Return the outcome of the candidate in a folder; None if it is not finished."""
    file = path / OUTCOME_FILE
    if not file.is_file():
        return None
    tree = json.loads(file.read_text("utf-8"))
    return Outcome(**{**tree, "folder": path / tree["folder"]})


@dataclass(frozen=True)
class CandidateScorer:
    """Scores the validation clips by the models of one architecture."""

    shared: MethodInputs  # what all candidates share
    audio_model: AudioModel
    prepared: nn.Module  # the model, as Accelerate prepared it
    scorer: Scorer

    def score(self, state: Mapping[str, Tensor] | None = None) -> Scores:
        """Score all validation clips, by the loaded weights or by those given."""
        if state is not None:
            self.audio_model.model.load_state_dict(state)
        return self.scorer.score(self.prepared, self.shared.clips.validation)

    def loss(self, scores: Scores) -> float:
        """Return the mean log loss by group."""
        return mean_loss(clip_losses(scores), keep_groups(self.shared.clips.validation.groups))

    def make_outcome(self, scores: Scores, **values: Any) -> Outcome:  # noqa: ANN401
        """Return the outcome for scores; `values` are its other fields."""
        losses = np.round(clip_losses(scores), 6).tolist()
        return Outcome(losses=losses, metrics=make_metrics(self.shared)(scores), **values)


def load_scorer(shared: MethodInputs, folder: Path) -> CandidateScorer:
    """Load the model in a folder, to score by it. Call on every process.

    Args:
        shared: What all candidates share.
        folder: Of a model with the labels of the run.
    """
    cfg = dataclasses.replace(shared.cfg, model=use_saved_model(shared.cfg.model, str(folder)))
    audio_model = load_candidate(cfg, shared.labels)
    prepared = shared.accelerator.prepare_model(audio_model.model, evaluation_mode=True)
    scorer = make_scorer(audio_model, cfg, shared.accelerator)
    return CandidateScorer(shared, audio_model, prepared, scorer)
