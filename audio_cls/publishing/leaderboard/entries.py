"""LeaderboardEntry: the value of one model or local run, its verification, its comparability."""

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
from audio_cls.publishing.leaderboard.crawl import HubSnapshot, ListedModel
from audio_cls.publishing.run_record import RunRecord, path_basename
from audio_cls.publishing.split_description import describe_part, is_given, read_split_name

UNNAMED_CONFIGS = (None, "default")  # "default": the only configuration
CHOSEN_ON_TEST = "its epoch was chosen on the test clips"
SAME = 5e-4  # values closer than this are equal up to rounding


@dataclass(frozen=True)
class LeaderboardEntry:
    """One row of the leaderboard."""

    model: str
    value: float
    split: str | None
    config: str | None
    num_examples: int | None
    verification: str  # "verified", "token, not checked", "self-reported", "local run"
    incomparable_reasons: tuple[str, ...] = ()  # why it cannot be compared
    notes: tuple[str, ...] = ()
    interval: tuple[float, float] | None = None
    rank: int | None = None
    hub_rank: int | None = None
    is_mine: bool = False


def read_model(model: ListedModel, snapshot: HubSnapshot, metric: str) -> ParsedResults:
    """Parse one model's card, `.eval_results` and its row of the Hub's leaderboard.

    The Hub's leaderboard names no metric. It is used only where card and `.eval_results` have
    nothing on this data set: a value that they report for another metric, or as no number, would
    otherwise come back as a value of this one.
    """
    card = read_reports(model.card.data, snapshot.dataset, metric)
    entries = read_entries(model.eval_results, snapshot.dataset, metric)
    reports, errors = card.reports + entries.reports, card.errors + entries.errors
    if not (reports or errors or entries.other_metrics):
        for row in _find_on_board(snapshot, model.id):
            try:
                value, note = read_value(row.get("value"), is_share=metric not in NOT_SHARES)
            except ValueError as error:
                errors.append(str(error))
                continue
            notes = (note, "sent by a pull request" if row.get("pullRequest") else "")
            given = tuple(note for note in notes if note)
            reports.append(
                ReportedResult(value, "eval_results", metric_is_named=False, notes=given)
            )
    return ParsedResults(reports, errors)


def _find_on_board(snapshot: HubSnapshot, model: str) -> list[Mapping[str, object]]:
    """Return a model's rows of the Hub's leaderboard of the data set."""
    return [row for row in snapshot.board or [] if row.get("modelId") == model]


def make_leaderboard_entry(
    model: ListedModel,
    parsed: ParsedResults,
    snapshot: HubSnapshot,
    metric: str,
    wanted: tuple[str | None, str | None],
) -> LeaderboardEntry:
    """Return the row of the report with the fewest reasons against a comparison.

    Args:
        model: The model.
        parsed: Its reports of the metric; at least one.
        snapshot: What the Hub has on the data set.
        metric: Key of the metric.
        wanted: Split and configuration that are compared.
    """
    reasons = {id(r): _find_incomparable_reasons(r, wanted) for r in parsed.reports}
    best = min(parsed.reports, key=lambda r: len(reasons[id(r)]))
    board = _find_on_board(snapshot, model.id)
    is_verified = any(row.get("verified") is True for row in board)
    ranks = [rank for row in board if isinstance(rank := row.get("rank"), int)]
    verification = "token, not checked" if best.has_token else "self-reported"
    return LeaderboardEntry(
        model.id,
        best.value,
        best.split,
        best.config,
        _count_clips(best, parsed, model.card, snapshot),
        "verified" if is_verified else verification,
        (
            *reasons[id(best)],
            *_find_contradictions(best, parsed, model.card, metric),
            *_find_contamination(model.card, snapshot),
        ),
        (*best.notes, *parsed.errors, *([model.card.error] if model.card.error else [])),
        hub_rank=min(ranks, default=None),
    )


def _find_incomparable_reasons(
    report: ReportedResult, wanted: tuple[str | None, str | None]
) -> tuple[str, ...]:
    """Return why a report's clips or metric are not those that are compared."""
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
    if report.is_test_validation:
        found.append(CHOSEN_ON_TEST)
    return tuple(found)


def _find_contradictions(
    best: ReportedResult, parsed: ParsedResults, card: Card, metric: str
) -> tuple[str, ...]:
    """Return where a model reports other values for the same clips, in metadata or card text."""
    found = []
    for other in parsed.reports:
        is_same_split = other.metric_is_named and other.split in (best.split, None)
        is_same_split = is_same_split and other.config == best.config
        if is_same_split and abs(other.value - best.value) > SAME:
            place = ".eval_results" if other.source == "eval_results" else "model-index"
            found.append(f"its {place} also reports {other.value:.4g}")
    reported = find_in_body(card.body or "", metric)
    if reported and not any(abs(value - best.value) <= half + SAME for value, half in reported):
        found.append(f"its text reports {reported[0][0]:.4g}")
    return tuple(dict.fromkeys(found))


def _find_contamination(card: Card, snapshot: HubSnapshot) -> tuple[str, ...]:
    """Return a remark if a base model, or one of its base models, was trained on the data set."""
    names, seen = list(card.base_models), set()
    while names:
        name = names.pop(0)
        parent = snapshot.parents.get(name)
        if name in seen or parent is None:
            continue
        seen.add(name)
        if snapshot.dataset in parent.datasets:
            return (f"its base model {name} was trained on this data set",)
        names += parent.base_models
    return ()


def _count_clips(
    best: ReportedResult, parsed: ParsedResults, card: Card, snapshot: HubSnapshot
) -> int | None:
    """Return the number of evaluated clips: as reported, else the size of the named split."""
    reported = [r.num_examples for r in parsed.reports if r.split == best.split and r.num_examples]
    if reported:
        return reported[0]
    if best.split is None:
        return None
    in_body = read_num_clips(card.body or "")
    if in_body is not None:
        return in_body
    sizes = {c: n for (c, s), n in snapshot.sizes.items() if s == best.split}
    if best.config in sizes:
        return sizes[best.config]
    return next(iter(sizes.values())) if len(sizes) == 1 else None


def make_local_entry(
    snapshot: HubSnapshot, metric: str, run: RunRecord, copies: Sequence[str] = ()
) -> LeaderboardEntry:
    """Return the local run's row.

    Args:
        snapshot: What the Hub has on the data set.
        metric: Key of the metric.
        run: The run.
        copies: Repositories to which this run was published.

    Raises:
        RunFolderError: The run was not tested on this data set, or not by this metric.
    """
    name = path_basename(run.folder.absolute().name)
    if run.dataset_hub_id != snapshot.dataset:
        raise RunFolderError(
            f"--mine {run.folder} was tested on '{run.dataset_hub_id or run.dataset_name}', not on"
            f" '{snapshot.dataset}'. Give a run on that data set, or another --dataset."
        )
    test = run.results.test
    known = read_metrics(run)
    if run.is_multilabel and "accuracy" in known:  # every label of a clip right
        known["subset_accuracy"] = known.pop("accuracy")
    if metric not in known:
        raise RunFolderError(
            f"--mine {run.folder} has no {metric}. Give one of its metrics as --metric:"
            f" {', '.join(known) or 'it has none'}."
        )
    key = "accuracy" if metric == "subset_accuracy" else metric
    ends, count = test.get(f"{key}_ci95"), test.get("num_examples")
    base = () if run.is_from_scratch or not run.model_hub_id else (run.model_hub_id,)
    reasons = _find_contamination(Card({"base_model": list(base)}, None), snapshot)
    if run.results.is_chosen_on_test:
        reasons += (CHOSEN_ON_TEST,)
    return LeaderboardEntry(
        name,
        known[metric],
        read_split_name(run, "test"),
        run.results.dataset.config,
        count if isinstance(count, int) else None,
        "local run",
        reasons,
        (*_describe_split(run), *(f"published as {copy}" for copy in copies)),
        interval=(float(ends[0]), float(ends[1])) if ends else None,
        is_mine=True,
    )


def _describe_split(run: RunRecord) -> tuple[str, ...]:
    """Return how the test clips of a local run were chosen, unless they are a given split."""
    return () if is_given(run) else (describe_part(run),)
