"""LeaderboardTable: the models of a data set, ranked by one metric.

It is made from a `HubSnapshot` and, on request, a local run. Every model has one row; it has a rank
only when its value can be compared with the others, else the reasons why it cannot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from audio_cls.config import LOWER_IS_BETTER
from audio_cls.errors import HubError, count_of
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

LOWER_IS_BETTER_METRICS = NOT_SHARES | frozenset(LOWER_IS_BETTER)


@dataclass(frozen=True)
class LeaderboardTable:
    """The ranked rows, the models without a value, and remarks."""

    dataset: str
    metric: str
    split: str | None
    rows: list[LeaderboardEntry]
    unusable: list[tuple[str, str]] = field(default_factory=list)  # model, reason
    sentences: list[str] = field(default_factory=list)  # remarks on the table


def make_leaderboard(
    snapshot: HubSnapshot,
    metric: str,
    *,
    split: str | None = None,
    local_run: RunRecord | None = None,
) -> LeaderboardTable:
    """Rank the models of a snapshot.

    Args:
        snapshot: The models and their reported results.
        metric: Key of the metric, such as "accuracy".
        split: The split to compare; default: that of `local_run`, else the most reported one.
        local_run: A local run to rank among them.

    Raises:
        RunFolderError: The run was not tested on this data set, or not by this metric.
    """
    results = {model.id: read_model(model, snapshot, metric) for model in snapshot.models}
    copies = _find_copies(results, local_run)
    local = make_local_entry(snapshot, metric, local_run, copies) if local_run is not None else None
    models = [model for model in snapshot.models if model.id not in copies]
    found = [report for model in models for report in results[model.id].reports]
    split = split or (local.split if local else None) or _most_frequent([r.split for r in found])
    config = (
        local.config if local else _most_frequent([r.config for r in found if r.split == split])
    )
    rows = [] if local is None else [local]
    unusable = []
    for model in models:
        parsed = results[model.id]
        if parsed.reports:
            rows.append(make_leaderboard_entry(model, parsed, snapshot, metric, (split, config)))
        else:
            fallback = model.card.error or f"no {metric} on this data set"
            unusable.append((model.id, "; ".join(dict.fromkeys(parsed.errors)) or fallback))
    ranked = rank_rows(rows, is_lower_better=metric in LOWER_IS_BETTER_METRICS)
    sentences = _describe(snapshot, metric, ranked, unusable, (split, config))
    return LeaderboardTable(snapshot.dataset, metric, split, ranked, unusable, sentences)


def _find_copies(results: Mapping[str, ParsedResults], local_run: RunRecord | None) -> list[str]:
    """Return the models that are published copies of the local run; they get no row."""
    run_id = identify_run(local_run) if local_run is not None else None
    return [
        model
        for model, parsed in results.items()
        if run_id is not None and any(report.run_id == run_id for report in parsed.reports)
    ]


def _most_frequent(names: list[str | None]) -> str | None:
    """Return the most frequent name; of several, "test" or the first in alphabetical order."""
    counts = Counter(name for name in names if name)
    order = sorted(counts, key=lambda name: (-counts[name], name != "test", name))
    return order[0] if order else None


def rank_rows(rows: list[LeaderboardEntry], *, is_lower_better: bool) -> list[LeaderboardEntry]:
    """Sort the rows by value and rank the comparable ones; equal values share a rank."""
    sign = 1 if is_lower_better else -1
    ordered = sorted(rows, key=lambda row: (sign * row.value, row.model.lower()))
    ranked: list[LeaderboardEntry] = []
    last: tuple[float, int] | None = None
    position = 0
    for row in ordered:
        if row.incomparable_reasons:
            ranked.append(row)
            continue
        position += 1
        rank = last[1] if last is not None and last[0] == row.value else position
        last = (row.value, rank)
        ranked.append(replace(row, rank=rank))
    return ranked


def _describe_empty(snapshot: HubSnapshot, metric: str, unusable: list[tuple[str, str]]) -> str:
    """Return the sentence of a leaderboard without a row."""
    return (
        f"No model on the Hub reports {metric} on {snapshot.dataset}:"
        f" {count_of(len(unusable), 'model names', 'models name')} this data set. Choose another"
        " --metric, or add a run with --mine RUN."
    )


def _describe(
    snapshot: HubSnapshot,
    metric: str,
    rows: list[LeaderboardEntry],
    unusable: list[tuple[str, str]],
    wanted: tuple[str | None, str | None],
) -> list[str]:
    """Return remarks: what is compared, what is left out, the rank of the local run."""
    split, config = wanted
    compared = [row for row in rows if row.rank is not None]
    if not rows:
        return [_describe_empty(snapshot, metric, unusable)]
    where = f"split {split}" if split else "no split named"
    where += f" of configuration {config}" if config not in UNNAMED_CONFIGS else ""
    compared_models = f"{len(compared):,} of {count_of(len(rows), 'model')} can be compared"
    sentences = [f"{compared_models} ({where})."]
    if unusable:
        more = count_of(len(unusable), "more has", "more have")
        sentences = [f"{compared_models} ({where}); {more} no usable value."]
    if split is not None and split.startswith(HELD_OUT):
        sentences.append(
            "Each of these models was tested on clips that its own run held out, so their ranks"
            " mean little. Give --split for the ranking of another split, such as test."
        )
    if snapshot.board is None:
        sentences.append("The Hub has no leaderboard for this data set.")
    else:
        all_names = {str(row.get("modelId")) for row in snapshot.board}
        sentences.append(
            f"The Hub's leaderboard lists {count_of(len(all_names), 'model')};"
            f" {len(all_names - snapshot.shown_by_default):,} of them hidden by default, because"
            " it shows fine-tuned models (those that name a base_model) only on request."
        )
    return sentences + _describe_local_run(compared, rows)


def _describe_local_run(
    compared: list[LeaderboardEntry], rows: list[LeaderboardEntry]
) -> list[str]:
    """Return the rank of the local run, and the ranks that its interval covers."""
    local = next((row for row in rows if row.is_mine), None)
    if local is None:
        return []
    if local.rank is None:
        return [f"{local.model} is not ranked: {'; '.join(local.incomparable_reasons)}."]
    text = f"{local.model} has rank {local.rank} of {len(compared)}"
    if local.interval is None:
        return [f"{text}."]
    low, high = local.interval
    inside = [row.rank for row in compared if row.rank and low <= row.value <= high]
    return [
        f"{text}; its 95 % interval, {low:.3f} to {high:.3f}, covers ranks"
        f" {min(inside)} to {max(inside)}."
    ]


def build_leaderboard(
    dataset: str,
    metric: str,
    *,
    split: str | None = None,
    local_run: Path | None = None,
) -> LeaderboardTable:
    """Rank the Hub's models of a data set. Online; model cards are cached.

    Args:
        dataset: The data set's id.
        metric: Key of the metric.
        split: See `make_leaderboard`.
        local_run: A run folder to rank among them.

    Raises:
        HubError: The Hub has no such data set, or stopped responding.
        RunFolderError: `local_run` was not tested on this data set, or not by this metric.
    """
    if not is_repo_id(dataset):
        raise HubError(
            f"--dataset {single_line(dataset, 120)} is not an id of the Hub. Give OWNER/NAME."
        )
    record = load_public_run(local_run) if local_run is not None else None
    base_models = (record.model_hub_id,) if record is not None and record.model_hub_id else ()
    snapshot = crawl_hub(dataset, base_models)
    return make_leaderboard(snapshot, metric, split=split, local_run=record)
