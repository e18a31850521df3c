"""The standing: who reports what on a data set, who can be compared, where a run of ours falls.

Comes in: a `HubSnapshot`, a metric, perhaps a run. Goes out: a `LeaderboardTable`. Every model has
one row; it has a rank only when its number can be set beside the others, else the reason why not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from audio_cls.config import LOWER_IS_BETTER
from audio_cls.errors import HubError
from audio_cls.publishing.eval_results import identify_run
from audio_cls.publishing.leaderboard.card_reader import NOT_SHARES, ParsedResults
from audio_cls.publishing.leaderboard.crawl import HubSnapshot, crawl_hub
from audio_cls.publishing.leaderboard.entries import (
    UNNAMED_CONFIGS,
    LeaderboardEntry,
    make_leaderboard_entry,
    make_local_entry,
    read_model,
)
from audio_cls.publishing.redaction.results import load_public_run
from audio_cls.publishing.run_record import RunRecord, is_repo_id, single_line
from audio_cls.publishing.split_description import HELD_OUT

SMALLER_WINS = NOT_SHARES | frozenset(LOWER_IS_BETTER)


@dataclass(frozen=True)
class LeaderboardTable:
    """The table and what must be said with it."""

    dataset: str
    metric: str
    split: str | None
    rows: list[LeaderboardEntry]
    unusable: list[tuple[str, str]] = field(default_factory=list)  # model, reason
    sentences: list[str] = field(default_factory=list)


def make_leaderboard(
    survey: HubSnapshot, metric: str, *, split: str | None = None, mine: RunRecord | None = None
) -> LeaderboardTable:
    """Rank what was found.

    Args:
        survey: What the Hub holds.
        metric: Our name of the metric.
        split: The split that counts; default: that of `mine`, else the most reported one.
        mine: A local run to put in its place.

    Raises:
        RunFolderError: The run was not tested on this data set, or not by this metric.
    """
    readings = {model.id: read_model(model, survey, metric) for model in survey.models}
    copies = _find_copies(readings, mine)
    own = make_local_entry(survey, metric, mine, copies) if mine is not None else None
    models = [model for model in survey.models if model.id not in copies]
    readings = {model.id: readings[model.id] for model in models}
    found = [report for reading in readings.values() for report in reading.reports]
    split = split or (own.split if own else None) or _find_usual([r.split for r in found])
    config = own.config if own else _find_usual([r.config for r in found if r.split == split])
    rows = [] if own is None else [own]
    unusable = []
    for model in models:
        reading = readings[model.id]
        if reading.reports:
            rows.append(make_leaderboard_entry(model, reading, survey, metric, (split, config)))
        else:
            fallback = model.card.fault or f"it gives no {metric} on this data set"
            unusable.append((model.id, "; ".join(dict.fromkeys(reading.faults)) or fallback))
    ranked = rank_rows(rows, is_lower_better=metric in SMALLER_WINS)
    sentences = _describe(survey, ranked, unusable, (split, config))
    return LeaderboardTable(survey.dataset, metric, split, ranked, unusable, sentences)


def _find_copies(readings: Mapping[str, ParsedResults], mine: RunRecord | None) -> list[str]:
    """Return the models that are the local run, published: they are no entries of their own."""
    run_id = identify_run(mine) if mine is not None else None
    return [
        model
        for model, reading in readings.items()
        if run_id is not None and any(report.run_id == run_id for report in reading.reports)
    ]


def _find_usual(names: list[str | None]) -> str | None:
    """Return the name most of them give; of equals "test", else the first by the alphabet."""
    counts = Counter(name for name in names if name)
    order = sorted(counts, key=lambda name: (-counts[name], name != "test", name))
    return order[0] if order else None


def rank_rows(rows: list[LeaderboardEntry], *, is_lower_better: bool) -> list[LeaderboardEntry]:
    """Sort the rows by value and number those that can be compared; equals share a rank."""
    sign = 1 if is_lower_better else -1
    ordered = sorted(rows, key=lambda row: (sign * row.value, row.model.lower()))
    ranked: list[LeaderboardEntry] = []
    last: tuple[float, int] | None = None
    place = 0
    for row in ordered:
        if row.obstacles:
            ranked.append(row)
            continue
        place += 1
        rank = last[1] if last is not None and last[0] == row.value else place
        last = (row.value, rank)
        ranked.append(replace(row, rank=rank))
    return ranked


def _describe(
    survey: HubSnapshot,
    rows: list[LeaderboardEntry],
    unusable: list[tuple[str, str]],
    wanted: tuple[str | None, str | None],
) -> list[str]:
    """Say what the table cannot: what was compared, what was left out, where the run stands."""
    split, config = wanted
    compared = [row for row in rows if row.rank is not None]
    where = f"split {split}" if split else "no split named"
    where += f" of configuration {config}" if config not in UNNAMED_CONFIGS else ""
    sentences = [
        f"{len(compared)} of {len(rows)} entries can be compared ({where});"
        f" {len(unusable)} models give no usable value."
    ]
    if split is not None and split.startswith(HELD_OUT):
        sentences.append(
            "Each of these entries was tested on clips that its own run cut off: their order says"
            " little. --split names the split of another ranking, such as test."
        )
    if survey.board is None:
        sentences.append("The Hub has no leaderboard of its own for this data set.")
    else:
        all_names = {str(row.get("modelId")) for row in survey.board}
        sentences.append(
            f"The Hub's own leaderboard lists {len(all_names)} models;"
            f" {len(all_names - survey.shown_by_default)} of them are hidden by default, as it"
            " leaves fine-tuned models (those that name a base_model) out unless asked."
        )
    return sentences + _describe_mine(compared, rows)


def _describe_mine(compared: list[LeaderboardEntry], rows: list[LeaderboardEntry]) -> list[str]:
    """Say where the local run stands, and which places its interval covers."""
    mine = next((row for row in rows if row.is_mine), None)
    if mine is None:
        return []
    if mine.rank is None:
        return [f"{mine.model} is not ranked: {'; '.join(mine.obstacles)}."]
    text = f"{mine.model} would stand at place {mine.rank} of {len(compared)}"
    if mine.interval is None:
        return [f"{text}."]
    low, high = mine.interval
    inside = [row.rank for row in compared if row.rank and low <= row.value <= high]
    return [
        f"{text}; its 95 % interval, {low:.3f} to {high:.3f}, covers places"
        f" {min(inside)} to {max(inside)}."
    ]


def build_leaderboard(
    dataset: str,
    metric: str,
    *,
    split: str | None = None,
    mine: Path | None = None,
) -> LeaderboardTable:
    """Rank the Hub's models of a data set. Online; model cards are cached.

    Args:
        dataset: The data set's id.
        metric: Our name of the metric.
        split: See `make_leaderboard`.
        mine: A run folder to put in its place.

    Raises:
        HubError: The Hub has no such data set, or stopped answering.
        RunFolderError: `mine` is no run on this data set by this metric.
    """
    if not is_repo_id(dataset):
        raise HubError(f"--dataset {single_line(dataset, 120)} is no Hub id. Give OWNER/NAME.")
    record = load_public_run(mine) if mine is not None else None
    also = (record.model_hub_id,) if record is not None and record.model_hub_id else ()
    survey = crawl_hub(dataset, also=also)
    return make_leaderboard(survey, metric, split=split, mine=record)
