"""Table of the candidates of a run, for results.json."""

from __future__ import annotations

import math

from audio_cls.evaluation.candidates import Comparison
from audio_cls.runs.records.candidates import CandidateRow
from audio_cls.workflows.methods.auto.halving import FineTuned
from audio_cls.workflows.methods.auto.outcome import Outcome

LEFT_BEHIND = "left behind: a higher log loss after the same number of epochs"
FAILED = "left out: its training failed"


def make_rows(
    outcomes: list[Outcome], compared: list[Comparison], tuned: list[FineTuned], chosen: Outcome
) -> list[CandidateRow]:
    """Return a row for each candidate, those that were left behind last."""
    rows = [
        CandidateRow(
            name=one.name,
            is_kept=one is chosen,
            log_loss=round(result.loss, 6),
            difference=round(result.difference, 6),
            standard_error=round(result.standard_error, 6),
            metrics=one.metrics,
            seconds=round(one.seconds, 2),
            epoch=one.epoch,
            note=one.note or None,
            settings=one.settings,
        )
        for one, result in zip(outcomes, compared, strict=True)
    ]
    names = {one.name for one in outcomes}
    return rows + [
        CandidateRow(
            name=one.name,
            is_kept=False,
            log_loss=one.progress.metrics.get("loss"),
            metrics=one.progress.metrics,
            seconds=round(one.progress.seconds, 2),
            epoch=one.progress.epoch,
            note=LEFT_BEHIND if math.isfinite(one.progress.loss) else FAILED,
            settings=one.settings,
        )
        for one in tuned
        if one.name not in names
    ]
