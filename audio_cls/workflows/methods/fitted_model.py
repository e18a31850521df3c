"""FittedModel: the classifier that a method of training chose, with its part of results.json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from torch import nn

from audio_cls.data.clips.clips import Clips
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.scorer import Scorer
from audio_cls.runs.json_record import Table
from audio_cls.runs.records.candidates import Candidates
from audio_cls.runs.results import ProbeResults, Timing


@dataclass(frozen=True)
class FittedModel:
    """A classifier that is saved in the run folder, ready for the test."""

    model: nn.Module  # on the accelerator's device
    scorer: Scorer
    validation: Clips  # as the model takes them, such as the output of frozen layers
    test: Clips
    validation_metrics: Table  # the `validation` part of results.json
    describe_timing: Callable[[float], Timing]  # seconds of the test -> the `timing` part
    close: Callable[[], None]  # closes bar, trackers and run folder; call on every process
    validation_scores: Scores | None = None  # of all windows, where they are known
    # Scores -> metrics, where those of `validation_metrics` are of one window of each clip.
    summarize: Callable[[Scores], dict[str, float]] | None = None
    probe: ProbeResults | None = None
    candidates: Candidates | None = None  # of --method auto
    fitted_on: str = "validation"  # clips of the calibration
    refit: Callable[[FittedModel], FittedModel] | None = None  # trains again, where that is to do
    refit_metrics: Table = field(default_factory=dict)  # the `refit` part: clips, epochs, steps

    def score_validation(self) -> FittedModel:
        """Return this with the validation metrics of all windows. Call on every process."""
        if self.summarize is None:
            return self
        scores = self.scorer.score(self.model, self.validation)
        metrics = {**self.validation_metrics, **self.summarize(scores)}
        return replace(self, validation_scores=scores, validation_metrics=metrics)
