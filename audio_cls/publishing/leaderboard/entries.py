"""One model, one row: its best number, what proves it, and what keeps it from being compared.

Comes in: what the Hub holds of one model, or a local run. Goes out: a `LeaderboardEntry` of the
standing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audio_cls.errors import RunFolderError
from audio_cls.publishing.eval_results import read_metrics
from audio_cls.publishing.leaderboard.card_reader import (
    NOT_SHARES,
    Card,
    ParsedResults,
    ReportedResult,
    find_in_body,
    read_entries,
    read_num_clips,
    read_reports,
    read_value,
)
from audio_cls.publishing.leaderboard.crawl import HubSnapshot, Listed
from audio_cls.publishing.run_record import RunRecord, path_basename
from audio_cls.publishing.split_description import describe_part, is_given, read_split_name

UNNAMED_CONFIGS = (None, "default")  # what the parquet copy calls whatever it holds
SAME = 5e-4  # values closer than this are one number, rounded


@dataclass(frozen=True)
class LeaderboardEntry:
    """One line of the table."""

    model: str
    value: float
    split: str | None
    config: str | None
    num_examples: int | None
    proof: str  # "verified", "token, not checked", "self-reported", "local run"
    obstacles: tuple[str, ...] = ()  # why it cannot be compared
    notes: tuple[str, ...] = ()
    interval: tuple[float, float] | None = None
    rank: int | None = None
    hub_rank: int | None = None
    is_mine: bool = False


def read_model(model: Listed, survey: HubSnapshot, metric: str) -> ParsedResults:
    """Read one model's card, `.eval_results` and place on the Hub's own leaderboard.

    The leaderboard speaks only for a model of which nothing else was read: what the card or the
    notes of an entry say to be another metric, or no number, does not come back by it.
    """
    card = read_reports(model.card.data, survey.dataset, metric)
    filed = read_entries(model.eval_results, survey.dataset, metric)
    reports, faults = card.reports + filed.reports, card.faults + filed.faults
    if not (reports or faults or filed.others):
        for row in _find_on_board(survey, model.id):
            try:
                value, note = read_value(row.get("value"), is_share=metric not in NOT_SHARES)
            except ValueError as error:
                faults.append(str(error))
                continue
            notes = (note, "sent by a pull request" if row.get("pullRequest") else "")
            named = tuple(n for n in notes if n)
            reports.append(
                ReportedResult(value, "eval_results", metric_is_named=False, notes=named)
            )
    return ParsedResults(reports, faults)


def _find_on_board(survey: HubSnapshot, model: str) -> list[Mapping[str, object]]:
    """Return a model's rows on the Hub's own leaderboard."""
    return [row for row in survey.board or [] if row.get("modelId") == model]


def make_leaderboard_entry(
    model: Listed,
    reading: ParsedResults,
    survey: HubSnapshot,
    metric: str,
    wanted: tuple[str | None, str | None],
) -> LeaderboardEntry:
    """Choose the report that can be compared best, and say what is odd about it."""
    obstacles = {id(r): _find_obstacles(r, wanted) for r in reading.reports}
    best = min(reading.reports, key=lambda r: len(obstacles[id(r)]))
    board = _find_on_board(survey, model.id)
    is_verified = any(row.get("verified") is True for row in board)
    ranks = [rank for row in board if isinstance(rank := row.get("rank"), int)]
    proof = "token, not checked" if best.has_token else "self-reported"
    return LeaderboardEntry(
        model.id,
        best.value,
        best.split,
        best.config,
        _count_clips(best, reading, model.card, survey),
        "verified" if is_verified else proof,
        (
            *obstacles[id(best)],
            *_find_contradictions(best, reading, model.card, metric),
            *_find_contamination(model.card, survey),
        ),
        (*best.notes, *reading.faults, *([model.card.fault] if model.card.fault else [])),
        hub_rank=min(ranks, default=None),
    )


def _find_obstacles(
    report: ReportedResult, wanted: tuple[str | None, str | None]
) -> tuple[str, ...]:
    """Say why a report's clips or metric are not those of the others."""
    split, config = wanted
    found = []
    if not report.metric_is_named:
        return ("metric not named",)
    if report.split is None and split is not None:
        found.append("split not named")
    elif report.split != split:
        found.append(f"another split ({report.split})")
    if report.config not in (*UNNAMED_CONFIGS, config) and config not in UNNAMED_CONFIGS:
        found.append(f"another configuration ({report.config})")
    return tuple(found)


def _find_contradictions(
    best: ReportedResult, reading: ParsedResults, card: Card, metric: str
) -> tuple[str, ...]:
    """Compare a model's numbers for the same clips with each other, and with its card's text."""
    found = []
    for other in reading.reports:
        is_same_place = other.metric_is_named and other.split in (best.split, None)
        is_same_place = is_same_place and other.config == best.config
        if is_same_place and abs(other.value - best.value) > SAME:
            place = ".eval_results" if other.source == "eval_results" else "model-index"
            found.append(f"its {place} also says {other.value:.4g}")
    told = find_in_body(card.body or "", metric)
    if told and not any(abs(value - best.value) <= half + SAME for value, half in told):
        found.append(f"its text says {told[0][0]:.4g}")
    return tuple(dict.fromkeys(found))


def _find_contamination(card: Card, survey: HubSnapshot) -> tuple[str, ...]:
    """Name the base model, or its own base, that was trained on the data set."""
    names, seen = list(card.base_models), set()
    while names:
        name = names.pop(0)
        parent = survey.parents.get(name)
        if name in seen or parent is None:
            continue
        seen.add(name)
        if survey.dataset in parent.datasets:
            return (f"its base {name} was trained on this data set",)
        names += parent.base_models
    return ()


def _count_clips(
    best: ReportedResult, reading: ParsedResults, card: Card, survey: HubSnapshot
) -> int | None:
    """Return how many clips a result stands on: as told, else the size of the named split."""
    told = [r.num_examples for r in reading.reports if r.split == best.split and r.num_examples]
    if told:
        return told[0]
    if best.split is None:
        return None
    in_body = read_num_clips(card.body or "")
    if in_body is not None:
        return in_body
    sizes = {c: n for (c, s), n in survey.sizes.items() if s == best.split}
    if best.config in sizes:
        return sizes[best.config]
    return next(iter(sizes.values())) if len(sizes) == 1 else None


def make_local_entry(
    survey: HubSnapshot, metric: str, mine: RunRecord, copies: Sequence[str] = ()
) -> LeaderboardEntry:
    """Return the local run's row.

    Args:
        survey: What the Hub holds.
        metric: Our name of the metric.
        mine: The run.
        copies: Repositories that hold this very run.

    Raises:
        RunFolderError: The run was not tested on this data set, or not by this metric.
    """
    name = path_basename(mine.run.absolute().name)
    if mine.dataset_hub_id != survey.dataset:
        raise RunFolderError(
            f"--mine {mine.run} was tested on '{mine.dataset_hub_id or mine.dataset_name}', and"
            f" this is the standing of '{survey.dataset}'. Give a run on that data set."
        )
    test = mine.results.test
    known = read_metrics(mine)
    if mine.is_multilabel and "accuracy" in known:  # every label of a clip right
        known["subset_accuracy"] = known.pop("accuracy")
    if metric not in known:
        raise RunFolderError(
            f"--mine {mine.run} has no {metric}: it has {', '.join(known) or 'no metric'}."
            " Give one of them as --metric."
        )
    key = "accuracy" if metric == "subset_accuracy" else metric
    ends, count = test.get(f"{key}_ci95"), test.get("num_examples")
    base = () if mine.is_from_scratch or not mine.model_hub_id else (mine.model_hub_id,)
    obstacles = _find_contamination(Card({"base_model": list(base)}, None), survey)
    if mine.results.dataset.is_test_validation:
        obstacles += ("its epoch was chosen on the test clips",)
    return LeaderboardEntry(
        name,
        known[metric],
        read_split_name(mine, "test"),
        mine.results.dataset.config,
        count if isinstance(count, int) else None,
        "local run",
        obstacles,
        (*_describe_own(mine), *(f"published as {copy}" for copy in copies)),
        interval=(float(ends[0]), float(ends[1])) if ends else None,
        is_mine=True,
    )


def _describe_own(mine: RunRecord) -> tuple[str, ...]:
    """Say how a local run's test clips were found, unless they are a given split."""
    return () if is_given(mine) else (describe_part(mine),)
