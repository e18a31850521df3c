"""Candidates of `--method auto`, in results.json."""

from __future__ import annotations

from dataclasses import dataclass, field

from audio_cls.runs.json_record import JsonRecord, Table


@dataclass(frozen=True, kw_only=True)
class CandidateRow(JsonRecord):
    """A model that `--method auto` made, with its results on validation."""

    name: str | None = None
    is_kept: bool | None = None
    is_baseline: bool | None = None  # the plain baseline, which is never kept
    log_loss: float | None = None  # the mean over groups, where clips have groups
    difference: float | None = None  # to the lowest log loss
    standard_error: float | None = None  # of the difference
    metrics: Table = field(default_factory=dict)
    seconds: float | None = None
    epoch: float | None = None  # of the lowest log loss
    note: str | None = None  # what was chosen for it, or why it was not trained to the end
    settings: Table = field(default_factory=dict)  # in which the fine-tunings differ


@dataclass(frozen=True, kw_only=True)
class Candidates(JsonRecord):
    """All models that `--method auto` made, and why one of them was kept."""

    reason: str | None = None
    chosen_on: str | None = None  # clips held out of training; None: validation
    rows: list[CandidateRow] = field(default_factory=list)

    @property
    def kept(self) -> CandidateRow:
        """The candidate that was saved."""
        return next((one for one in self.rows if one.is_kept), CandidateRow())
