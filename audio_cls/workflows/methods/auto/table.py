"""Table of the candidates of `--method auto`, and which one was kept, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audio_cls.config import flag_name
from audio_cls.runs.records.candidates import CandidateRow, Candidates
from audio_cls.text_table import TERMINAL_WIDTH, format_table, wrap_text
from audio_cls.workflows.summary import format_number, metric_title


def format_candidates(candidates: Candidates, metric: str) -> list[str]:
    """Return a heading, one line per candidate, the reason, and what each candidate is.

    Args:
        candidates: Of a run.
        metric: Key of the metric that is shown next to the log loss.
    """
    rows = [["", "candidate", "log loss", metric_title(metric), "minutes"]]
    for one in candidates.rows:
        values = format_number(one.log_loss), format_number(one.metrics.get(metric))
        minutes = f"{(one.seconds or 0.0) / 60:.2f}"
        rows.append(["*" if one.is_kept else "", one.name or "", *values, minutes])
    notes = [f"{one.name}: {describe_candidate(one)}" for one in candidates.rows]
    return [
        f"Candidates on {candidates.chosen_on or 'validation'}",
        *(f"  {line}" for line in format_table(rows, "llrrr", TERMINAL_WIDTH - 2)),
        *wrap_text(f"* kept: {candidates.kept.name}. {candidates.reason}"),
        *(line for note in notes for line in wrap_text(note)),
    ]


def describe_candidate(one: CandidateRow) -> str:
    """Return what was chosen for a candidate, its settings and why it ended.

    >>> describe_candidate(CandidateRow(note="layer 3 of 6, C 0.01"))
    'layer 3 of 6, C 0.01'
    """
    return "; ".join(part for part in (format_settings(one.settings), one.note) if part)


def format_settings(settings: Mapping[str, Any]) -> str:
    """Return settings as on the command line.

    >>> format_settings({"learning_rate": 1e-4, "mixup_alpha": 0.3})
    '--learning-rate 0.0001 --mixup-alpha 0.3'
    """
    return " ".join(f"{flag_name(name)} {value:g}" for name, value in settings.items())
